#include "wengert/autodiff/inspect/profile.h"

#include "../files.h"
#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

using namespace wengert;
using test::contains;
using Json = nlohmann::json;

namespace {

ProfileRow row(const Profile& p, const std::string& name, Pass pass) {
  for (const ProfileRow& r : p.rows())
    if (r.name == name && r.pass == pass) return r;
  FAIL_CHECK("no row: ", name);
  return {};
}
int calls(const Profile& p, const std::string& name) {
  int n = 0;
  for (const ProfileRow& r : p.rows())
    if (r.name == name) n += static_cast<int>(r.calls);
  return n;
}

Json trace_of(const Profile& p) {
  const TemporaryFolder folder;
  p.write_trace(folder / "trace.json");
  CHECK(folder.entries() == 1);
  return Json::parse(read_bytes(folder / "trace.json"));
}
std::vector<Json> complete_events(const Json& trace) {
  std::vector<Json> all;
  for (const Json& e : trace.at("traceEvents"))
    if (e.at("ph") == "X") all.push_back(e);
  return all;
}
// In nanoseconds, as whole numbers.
std::pair<long, long> span_of(const Json& e) {
  const long begin = std::lround(e.at("ts").get<double>() * 1000);
  return {begin, begin + std::lround(e.at("dur").get<double>() * 1000)};
}

struct Odd {
  static constexpr std::string_view name = "\"odd\" \\ \n\xff name";
  Tensor forward(const Tensor& x) { return x.detach(); }
};
struct Broken {
  static constexpr std::string_view name = "broken";
  Tensor forward(const Tensor&) { throw std::runtime_error("broken"); }
};

}  // namespace

TEST_CASE("profile: calls, bytes and FLOPs of each operator, forwards and backwards apart") {
  const Tensor x = ones({8, 16}), w = ones({16, 4}).track();
  const Profile p;
  for (int i = 0; i < 3; ++i) backward(sum(tanh(matmul(x, w))));
  const ProfileRow forward = row(p, "matmul", Pass::forward);
  CHECK(forward.calls == 3);
  CHECK(forward.bytes == 3 * 8 * 4 * 4);
  CHECK(forward.flops == 3 * 2 * 8 * 16 * 4);
  CHECK(forward.gflops() > 0);
  // Inside the vjp of matmul, which has the same name, matmul runs.
  const ProfileRow back = row(p, "matmul", Pass::backward);
  CHECK(back.calls == 6);
  CHECK(back.flops == 3 * 2 * 8 * 16 * 4);
  CHECK(row(p, "tanh", Pass::forward).flops == 3 * 32);
  CHECK(row(p, "tanh", Pass::backward).calls == 3);
  CHECK(row(p, "sum", Pass::forward).flops == 3 * 32);
  CHECK(row(p, "backward", Pass::backward).calls == 3);
  CHECK(row(p, "accumulate", Pass::backward).calls == 2);  // into the gradient of w
  CHECK(row(p, "permute", Pass::backward).bytes == 0);     // a view
}

TEST_CASE("profile: own times add up to what the outermost took, and are no more than the total") {
  const Tensor x = test::random({40, 50}).track();
  const Profile p;
  const auto begin = std::chrono::steady_clock::now();
  (void)grad(sum(tanh(matmul(x, transpose(x)))), x);
  const double took = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  double own = 0;
  for (const ProfileRow& r : p.rows()) {
    own += r.own_ns;
    CHECK(r.own_ns >= 0);
    CHECK(r.own_ns <= r.total_ns);
  }
  CHECK(own <= took);
  const auto rows = p.rows();
  CHECK(std::is_sorted(rows.begin(), rows.end(), [](auto& a, auto& b) { return a.own_ns > b.own_ns; }));
}

TEST_CASE("profile: rows by line tell where the user called") {
  const Tensor x = ones({4});
  const Profile p;
  for (int i = 0; i < 2; ++i) (void)exp(x);
  const unsigned first = __LINE__ - 1;
  (void)exp(x);
  const auto rows = p.rows(Profile::By::line);
  REQUIRE(rows.size() == 2);
  for (const ProfileRow& r : rows) CHECK(r.calls == (r.where.line() == first ? 2 : 1));
  CHECK(contains(to_string(p, Profile::By::line), "profile.cpp:" + std::to_string(first)));
  CHECK(calls(p, "exp") == 3);
}

TEST_CASE("profile: the table has a head, a line for each row and a sum, in columns") {
  const Tensor x = ones({1000}).track();
  Profile p;
  backward(sum(exp(x)));
  p.stop();
  const std::string text = to_string(p);
  CHECK(text.starts_with("operator"));
  CHECK(contains(text, "\nexp "));
  CHECK(contains(text, "backward"));
  CHECK(contains(text, "3.9 KiB"));
  CHECK(contains(text, "1.00 k"));
  CHECK(contains(text, "\nall "));
  CHECK(std::count(text.begin(), text.end(), '\n') == static_cast<long>(p.rows().size()) + 2);
}

TEST_CASE("profile: what is not profiled is not counted: before, after stop(), and after the end") {
  const Tensor x = ones({4});
  (void)exp(x);
  Profile p;
  (void)sin(x);
  p.stop();
  (void)cos(x);
  CHECK(p.rows().size() == 1);
  CHECK(calls(p, "sin") == 1);
}

TEST_CASE("profile: profiles nest") {
  const Tensor x = ones({4});
  const Profile outer;
  (void)exp(x);
  {
    const Profile inner;
    (void)exp(x);
    CHECK(calls(inner, "exp") == 1);
  }
  CHECK(calls(outer, "exp") == 2);
}

TEST_CASE("profile: forward mode has a pass of its own") {
  const Profile p;
  (void)jvp([](const Tensor& x) { return exp(x) * x; }, ones({2}), ones({2}));
  CHECK(row(p, "exp", Pass::tangents).calls == 1);
  CHECK(row(p, "exp", Pass::forward).calls == 1);
}

TEST_CASE("profile: the trace is JSON whose events nest, with lines, passes, FLOPs and memory") {
  const Tensor x = ones({6, 5}).track();
  const Profile p;
  const Tensor y = matmul(x, transpose(x));
  const unsigned line = __LINE__ - 1;
  backward(sum(y));
  const Json trace = trace_of(p);
  const auto events = complete_events(trace);
  int matmuls = 0;
  for (const Json& e : events) {
    CHECK(e.at("pid") == 1);
    CHECK(e.at("dur").get<double>() >= 0);
    if (e.at("name") == "matmul" && e.at("cat") == "forward") {
      ++matmuls;
      CHECK(contains(e.at("args").at("line").get<std::string>(), "profile.cpp:" + std::to_string(line)));
      CHECK(e.at("args").at("flops") == 2 * 6 * 5 * 6);
      CHECK(e.at("args").at("bytes") == 6 * 6 * 4);
    }
  }
  CHECK(matmuls == 1);
  // Any two are apart or one lies in the other; the derivatives lie in the sweep.
  std::pair<long, long> sweep;
  for (const Json& e : events)
    if (e.at("cat") == "sweep") sweep = span_of(e);
  for (const Json& a : events)
    for (const Json& b : events) {
      const auto [a0, a1] = span_of(a);
      const auto [b0, b1] = span_of(b);
      const bool apart = a1 <= b0 || b1 <= a0, nested = (a0 <= b0 && b1 <= a1) || (b0 <= a0 && a1 <= b1);
      CHECK((apart || nested));
    }
  for (const Json& e : events)
    if (e.at("cat") == "backward") CHECK((span_of(e).first >= sweep.first && span_of(e).second <= sweep.second));
  CHECK(std::any_of(trace.at("traceEvents").begin(), trace.at("traceEvents").end(), [](const Json& e) {
    return e.at("ph") == "C" && e.at("name") == "memory" && e.at("args").at("bytes").get<long>() > 0;
  }));
}

TEST_CASE("profile: threads have rows of their own in the trace") {
  const Tensor x = ones({4});
  const Profile p;
  std::thread a([&] {
    for (int i = 0; i < 5; ++i) (void)sin(x);
  }),
      b([&] {
        for (int i = 0; i < 5; ++i) (void)cos(x);
      });
  (void)exp(x);
  a.join(), b.join();
  CHECK(calls(p, "sin") + calls(p, "cos") == 10);
  std::map<int, std::set<std::string>> names;
  const Json trace = trace_of(p);
  for (const Json& e : complete_events(trace)) names[e.at("tid")].insert(e.at("name"));
  CHECK(names.size() == 3);
  for (const auto& [thread, of] : names) CHECK(of.size() == 1);
  int titles = 0;
  for (const Json& e : trace.at("traceEvents")) titles += e.at("name") == "thread_name";
  CHECK(titles == 3);
}

TEST_CASE("profile: names are escaped, operators that throw are marked, events beyond the bound are left out") {
  const Tensor x = ones({4});
  const Profile p({.max_events = 3});
  (void)apply(Odd{}, Operand(x));
  CHECK_THROWS((void)apply(Broken{}, Operand(x)));
  for (int i = 0; i < 5; ++i) (void)exp(x);
  const Json trace = trace_of(p);
  const auto events = complete_events(trace);
  REQUIRE(events.size() == 3);
  CHECK(contains(events[0].at("name").get<std::string>(), "\"odd\" \\ \n"));
  CHECK(events[1].at("args").at("failed") == true);
  CHECK(trace.at("otherData").at("events left out") == 4);
  CHECK(calls(p, "exp") == 5);
}

TEST_CASE("profile: a trace that cannot be written is a FileError, and an older file stays") {
  const TemporaryFolder folder;
  const Profile p;
  (void)exp(ones({4}));
  CHECK(contains(test::message<FileError>([&] { p.write_trace(folder / "no/trace.json"); }), "write_trace: "));
  CHECK(folder.entries() == 0);
  p.write_trace(folder / "trace.json");
  p.write_trace(folder / "trace.json");
  CHECK(folder.entries() == 1);
  CHECK(complete_events(Json::parse(read_bytes(folder / "trace.json"))).size() == 1);
}

TEST_CASE("profile: numbers keep their bits") {
  auto gradient = [] {
    const Tensor x = test::random({4, 6}).track();
    return grad(sum(softmax(matmul(x, transpose(x)), 1)) + sum(x * x), x).to_vector<double>();
  };
  const auto before = gradient();
  const Profile p;
  CHECK(gradient() == before);
}
