#include "wengert/autodiff/tape/custom.h"

#include "derivatives.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"

using namespace wengert;
using test::contains;
using test::message;
using test::random;
using testing::check_close;

namespace {

const custom cube{.name = "cube",
                  .forward = [](const Tensor& x) { return x * x * x; },
                  .vjp = [](const Tensor& y_bar, const Tensor& x) { return y_bar * 3.0 * x * x; }};
const custom cube_forwards{.name = "cube_forwards",
                           .forward = [](const Tensor& x) { return x * x * x; },
                           .jvp = [](const Tensor& x_dot, const Tensor& x) { return x_dot * 3.0 * x * x; }};
const custom cube_both{.name = "cube_both",
                       .forward = [](const Tensor& x) { return x * x * x; },
                       .vjp = [](const Tensor& y_bar, const Tensor& x) { return y_bar * 3.0 * x * x; },
                       .jvp = [](const Tensor& x_dot, const Tensor& x) { return x_dot * 3.0 * x * x; }};
const custom exponential{.name = "exponential",
                         .forward = [](const Tensor& x) { return exp(x); },
                         .vjp = [](const Tensor& y_bar, const Tensor& y, const Tensor&) { return y_bar * y; }};
// x^T w, rows by columns: several operands, each with one mode only.
const custom product{
    .name = "product",
    .forward = [](const Tensor& x, const Tensor& w) { return matmul(x, w); },
    .vjp = [](const Tensor& y_bar, const Tensor& x,
              const Tensor& w) { return std::array{matmul(y_bar, transpose(w)), matmul(transpose(x), y_bar)}; }};
const custom product_forwards{.name = "product_forwards",
                              .forward = [](const Tensor& x, const Tensor& w) { return matmul(x, w); },
                              .jvp = [](const std::array<Tensor, 2>& dot, const Tensor& x,
                                        const Tensor& w) { return matmul(dot[0], w) + matmul(x, dot[1]); }};
// Several results.
const custom polar{
    .name = "polar",
    .forward = [](const Tensor& r, const Tensor& t) { return std::array{r * cos(t), r * sin(t)}; },
    .vjp =
        [](const std::array<Tensor, 2>& bar, const std::array<Tensor, 2>& xy, const Tensor&, const Tensor& t) {
          return std::array{bar[0] * cos(t) + bar[1] * sin(t), bar[1] * xy[0] - bar[0] * xy[1]};
        }};

// The same as structs, without lambdas.
struct OnlyVjp {
  static constexpr std::string_view name = "only_vjp";
  Saved x, w;
  Tensor forward(const Tensor& a, const Tensor& b) { return x = a, w = b, a * a * b; }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * 2.0 * x * w; }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return y_bar * x * x; }
};
struct OnlyJvp {
  static constexpr std::string_view name = "only_jvp";
  Saved x, w;
  Tensor forward(const Tensor& a, const Tensor& b) { return x = a, w = b, a * a * b; }
  Tensor jvp(arg<0>, const Tensor& dot) const { return dot * 2.0 * x * w; }
  Tensor jvp(arg<1>, const Tensor& dot) const { return dot * x * x; }
};
struct Mixed {  // each operand has another mode
  static constexpr std::string_view name = "mixed";
  Saved x, w;
  Tensor forward(const Tensor& a, const Tensor& b) { return x = a, w = b, a * a * b; }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * 2.0 * x * w; }
  Tensor jvp(arg<1>, const Tensor& dot) const { return dot * x * x; }
};
struct ListVjp {
  static constexpr std::string_view name = "list_vjp";
  Tensor forward(std::span<const Tensor> x) { return x[0] + 2.0 * x[1]; }
  Tensor vjp(int i, const Tensor& y_bar) const { return double(i + 1) * y_bar; }
};
struct ListJvp {
  static constexpr std::string_view name = "list_jvp";
  Tensor forward(std::span<const Tensor> x) { return x[0] + 2.0 * x[1]; }
  Tensor jvp(int i, const Tensor& x_dot) const { return double(i + 1) * x_dot; }
};
template <class Rule>
Tensor two(Operand a, Operand b) {
  return apply(Rule{}, a, b);
}

// A rule that cannot move once it has run, and so not into its node.
struct Unmovable {
  static constexpr std::string_view name = "unmovable";
  bool ran = false;
  Unmovable() = default;
  Unmovable(Unmovable&& other) : ran(other.ran) {
    if (ran) throw std::runtime_error("unmovable: moved");
  }
  Unmovable& operator=(Unmovable&&) = default;
  Tensor forward(const Tensor& a, const Tensor& b) { return ran = true, a * b; }
  Tensor forward(std::span<const Tensor> x) { return ran = true, x[0] * x[1]; }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar; }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return y_bar; }
  Tensor vjp(int, const Tensor& y_bar) const { return y_bar; }
};

}  // namespace

TEST_CASE("custom: with both modes or one of them, all derivatives are there") {
  const Tensor x = random({2, 3});
  test::check_rule([](const auto& v) { return cube(v[0]); }, {x});
  test::check_rule([](const auto& v) { return cube_forwards(v[0]); }, {x});
  test::check_rule([](const auto& v) { return cube_both(v[0]); }, {x});
  test::check_rule([](const auto& v) { return exponential(v[0]); }, {x});
}

TEST_CASE("custom: several operands and several results") {
  const std::vector<Tensor> ab{random({2, 3}), random({3, 4}, -1, 1, 2)};
  test::check_rule([](const auto& v) { return product(v[0], v[1]); }, ab);
  test::check_rule([](const auto& v) { return product_forwards(v[0], v[1]); }, ab);
  test::check_rule(
      [](const auto& v) {
        const auto xy = polar(v[0], v[1]);
        return std::vector<Tensor>{xy[0], xy[1]};
      },
      {random({3}, 1, 2), random({3})});
}

TEST_CASE("custom: derivatives of the third order, through a derived mode") {
  const Tensor x = random({3}), one = ones({3}, float64);
  auto third = [&](const auto& op) {
    auto d1 = [&](const Tensor& t) { return jvp([&](const Tensor& s) { return op(s); }, t, one).y_dot; };
    auto d2 = [&](const Tensor& t) { return jvp(d1, t, one).y_dot; };
    return jvp(d2, x, one).y_dot;
  };
  auto third_reverse = [&](const auto& op) {
    auto d1 = [&](const Tensor& t) { return sum(grad([&](const Tensor& s) { return sum(op(s)); }, t)); };
    auto d2 = [&](const Tensor& t) { return sum(grad(d1, t)); };
    return grad(d2, x);
  };
  check_close(third(cube), full({3}, 6, float64), 1e-12);
  check_close(third(cube_forwards), full({3}, 6, float64), 1e-12);
  check_close(third_reverse(cube), full({3}, 6, float64), 1e-12);
  check_close(third_reverse(cube_forwards), full({3}, 6, float64), 1e-12);
  check_close(third(exponential), exp(x), 1e-12);
}

TEST_CASE("custom: replaces a derivative: straight through a rounding") {
  const custom straight{.forward = [](const Tensor& x) { return round(x); },
                        .vjp = [](const Tensor& y_bar) { return y_bar; }};
  const Tensor x = random({4}, -3, 3);
  check_close(grad([&](const Tensor& t) { return sum(straight(t) * 2.0); }, x), full({4}, 2, float64), 0);
  check_close(jvp([&](const Tensor& t) { return straight(t); }, x, x).y_dot, x, 0);
}

TEST_CASE("custom: forward and vjp may compute with plain numbers; then there is no jvp, and that is said") {
  const custom by_hand{.name = "by_hand",
                       .forward =
                           [](const Tensor& x) {
                             Tensor y = clone(x.detach());
                             for (double& v : y.write<double>()) v = v * v;
                             return y;
                           },
                       .vjp =
                           [](const Tensor& y_bar, const Tensor& x) {
                             Tensor x_bar = clone(y_bar.detach());
                             const auto numbers = x.read<double>();
                             auto to = x_bar.write<double>();
                             for (std::size_t i = 0; i < to.size(); ++i) to[i] *= 2 * numbers[i];
                             return x_bar;
                           }};
  const Tensor x = random({4});
  check_close(grad([&](const Tensor& t) { return sum(by_hand(t)); }, x), 2.0 * x, 1e-15);
  int line = 0;
  const auto what =
      message<GraphError>([&] { jvp([&](const Tensor& t) { return line = __LINE__, by_hand(t); }, x, x); });
  CHECK(contains(what, "by_hand: has no jvp for operand 0, and none can be derived from its vjp"));
  CHECK(contains(what, "custom.cpp:" + std::to_string(line)));
}

TEST_CASE("custom: mistakes are named, with the line of the call") {
  const Tensor x = random({4}).track();
  int line = 0;
  auto back = [&](const auto& op) {
    return message<GraphError>([&] {
      line = __LINE__ + 1;
      const Tensor y = op(x);
      backward(sum(y));
    });
  };
  auto check = [&](const std::string& what, const std::string& part) {
    CAPTURE(what);
    CHECK(contains(what, part));
    CHECK(contains(what, "custom.cpp:" + std::to_string(line)));
  };
  auto same = [](const Tensor& t) { return exp(t); };
  check(back(custom{.name = "wrong", .forward = same, .vjp = [](const Tensor&) { return ones({3}, float64); }}),
        "wrong: its vjp returned float64 [3] for operand 0, which is float64 [4]");
  check(back(custom{.name = "single", .forward = same, .vjp = [](const Tensor&) { return ones({4}); }}),
        "single: its vjp returned float32 [4] for operand 0, which is float64 [4]");
  check(back(custom{.name = "none", .forward = same}), "none: has no vjp for operand 0, and nothing to derive it from");
  check(back(custom{.name = "no_tape", .forward = same, .jvp = [](const Tensor& d) { return d.detach(); }}),
        "no_tape: has no vjp for operand 0, and none can be derived from its jvp");
  check(back(custom{.name = "long", .forward = same, .jvp = [](const Tensor& d) { return cat({d, d}); }}),
        "long: its jvp returned float64 [8] for result 0, which is float64 [4]");
  const custom wrong_jvp{.name = "short", .forward = same, .jvp = [](const Tensor& d) { return sum(d); }};
  const auto what = message<GraphError>([&] { jvp(wrong_jvp, random({4}), random({4})); });
  CHECK(contains(what, "short: its jvp returned float64 [] for result 0"));
}

TEST_CASE("custom: a vjp that gives nothing is zero") {
  const custom stop{
      .forward = [](const Tensor& a, const Tensor& b) { return a * b; },
      .vjp = [](const Tensor& y_bar, const Tensor&, const Tensor& b) { return std::array{y_bar * b, Tensor()}; }};
  const auto [a_bar, b_bar] = grad([&](const Tensor& a, const Tensor& b) { return sum(stop(a, b)); },
                                   std::pair(random({3}), random({3}, -1, 1, 2)));
  check_close(b_bar, zeros({3}, float64), 0);
  check_close(a_bar, random({3}, -1, 1, 2), 0);
}

TEST_CASE("custom: inside checkpoint the rule comes back with its numbers") {
  const Tensor x = random({3});
  auto f = [](const Tensor& t) { return sum(checkpoint([](const Tensor& s) { return cube(exponential(s)) * s; }, t)); };
  auto plain = [](const Tensor& t) { return sum(exp(3.0 * t) * t); };
  check_close(grad(f, x), grad(plain, x), 1e-13);
  check_close(hvp(f, x, x), hvp(plain, x, x), 1e-13);
}

TEST_CASE("rules: a struct with one mode has the other, in both kinds of apply") {
  const std::vector<Tensor> ab{random({3}), random({3}, -1, 1, 2)};
  test::check_rule([](const auto& v) { return two<OnlyVjp>(v[0], v[1]); }, ab);
  test::check_rule([](const auto& v) { return two<OnlyJvp>(v[0], v[1]); }, ab);
  test::check_rule([](const auto& v) { return two<Mixed>(v[0], v[1]); }, ab);
  test::check_rule([](const auto& v) { return apply(ListVjp{}, std::span<const Tensor>(v), Where::current()); }, ab);
  test::check_rule([](const auto& v) { return apply(ListJvp{}, std::span<const Tensor>(v), Where::current()); }, ab);
}

TEST_CASE("on_gradient: sees the whole cotangent, once") {
  const Tensor x = random({3});
  std::vector<Tensor> seen;
  auto f = [&](const Tensor& t) {
    const Tensor h = on_gradient(exp(t), [&](const Tensor& bar) { seen.push_back(bar); });
    return sum(h * 2.0 + h * h);
  };
  const Tensor g = grad(f, x);
  REQUIRE(seen.size() == 1);
  check_close(seen[0], 2.0 + 2.0 * exp(x), 1e-14);
  CHECK_FALSE(seen[0].tracked());
  check_close(g, (2.0 + 2.0 * exp(x)) * exp(x), 1e-14);
  seen.clear();
  grad([&](const Tensor& t) { return sum(checkpoint([&](const Tensor& s) { return f(s) + 0.0; }, t)); }, x);
  CHECK(seen.size() == 1);
}

TEST_CASE("on_gradient: replaces the cotangent, and is differentiated through") {
  const Tensor x = random({3});
  auto f = [](const Tensor& t) { return sum(exp(on_gradient(t, [](const Tensor& bar) { return bar * bar; }))); };
  check_close(grad(f, x), exp(2.0 * x), 1e-14);
  // the derivative of exp(h)^2 flows through h once more
  check_close(grad([&](const Tensor& t) { return sum(grad(f, t)); }, x), square(2.0 * exp(2.0 * x)), 1e-13);
  check_close(grad([](const Tensor& t) { return sum(on_gradient(t, [](const Tensor&) { return Tensor(); })); }, x),
              zeros({3}, float64), 0);
  check_close(
      jvp([&](const Tensor& t) { return exp(on_gradient(t, [](const Tensor& b) { return b * b; })); }, x, x).y_dot,
      exp(x) * x, 1e-14);
  // where a value and its hooked self meet in one operator
  auto both = [](const Tensor& t) { return sum(t / on_gradient(t, [](const Tensor& bar) { return 3.0 * bar; })); };
  check_close(grad(both, x), -2.0 / x, 1e-13);
}

TEST_CASE("on_gradient: mistakes are named; without a tape it is nothing") {
  const Tensor x = random({3}).track();
  const int line = __LINE__ + 1;
  const Tensor y = on_gradient(x, [](const Tensor&) { return ones({2}, float64); });
  const auto what = message<GraphError>([&] { backward(sum(y)); });
  CHECK(contains(what, "on_gradient: its vjp returned float64 [2] for operand 0"));
  CHECK(contains(what, "custom.cpp:" + std::to_string(line)));
  const Tensor constant = random({3});
  CHECK(detail::Access::body(on_gradient(constant, [](const Tensor&) {})) == detail::Access::body(constant));
}

TEST_CASE("custom rules: one that throws on its way into the tape leaves nothing behind") {
  const Tensor x = random({3}, 1).track();
  const auto before = memory_stats().in_use;
  {
    const std::vector<Tensor> operands = {x * 2, x * 3};
    CHECK_THROWS_WITH((void)apply(Unmovable(), Operand(operands[0]), Operand(operands[1])), "unmovable: moved");
    CHECK_THROWS_WITH((void)apply(Unmovable(), operands, Where::current()), "unmovable: moved");
    const auto g = grad(sum(operands[0] * operands[1]), x);
    check_close(g, x.detach() * 12, 1e-14);
  }
  CHECK(memory_stats().in_use == before);
}
