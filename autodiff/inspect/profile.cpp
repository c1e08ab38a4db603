#include "wengert/autodiff/inspect/profile.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/inspect/recorder.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace wengert {

using detail::Act;
using detail::Recorder;

Profile::Profile(ProfileOptions options) : recorder_(new Recorder(options)) {}
Profile::~Profile() = default;
void Profile::stop() { recorder_->stop(); }

const detail::NodeCost* cost_of(const Profile& p, const detail::Node* n) { return p.recorder_->cost(n); }

std::vector<ProfileRow> Profile::rows(By by) const {
  std::vector<ProfileRow> rows = recorder_->rows();
  if (by == By::name) {
    std::map<std::pair<std::string, Pass>, ProfileRow> joined;
    for (const ProfileRow& r : rows) {
      ProfileRow& to = joined[{r.name, r.pass}];
      to.name = r.name, to.pass = r.pass;
      to.calls += r.calls, to.total_ns += r.total_ns, to.own_ns += r.own_ns;
      to.bytes += r.bytes, to.flops += r.flops, to.flops_ns += r.flops_ns;
    }
    rows.clear();
    for (const auto& [key, row] : joined) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) {
    return std::tuple(b.own_ns, std::string_view(a.name), a.where.line()) <
           std::tuple(a.own_ns, std::string_view(b.name), b.where.line());
  });
  return rows;
}

std::string to_string(const Profile& profile, Profile::By by) {
  const std::vector<ProfileRow> rows = profile.rows(by);
  const bool lines = by == Profile::By::line;
  double own = 0;
  std::int64_t calls = 0;
  for (const ProfileRow& r : rows) own += r.own_ns, calls += r.calls;
  std::vector<std::vector<std::string>> cells;
  auto add = [&](const std::string& place, std::vector<std::string> row) {
    if (lines) row.insert(row.begin() + 2, place);
    cells.push_back(std::move(row));
  };
  add("line", {"operator", "pass", "calls", "total", "own", "", "bytes", "FLOP", "GFLOP/s"});
  for (const ProfileRow& r : rows)
    add(r.where.line() ? short_place(r.where) : "",
        {r.name, std::string(name(r.pass)), readable_count(r.calls), readable_time(r.total_ns), readable_time(r.own_ns),
         fmt::format("{:.1f} %", own > 0 ? 100 * r.own_ns / own : 0), r.bytes ? readable_bytes(r.bytes) : "",
         r.flops > 0 ? readable_amount(r.flops) : "", r.flops > 0 ? fmt::format("{:.2f}", r.gflops()) : ""});
  add("", {"all", "", readable_count(calls), "", readable_time(own), "", "", "", ""});
  return in_columns(cells, lines ? 3 : 2);
}

namespace {

std::string_view category(const Recorder::Event& e) {
  return e.act == Act::backward || e.act == Act::tangents ? "sweep" : name(e.pass);
}

std::string in_json(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// Microseconds, exact to the nanosecond.
std::string microseconds(Recorder::Nanoseconds ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

void write_event(std::string& to, const Recorder::Event& e) {
  auto out = std::back_inserter(to);
  fmt::format_to(out, "{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{},\"dur\":{},\"args\":{{",
                 in_json(e.name), in_json(category(e)), e.thread, microseconds(e.begin), microseconds(e.end - e.begin));
  fmt::format_to(out, "\"pass\":\"{}\"", name(e.pass));
  if (e.where.line())
    fmt::format_to(out, ",\"line\":{}", in_json(fmt::format("{}:{}", e.where.file_name(), e.where.line())));
  if (e.bytes) fmt::format_to(out, ",\"bytes\":{}", e.bytes);
  if (e.flops >= 0) fmt::format_to(out, ",\"flops\":{:.0f}", e.flops);
  if (e.failed) to += ",\"failed\":true";
  to += "}},\n";
  if (!e.depth)
    fmt::format_to(out, "{{\"name\":\"memory\",\"ph\":\"C\",\"pid\":1,\"ts\":{},\"args\":{{\"bytes\":{}}}}},\n",
                   microseconds(e.end), e.in_use);
}

}  // namespace

void Profile::write_trace(const std::string& path, Where where) const {
  std::string text = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"events left out\":";
  text += fmt::format("{}}},\n\"traceEvents\":[\n", recorder_->events_left_out());
  int thread = 0;
  for (const Recorder::Event& e : recorder_->events()) {
    if (e.thread != thread)
      text += fmt::format(
          "{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{},\"args\":{{\"name\":\"thread {}\"}}}},\n",
          e.thread, e.thread);
    thread = e.thread;
    write_event(text, e);
  }
  text += "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"wengert\"}}\n]}\n";
  const std::span bytes = std::as_bytes(std::span(text));
  detail::write_atomically({"write_trace", path, where}, {&bytes, 1});
}

}  // namespace wengert
