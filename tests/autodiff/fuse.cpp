#include "wengert/autodiff/fuse.h"

#include "../support.h"

using namespace wengert;
using test::check_rule;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

// The lambda as fuse runs it and on tensors, operator by operator.
template <class F, class... X>
void same_as_operators(F f, const X&... x) {
  const Tensor fused = fuse(f, x...), plain = f(x...);
  REQUIRE(fused.shape() == plain.shape());
  const auto a = fused.to_vector<double>(), b = plain.to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-14));
}

}  // namespace

TEST_CASE("fuse: the value is that of the operators, broadcast or not") {
  const double b = 1.5;
  auto f = [b](auto x, auto w) { return tanh(x * w) / b + max(x, 0) - sigmoid(w) * exp(-x * x); };
  for (auto& [s, t] :
       {std::pair<Shape, Shape>{{7}, {7}}, {{3, 4}, {4}}, {{}, {5}}, {{2, 1}, {1, 3}}, {{0}, {0}}, {{70, 30}, {1}}})
    same_as_operators(f, random(s), random(t, -1, 1, 2));
}

TEST_CASE("fuse: every derivative agrees with differences") {
  const double b = 1.5;
  auto f = [b](const Tensors& x) -> Tensor {
    return fuse([b](auto p, auto q,
                    auto r) { return tanh(p * q + r) * q / b + pow(r * r + 1, p) + select(p < q, p * p, softplus(r)); },
                x[0], x[1], x[2]);
  };
  check_rule(f, {random({7}), random({7}, -1, 1, 2), random({7}, -1, 1, 3)});
  check_rule(f, {random({2, 3}), random({3}, -1, 1, 2), random({}, -1, 1, 3)});
  check_rule(f, {random({0, 3}), random({3}, -1, 1, 2), random({1}, -1, 1, 3)});
}

TEST_CASE("fuse: one operand, six operands") {
  check_rule([](const Tensors& x) -> Tensor { return fuse([](auto p) { return p * sin(p) - cos(2 * p); }, x[0]); },
             {random({5})});
  check_rule(
      [](const Tensors& x) -> Tensor {
        return fuse([](auto p, auto q, auto r, auto s, auto t, auto u) { return p * q + r * s - t / (u * u + 1); },
                    x[0], x[1], x[2], x[3], x[4], x[5]);
      },
      {random({3, 4}), random({4}, -1, 1, 2), random({3, 1}, -1, 1, 3), random({}, -1, 1, 4), random({1, 4}, -1, 1, 5),
       random({3, 4}, -1, 1, 6)});
}

TEST_CASE("fuse: a third derivative") {
  const Tensor x = scalar(0.4, float64).track();
  Tensor d = fuse([](auto p) { return sin(p) * p; }, x);
  for (int order = 0; order < 3; ++order) d = grad(d, x, {.create_graph = true});
  CHECK(d.item() == doctest::Approx(-3 * std::sin(0.4) - 0.4 * std::cos(0.4)).epsilon(1e-12));
}

TEST_CASE("fuse: mistakes are named with the user's line") {
  auto f = [](auto x, auto y) { return x + y; };
  const Tensor a = random({3}), b = random({4});
  const int line = __LINE__ + 1;
  const std::string text = test::message<ShapeError>([&] { Tensor t = fuse(f, a, b); });
  CHECK(test::contains(text, "fuse: shapes [3] and [4] do not broadcast"));
  CHECK(test::contains(text, "fuse.cpp:" + std::to_string(line)));
  CHECK(test::contains(test::message<TypeError>([&] { Tensor t = fuse(f, a, zeros({3})); }), "fuse: dtypes differ"));
}
