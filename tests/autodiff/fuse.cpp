#include "wengert/autodiff/ops/fuse.h"

#include "../support.h"

#include <cmath>
#include <tuple>

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

// Equal to rounding, infinities and NaN included.
bool same(const Tensor& x, const Tensor& y) {
  const auto a = x.to_vector<double>(), b = y.to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) || std::abs(a[i] - b[i]) <= 1e-13 * std::abs(b[i])))
      return false;
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("fuse: the value is that of the operators, broadcast or not") {
  const double b = 1.5;
  auto f = [b](auto x, auto w) { return tanh(x * w) / b + maximum(x, 0) - sigmoid(w) * exp(-x * x); };
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

TEST_CASE("fuse: any number of operands, thirty-two at most") {
  const Tensor x = random({5}).track();
  auto f = [](auto a, auto b, auto c, auto d, auto e, auto f, auto g, auto h, auto i, auto j) {
    return a * b + c * d + e * f + g * h + i * j;
  };
  CHECK(same(grad(sum(fuse(f, x, x, x, x, x, x, x, x, x, x)), x), 10 * x.detach()));
}

TEST_CASE("fuse: several results come as an array, and every derivative agrees with differences") {
  auto f = [](auto r, auto phi) { return std::tuple(r * cos(phi), r * sin(phi), 2.5); };
  const auto [x, y, c] = fuse(f, random({4}), random({3, 4}, -1, 1, 2));
  CHECK(x.shape() == Shape{3, 4});
  CHECK(c.to_vector<double>() == std::vector<double>(12, 2.5));
  check_rule(
      [&](const Tensors& t) -> Tensors {
        const auto z = fuse(f, t[0], t[1]);
        return {z[0], z[1]};
      },
      {random({4}), random({3, 4}, -1, 1, 2)});
  check_rule(
      [&](const Tensors& t) -> Tensor {
        const auto [a, b] = fuse([](auto p) { return std::array{square(p), exp(p)}; }, t[0]);
        return a * b;
      },
      {random({9})});
}

TEST_CASE("fuse: the tangents of all operands go through one loop") {
  const Tensor x = random({9}).track(), w = random({9}, -1, 1, 2).track(), x_dot = random({9}, -1, 1, 3),
               w_dot = random({9}, -1, 1, 4);
  const Tensor xs[] = {x, w}, dots[] = {x_dot, w_dot};
  const Tensor y = fuse([](auto p, auto q) { return p * tanh(q); }, x, w), z = x * tanh(w);
  const auto got = push_forward({&y, 1}, xs, dots)[0].to_vector<double>(),
             want = push_forward({&z, 1}, xs, dots)[0].to_vector<double>();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-13));
}

TEST_CASE("fuse: conditions are combined by && || !, and selected numbers may be plain") {
  auto f = [](auto x, auto y) {
    return select((x < y && !(x <= -0.5)) || x == 0.25, x * y, select(x >= y, 2, y)) + select(x != y, 1, 0) * x;
  };
  auto plain = [](double x, double y) {
    return ((x < y && !(x <= -0.5)) || x == 0.25 ? x * y : x >= y ? 2 : y) + (x != y ? 1 : 0) * x;
  };
  const Tensor x = random({50}), y = random({50}, -1, 1, 2);
  const auto a = x.to_vector<double>(), b = y.to_vector<double>(), got = fuse(f, x, y).to_vector<double>();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == plain(a[i], b[i]));
  check_rule([&](const Tensors& t) -> Tensor { return fuse(f, t[0], t[1]); }, {x, y});
}

TEST_CASE("fuse: a third derivative") {
  const Tensor x = scalar(0.4, float64).track();
  Tensor d = fuse([](auto p) { return sin(p) * p; }, x);
  for (int order = 0; order < 3; ++order) d = grad(d, x, {.create_graph = true});
  CHECK(d.item() == doctest::Approx(-3 * std::sin(0.4) - 0.4 * std::cos(0.4)).epsilon(1e-12));
}

TEST_CASE("fuse: where a derivative is infinite or NaN it is what the operators give") {
  auto f = [](auto x, auto w) { return sqrt(x) * w + log(relu(w)) - sqrt(x * x); };
  const Tensor x = tensor({0, 4, 0, 1, 9}, float64).track(), w = tensor({0, 1, 2, -1, 3}, float64).track();
  const Tensor xs[] = {x, w}, dots[] = {ones({5}, float64), ones({5}, float64)};
  const Tensor y = fuse(f, x, w), z = f(x, w);
  for (const bool cold : {false, true}) {
    const Tensor y_bar = cold ? tensor({0, 1, 0, 0, 1}, float64) : ones({5}, float64);
    const auto got = grad({&y, 1}, xs, {&y_bar, 1}, {.keep_graph = true}),
               want = grad({&z, 1}, xs, {&y_bar, 1}, {.keep_graph = true});
    for (int k = 0; k < 2; ++k) CHECK(same(got[k], want[k]));
  }
  CHECK(same(push_forward({&y, 1}, xs, dots)[0], push_forward({&z, 1}, xs, dots)[0]));
}

TEST_CASE("fuse: pow of negative numbers has the slope of its base") {
  const Tensor x = tensor({-2, 3}, float64).track();
  CHECK(grad(sum(fuse([](auto t) { return pow(t, 2) + pow(t, 3.0); }, x)), x).to_vector<double>() ==
        std::vector<double>{8, 33});
}

TEST_CASE("fuse: mistakes are named with the user's line") {
  auto f = [](auto x, auto y) { return x + y; };
  const Tensor a = random({3}), b = random({4});
  const int line = __LINE__ + 1;
  const std::string text = test::message<ShapeError>([&] { Tensor t = fuse(f, a, b); });
  CHECK(test::contains(text, "fuse: shapes [3] and [4] do not broadcast"));
  CHECK(test::contains(text, "fuse.cpp:" + std::to_string(line)));
  CHECK(test::contains(test::message<TypeError>([&] { Tensor t = fuse(f, a, zeros({3})); }), "fuse: dtypes differ"));
  CHECK(test::contains(test::message<TypeError>([&] { Tensor t = fuse(f, zeros({3}, int64), zeros({3}, int64)); }),
                       "fuse: needs float32 or float64, got int64"));
  CHECK(test::contains(test::message<ValueError>([&] { Tensor t = fuse(f, a, Tensor()); }),
                       "fuse: an operand is undefined"));
}
