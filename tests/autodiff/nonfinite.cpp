#include "wengert/autodiff/inspect/nonfinite.h"

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <cmath>
#include <limits>
#include <string>
#include <thread>

using namespace wengert;
using test::contains;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

template <class F>
NonFiniteFinding finding_of(F&& f) {
  try {
    f();
  } catch (const NonFiniteError& e) {
    return e.finding;
  }
  FAIL_CHECK("nothing was found");
  return {};
}

// Finite forwards; its cotangent is made inside, by log(0).
struct Unlucky {
  static constexpr std::string_view name = "unlucky";
  Tensor forward(const Tensor& x) { return x.detach(); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * log(y_bar - y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return x_dot / (x_dot - x_dot); }
};

}  // namespace

TEST_CASE("statistics: finite numbers, NaNs and infinities apart, and the first of these") {
  const Statistics s = statistics(tensor({{1, 2, 6}, {inf, std::nan(""), -inf}}));
  CHECK(s.shape == Shape{2, 3});
  CHECK(s.min == 1);
  CHECK(s.max == 6);
  CHECK(s.mean == 3);
  CHECK(s.nans == 1);
  CHECK(s.infinities == 2);
  CHECK(s.first == std::vector<std::int64_t>{1, 0});
  CHECK(to_string(s) == "float32 [2, 3], 1 to 6, mean 3, 1 NaN, 2 Inf, the first at [1, 0]");
  CHECK(to_string(statistics(zeros({0}))) == "float32 [0]");
  CHECK(to_string(statistics(scalar(2))) == "float32 [], 2");
  CHECK(to_string(statistics(arange(3))) == "int64 [3], 0 to 2, mean 1");
}

TEST_CASE("non-finite: the first operator that makes infinity is an exception with operands and the user's line") {
  const Tensor x = tensor({1, 0, 4});
  const NonFinite finder;
  unsigned line = 0;
  const auto f = finding_of([&] {
    const Tensor h = x * 2;
    line = __LINE__ + 1;
    (void)exp(log(h));
  });
  CHECK(f.name == "log");
  CHECK(f.pass == Pass::forward);
  CHECK(f.where.line() == line);
  REQUIRE(f.given.size() == 1);
  CHECK(f.given[0].statistics.max == 8);
  CHECK(f.made.statistics.infinities == 1);
  CHECK(finder.found()->name == "log");
  const std::string text = to_string(f);
  CHECK(contains(text, "log: forward made 1 Inf from finite values\n  operand 0: float32 [3], 0 to 8, mean 3.33333\n"));
  CHECK(contains(text, "result: float32 [3], 0.693147 to 2.07944, mean 1.38629, 1 Inf, the first at [1]"));
  CHECK(contains(text, "nonfinite.cpp:" + std::to_string(line)));
}

TEST_CASE("non-finite: every operand is told") {
  const NonFinite finder;
  const Tensor x = tensor({0, 1}), y = tensor({0, 2});
  const auto f = finding_of([&] { (void)(x / y); });
  CHECK(f.name == "div");
  REQUIRE(f.given.size() == 2);
  CHECK(f.given[1].what == "operand 1");
  CHECK(f.given[1].statistics.max == 2);
  CHECK(f.made.statistics.nans == 1);
}

TEST_CASE("non-finite: a slope that is infinite is found backwards, with both lines") {
  const Tensor x = tensor({4, 0}).track();
  const NonFinite finder;
  const Tensor y = sqrt(x);
  const unsigned line = __LINE__ - 1;
  unsigned back = 0;
  const auto f = finding_of([&] {
    const Tensor loss = sum(y);
    back = __LINE__ + 1;
    backward(loss);
  });
  CHECK(f.name == "sqrt");
  CHECK(f.pass == Pass::backward);
  CHECK(f.operand == 0);
  CHECK(f.where.line() == line);
  CHECK(f.derivative.line() == back);
  CHECK(f.made.what == "cotangent of operand 0");
  REQUIRE(f.given.size() == 2);
  CHECK(f.given[0].what == "cotangent");
  CHECK(f.given[0].statistics.max == 1);
  CHECK(f.given[1].what == "result");
  const std::string text = to_string(f);
  CHECK(contains(text, "sqrt: backward made 1 Inf in the cotangent of operand 0, from finite values"));
  CHECK(contains(text, "differentiated at nonfinite.cpp:" + std::to_string(back)));
  CHECK(contains(text, "nonfinite.cpp:" + std::to_string(line)));
}

TEST_CASE("non-finite: which operand's cotangent it is") {
  const Tensor x = tensor({1, 2}).track(), y = full({2}, 1e-30).track();
  const NonFinite finder;
  const Tensor q = x / y;
  const auto f = finding_of([&] { backward(sum(q)); });
  CHECK(f.name == "div");
  CHECK(f.operand == 1);  // x / y^2 is beyond float32, 1 / y is not
}

TEST_CASE("non-finite: forward mode is looked at too") {
  const NonFinite finder;
  const auto f = finding_of([] { (void)jvp([](const Tensor& x) { return sqrt(x); }, zeros({2}), ones({2})); });
  CHECK(f.name == "sqrt");
  CHECK(f.pass == Pass::tangents);
  CHECK(f.derivative.line() == __LINE__ - 3);
}

TEST_CASE("non-finite: a sum of cotangents that overflows is found as such") {
  const Tensor x = full({1}, 1e-3).track();
  const NonFinite finder;
  const auto f = finding_of([&] { backward(sum(x * 3e38) + sum(x * 2e38)); });
  CHECK(f.name == "accumulate");
  CHECK(f.pass == Pass::backward);
  REQUIRE(f.given.size() == 2);
  CHECK(f.given[0].what == "sum so far");
  CHECK(f.made.what == "sum");
}

TEST_CASE("non-finite: the operator inside a rule that did it is named") {
  const Tensor x = tensor({1, 2}).track();
  const NonFinite finder;
  const Tensor y = apply(Unlucky{}, Operand(x));
  const auto f = finding_of([&] { backward(sum(y)); });
  CHECK(f.name == "unlucky");
  CHECK(f.pass == Pass::backward);
  CHECK(contains(f.inside, "log (at nonfinite.cpp:"));
  CHECK(contains(to_string(f), "inside it: log"));
}

TEST_CASE("non-finite: what was given as infinity or NaN is nobody's fault") {
  const Tensor x = tensor({1, 2}).track(), mask = tensor({0, -inf});
  const NonFinite finder;
  CHECK_NOTHROW((void)exp(tensor({std::nan(""), 1})));
  CHECK_NOTHROW(backward(sum(softmax(x + mask, 0) * tensor({1, 3}))));
  const Tensor y = x * tensor({1, inf});
  CHECK_NOTHROW(backward(sum(y)));  // x_bar = inf, of the operand that was
  CHECK(!finder.found());
}

TEST_CASE("non-finite: with throws = false the first finding is kept and the program goes on") {
  NonFinite finder({.throws = false});
  const Tensor y = log(zeros({2}));
  (void)(y - y);
  (void)sqrt(full({1}, -1));
  CHECK(finder.found()->name == "log");
}

TEST_CASE("non-finite: with infinities = false only NaN is looked for") {
  const NonFinite finder({.infinities = false});
  const Tensor y = log(zeros({2}));
  const auto f = finding_of([&] { (void)(y - y); });
  CHECK(f.name == "sub");
  CHECK(f.made.statistics.nans == 2);
}

TEST_CASE("non-finite: scopes nest and end, also after an exception; other threads are left alone") {
  const Tensor zero = zeros({1});
  {
    NonFinite outer({.throws = false});
    {
      const NonFinite inner;
      CHECK_THROWS_AS((void)log(zero), NonFiniteError);
      CHECK_THROWS_AS((void)log(zero), NonFiniteError);
      std::thread([&] { CHECK_NOTHROW((void)log(zero)); }).join();
    }
    CHECK(outer.found()->name == "log");
  }
  CHECK_NOTHROW((void)log(zero));
}

TEST_CASE("non-finite: integers and values of the library's own making keep their bits") {
  auto gradient = [] {
    const Tensor x = test::random({4, 6}).track();
    return grad(sum(softmax(matmul(x, transpose(x)), 1) * x.detach().size(0)) + sum(x * x), x).to_vector<double>();
  };
  const auto before = gradient();
  const NonFinite finder;
  CHECK(gradient() == before);
  CHECK(sum(arange(5)).item() == 10);
}
