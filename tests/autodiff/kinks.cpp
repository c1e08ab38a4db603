// Kinks, ties and poles: each sentence of docs/numerics.md about them, for the operators and inside fuse().

#include "../support.h"
#include "wengert/autodiff/ops/fuse.h"

#include <cmath>
#include <limits>

using namespace wengert;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

using Numbers = std::vector<double>;
using Tensors = std::vector<Tensor>;

Tensor row(const Numbers& x) { return from(x, {std::int64_t(x.size())}); }

// Exactly, but for the rounding of float32.
bool equal(double a, double b) { return a == b || std::abs(a - b) <= 1e-7 * std::abs(b); }

std::string text(const Numbers& x) {
  std::string s;
  for (double v : x) s += std::to_string(v) + " ";
  return s;
}

// The slopes of y in the only entry of each x, backwards and forwards.
void has_slopes(const char* form, const Tensor& y, const Tensors& x, const Numbers& slopes) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Tensor one = ones(y.shape(), y.dtype());
    const double back = grad({&y, 1}, {&x[i], 1}, {&one, 1}, {.keep_graph = true})[0].item();
    const double forth = push_forward({&y, 1}, {&x[i], 1}, {&one, 1})[0].item();
    CHECK_MESSAGE((equal(back, slopes[i]) && equal(forth, slopes[i])), form, ", operand ", i, ": vjp ", back, ", jvp ",
                  forth, " instead of ", slopes[i]);
  }
}

// f at one point, by operators and fused, in both dtypes.
template <class F, class... X>
void slopes_at(F f, const Numbers& slopes, X... at) {
  for (const DType dtype : {float64, float32}) {
    const Tensors x{scalar(at, dtype).track()...};
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      has_slopes("operators", f(x[I]...), x, slopes);
      has_slopes("fused", fuse(f, x[I]...), x, slopes);
    }(std::index_sequence_for<X...>());
  }
}

Numbers gradient(const Tensor& y, const Tensor& x) { return grad(y, x, {.keep_graph = true}).to_vector<double>(); }

}  // namespace

TEST_CASE("kinks: relu and abs have slope 0 at 0") {
  slopes_at([](auto x) { return relu(x); }, {0}, 0.0);
  slopes_at([](auto x) { return abs(x); }, {0}, 0.0);
  slopes_at([](auto x) { return abs(x); }, {0}, -0.0);
}

TEST_CASE("kinks: sign, floor, ceil, round, trunc have slope 0") {
  auto steps = [](auto x) { return sign(x) + floor(x) + ceil(x) + round(x) + trunc(x); };
  for (const double x : {-1.5, 0.0, 0.5, 2.0}) slopes_at(steps, {0}, x);
}

TEST_CASE("kinks: clamp passes the cotangent on the closed interval, hardtanh on the open one") {
  auto inside = [](auto x) { return clamp(x, -1, 2); };
  for (const double x : {-1.0, 0.5, 2.0}) slopes_at(inside, {1}, x);
  for (const double x : {-1.5, 2.5}) slopes_at(inside, {0}, x);
  auto open = [](auto x) { return hardtanh(x, -1, 2); };
  slopes_at(open, {0}, -1.0);
  slopes_at(open, {0}, 2.0);
}

TEST_CASE("kinks: a bound of clamp receives the cotangent where it is the result, and not at a tie") {
  auto f = [](auto x, auto low, auto high) { return clamp(x, low, high); };
  slopes_at(f, {0, 1, 0}, -3.0, -1.0, 2.0);
  slopes_at(f, {0, 0, 1}, 3.0, -1.0, 2.0);
  slopes_at(f, {1, 0, 0}, -1.0, -1.0, 2.0);
}

TEST_CASE("kinks: relu6, hardsigmoid, hardswish, shrinks and leaky_relu at their corners") {
  slopes_at([](auto x) { return relu6(x); }, {0}, 6.0);
  slopes_at([](auto x) { return relu6(x); }, {0}, 0.0);
  slopes_at([](auto x) { return softshrink(x) + hardshrink(x); }, {0}, 0.5);
  slopes_at([](auto x) { return leaky_relu(x, 0.25); }, {0.25}, 0.0);
}

TEST_CASE("ties: maximum and minimum give half to each, so that maximum(x, x) has slope 1") {
  slopes_at([](auto x, auto y) { return maximum(x, y); }, {0.5, 0.5}, 2.0, 2.0);
  slopes_at([](auto x, auto y) { return minimum(x, y); }, {0.5, 0.5}, 2.0, 2.0);
  slopes_at([](auto x) { return maximum(x, x) + minimum(x, x); }, {2}, 2.0);
  slopes_at([](auto x) { return maximum(x, 3); }, {0.5}, 3.0);
  slopes_at([](auto x, auto y) { return maximum(x, y); }, {0.5, 0.5}, inf, inf);
  slopes_at([](auto x, auto y) { return logaddexp(x, y); }, {0.5, 0.5}, -inf, -inf);
}

TEST_CASE("ties: amax and amin share evenly, max_with_index takes the first") {
  const Tensor x = row({1, 3, 3, 3, 1}).track();
  const double third = 1.0 / 3;
  CHECK(gradient(amax(x), x) == Numbers{0, third, third, third, 0});
  CHECK(gradient(amin(x), x) == Numbers{0.5, 0, 0, 0, 0.5});
  CHECK(gradient(max_with_index(x, 0).values, x) == Numbers{0, 1, 0, 0, 0});
  CHECK(gradient(min_with_index(x, 0).values, x) == Numbers{1, 0, 0, 0, 0});
  const Tensor z = row({2, -2, 1}).track();
  CHECK(gradient(norm(z, {.p = inf}), z) == Numbers{0.5, -0.5, 0});
}

TEST_CASE("ties: sort and topk keep the order in which equal entries came") {
  const Tensor x = row({2, 1, 2, 1}).track(), weight = row({1, 10, 100, 1000});
  CHECK(sort(x).indices.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 3, 0, 2});
  CHECK(sort(x, {.descending = true}).indices.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 2, 1, 3});
  CHECK(topk(x, 3).indices.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 2, 1});
  CHECK(gradient(sum(sort(x).values * weight), x) == Numbers{100, 1, 1000, 10});
  CHECK(gradient(sum(topk(x, 3).values * row({1, 10, 100})), x) == Numbers{1, 100, 10, 0});
}

TEST_CASE("ties: max_pool gives the cotangent to the first, cummax to the last so far") {
  const Tensor x = reshape(row({5, 5, 5, 5}), {1, 1, 2, 2}).track();
  CHECK(gradient(sum(max_pool(x, {2, 2})), x) == Numbers{1, 0, 0, 0});
  const Tensor y = row({1, 1, 0}).track();
  CHECK(gradient(sum(cummax(y, 0).values * row({1, 10, 100})), y) == Numbers{1, 110, 0});
}

TEST_CASE("kinks: norm, stddev and hypot have slope 0 at 0") {
  const Tensor x = row({0, 0, 0}).track();
  for (const double p : {0.5, 1.0, 2.0, 3.0, inf}) CHECK(gradient(norm(x, {.p = p}), x) == Numbers{0, 0, 0});
  const Tensor same = row({4, 4, 4}).track();
  CHECK(gradient(stddev(same), same) == Numbers{0, 0, 0});
  slopes_at([](auto a, auto b) { return hypot(a, b); }, {0, 0}, 0.0, 0.0);
}

TEST_CASE("poles: the slope of sqrt at 0 is infinite") {
  slopes_at([](auto x) { return sqrt(x); }, {inf}, 0.0);
}

TEST_CASE("kinks: x^p at x = 0 has slope 0 for p > 1, 1 for p = 1, and none of NaN in p") {
  auto power = [](auto x, auto p) { return pow(x, p); };
  slopes_at(power, {0, 0}, 0.0, 2.5);
  slopes_at(power, {0, 0}, 0.0, 2.0);
  slopes_at(power, {1, 0}, 0.0, 1.0);
  slopes_at(power, {inf, 0}, 0.0, 0.5);
  slopes_at(power, {0, 0}, 0.0, 0.0);
  slopes_at([](auto x) { return pow(x, 1.0); }, {1}, 0.0);
  slopes_at([](auto x) { return pow(x, 2.5) + pow(x, 2) + pow(x, 3) + pow(x, 0); }, {0}, 0.0);
  slopes_at([](auto p) { return pow(0.0, p); }, {0}, 2.0);
}

TEST_CASE("kinks: x log y is 0 at x = 0, whatever y, and so is its slope in y") {
  auto f = [](auto x, auto y) { return xlogy(x, y); };
  slopes_at(f, {0, 0}, 0.0, 0.0);
  slopes_at(f, {0, 0}, 0.0, -1.0);
  slopes_at(f, {std::log(2.0), 0}, 0.0, 2.0);
  for (const double y : {0.0, -1.0, inf}) CHECK(xlogy(scalar(0, float64), scalar(y, float64)).item() == 0);
  CHECK(std::isnan(xlogy(scalar(0, float64), scalar(NAN, float64)).item()));
}

TEST_CASE("products: derivatives of prod and cumprod are exact with zeros, the second ones too") {
  const Tensor x = row({2, 0, 3}).track(), two = row({0, 5, 0}).track();
  CHECK(gradient(prod(x), x) == Numbers{0, 6, 0});
  CHECK(gradient(prod(two), two) == Numbers{0, 0, 0});
  CHECK(gradient(sum(cumprod(x, 0)), x) == Numbers{1, 8, 0});
  CHECK(gradient(sum(cumprod(two, 0)), two) == Numbers{6, 0, 0});
  const Tensor g = grad(prod(x), x, {.create_graph = true});
  CHECK(gradient(select(g, 0, 0), x) == Numbers{0, 3, 0});  // d/dx of x1 x2
  const Tensor h = grad(prod(two), two, {.create_graph = true});
  CHECK(gradient(select(h, 0, 0), two) == Numbers{0, 0, 5});
}

TEST_CASE("poles: logsumexp of nothing but -inf is -inf, with slope 0") {
  const Tensor x = row({-inf, -inf}).track();
  CHECK(logsumexp(x, {-1}).item() == -inf);
  CHECK(gradient(logsumexp(x, {-1}), x) == Numbers{0, 0});
  CHECK(gradient(sum(logcumsumexp(x, 0)), x) == Numbers{0, 0});
}

TEST_CASE("where: the cotangent is selected, so that what is not taken stays away") {
  for (const double x0 : {0.0, -1.0, -inf, double(NAN)}) {
    const Tensor x = row({4, x0}).track();
    const Tensor y = where(x > 0, sqrt(x), zeros({2}, float64)), z = where(x > 0, log(x), scalar(0, float64));
    const Tensor fused = fuse([](auto t) { return select(t > 0, sqrt(t), 0); }, x),
                 fused_log = fuse([](auto t) { return select(t > 0, log(t), 0); }, x);
    const Tensor one = ones({2}, float64);
    for (const Tensor* t : {&y, &fused, &z, &fused_log}) {
      INFO(x0, ": ", text(gradient(sum(*t), x)));
      CHECK(gradient(sum(*t), x) == Numbers{0.25, 0});
      CHECK(push_forward({t, 1}, {&x, 1}, {&one, 1})[0].to_vector<double>()[0] == 0.25);
    }
  }
  const Tensor a = row({1, NAN}).track(), b = row({NAN, 2}).track();
  const Tensor y = where(tensor({1, 0}, boolean), a * 2, b * b);
  CHECK(y.to_vector<double>() == Numbers{2, 4});
  CHECK(gradient(sum(y), a) == Numbers{2, 0});
  CHECK(gradient(sum(y), b) == Numbers{0, 4});
}

TEST_CASE("where: a cotangent that is NaN reaches the side that was taken only") {
  const Tensor x = row({1, -1}).track(), y = row({2, 3}).track(), g = row({double(NAN), double(INFINITY)});
  const Tensor plain = where(x > 0, x, y), fused = fuse([](auto a, auto b) { return select(a > 0, a, b); }, x, y);
  for (const Tensor* z : {&plain, &fused}) {
    const Tensor xs[] = {x, y};
    const auto bars = grad({z, 1}, xs, {&g, 1}, {.keep_graph = true});
    const auto x_bar = bars[0].to_vector<double>(), y_bar = bars[1].to_vector<double>();
    CHECK(std::isnan(x_bar[0]));
    CHECK(x_bar[1] == 0);
    CHECK(y_bar == Numbers{0, inf});
  }
}

TEST_CASE("poles: a cotangent of 0 stays 0, and so does a tangent") {
  auto stays = [](auto f, auto... at) {
    const Tensors x{scalar(at, float64).track()...};
    const Tensor zero = scalar(0, float64);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      for (const Tensor& y : {Tensor(f(x[I]...)), Tensor(fuse(f, x[I]...))})
        for (const Tensor& v : x) {
          CHECK(grad({&y, 1}, {&v, 1}, {&zero, 1}, {.keep_graph = true})[0].item() == 0);
          CHECK(push_forward({&y, 1}, {&v, 1}, {&zero, 1})[0].item() == 0);
        }
    }(std::make_index_sequence<sizeof...(at)>());
  };
  stays([](auto x) { return sqrt(x); }, 0.0);
  stays([](auto x) { return sqrt(x); }, -1.0);
  stays([](auto x) { return rsqrt(x) + reciprocal(x) + log(x) + log2(x) + log10(x); }, 0.0);
  stays([](auto x) { return log1p(-x) + asin(x) + acos(x) + atanh(x) + acosh(x); }, 1.0);
  stays([](auto x) { return lgamma(x) + digamma(x); }, 0.0);
  stays([](auto x) { return pow(x, 0.5) + pow(x, -1); }, 0.0);
  stays([](auto x, auto y) { return x / y; }, 1.0, 0.0);
  stays([](auto x, auto y) { return atan2(x, y); }, 0.0, 0.0);
  stays([](auto x, auto y) { return pow(x, y); }, -1.0, 0.5);
  stays([](auto x, auto y) { return xlogy(x, y); }, 1.0, 0.0);
  stays([](auto x) { return exp(x); }, inf);
}

TEST_CASE("poles: what is multiplied by 0 afterwards has gradient 0 before a pole") {
  auto f = [](auto x, auto w) { return sqrt(x) * w + log(x) * w; };
  const Tensor x = scalar(0, float64).track(), w = scalar(0, float64);
  CHECK(gradient(f(x, w), x) == Numbers{0});
  CHECK(gradient(fuse(f, x, w), x) == Numbers{0});
}

TEST_CASE("steps: comparisons and indices are not on the tape") {
  const Tensor x = row({1, 3, 2}).track();
  for (const Tensor& y : {x < 2, equal(x, x), argmax(x, 0), argsort(x), sort(x).indices, topk(x, 2).indices,
                          max_with_index(x, 0).indices, to(x, int64)})
    CHECK_FALSE(y.tracked());
  CHECK(gradient(sum(to(x > 1, float64) + x), x) == Numbers{1, 1, 1});
}

TEST_CASE("broadcasting: an operand receives the sum over the axes it was repeated along") {
  const Tensor x = row({1, 2}).track(), y = reshape(row({3, 4, 5}), {3, 1}).track();
  auto f = [](auto a, auto b) { return a * b; };
  for (const Tensor& z : {f(x, y), Tensor(fuse(f, x, y))}) {
    CHECK(gradient(sum(z), x) == Numbers{12, 12});
    CHECK(gradient(sum(z), y) == Numbers{3, 3, 3});
  }
  CHECK(gradient(fuse_sum(f, x, y), x) == Numbers{12, 12});
}

TEST_CASE("unconnected: a tensor that the result does not depend on receives zeros of its dtype and shape") {
  const Tensor x = row({1, 2}).track(), other = ones({3}).track();
  const Tensor g = grad(sum(x), other, {.keep_graph = true});
  CHECK(g.dtype() == float32);
  CHECK(g.to_vector<float>() == std::vector<float>{0, 0, 0});
  const Tensor y = row({3, 4}).track();
  CHECK(gradient(sum(fuse([](auto a, auto) { return a; }, x, y)), y) == Numbers{0, 0});
  CHECK(gradient(sum(fuse([](auto) { return 7; }, x)), x) == Numbers{0, 0});
}

TEST_CASE("integers: they never require gradients") {
  CHECK(test::contains(test::message<TypeError>([] { (void)zeros({2}, int64).track(); }), "int64"));
  CHECK(test::contains(test::message<TypeError>([] { (void)zeros({2}, boolean).track(); }), "bool"));
  CHECK(test::contains(test::message<TypeError>([] { Tensor t = fuse([](auto a) { return a; }, zeros({2}, int64)); }),
                       "int64"));
}
