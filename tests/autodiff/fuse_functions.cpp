// Every elementwise function of the vocabulary inside a lambda: value, vjp and jvp against the plain operators.

#include "../support.h"
#include "wengert/autodiff/ops/fuse.h"

#include <cmath>
#include <tuple>

using namespace wengert;
using test::random;

namespace {

void check_same(const char* what, std::size_t k, const Tensor& got, const Tensor& want, double tolerance) {
  REQUIRE(got.shape() == want.shape());
  const auto a = to(got.detach(), float64).to_vector<double>(), b = to(want.detach(), float64).to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(b[i])))) {
      FAIL_CHECK(what, " of result ", k, ": ", a[i], " instead of ", b[i]);
      return;
    }
}

// f on numbers against f on tensors, result by result.
template <class F, class... X>
void agrees(F f, const X&... x) {
  for (const DType dtype : {float64, float32}) {
    const double tolerance = dtype == float64 ? 1e-12 : 1e-5;
    const std::vector<Tensor> xs{to(x, dtype).track()...};
    const auto [got, want] = [&]<std::size_t... I>(std::index_sequence<I...>) {
      const auto y = fuse(f, xs[I]...);
      const auto z = std::apply([](auto... t) { return std::array{Tensor(t)...}; }, f(xs[I]...));
      return std::pair(std::vector<Tensor>(y.begin(), y.end()), std::vector<Tensor>(z.begin(), z.end()));
    }(std::index_sequence_for<X...>());
    std::vector<Tensor> x_dot;
    for (std::size_t i = 0; i < xs.size(); ++i) x_dot.push_back(to(random(xs[i].shape(), -1, 1, 7 + i), dtype));
    for (std::size_t k = 0; k < got.size(); ++k) {
      check_same("value", k, got[k], want[k], tolerance);
      if (!want[k].tracked()) continue;
      const Tensor y_bar = to(random(want[k].shape(), -1, 1, 5), dtype);
      const auto a = grad({&got[k], 1}, xs, {&y_bar, 1}, {.keep_graph = true}),
                 b = grad({&want[k], 1}, xs, {&y_bar, 1}, {.keep_graph = true});
      for (std::size_t i = 0; i < xs.size(); ++i) check_same("vjp", k, a[i], b[i], tolerance);
      check_same("jvp", k, push_forward({&got[k], 1}, xs, x_dot)[0], push_forward({&want[k], 1}, xs, x_dot)[0],
                 tolerance);
    }
  }
}

const Tensor line = random({3, 11}, -3, 3), positive = random({3, 11}, 0.2, 3, 2),
             inside = random({3, 11}, -0.9, 0.9, 3);

}  // namespace

TEST_CASE("fuse: arithmetic and steps are those of the operators") {
  agrees(
      [](auto x) {
        return std::tuple(-x, neg(x), x + 2, 2 - x, x * 1.5, 3 / x, x / 4, affine(x, 2, -1), abs(x), square(x), sign(x),
                          floor(x), ceil(x), round(x), trunc(x), reciprocal(x));
      },
      line);
}

TEST_CASE("fuse: roots, powers and logarithms are those of the operators") {
  agrees(
      [](auto x) {
        return std::tuple(sqrt(x), rsqrt(x), log(x), log2(x), log10(x), log1p(x), pow(x, 2.5), pow(x, 3), pow(2.5, x),
                          exp(x), exp2(x), expm1(x));
      },
      positive);
}

TEST_CASE("fuse: circular and hyperbolic functions are those of the operators") {
  agrees([](auto x) { return std::tuple(sin(x), cos(x), tan(x), atan(x), sinh(x), cosh(x), asinh(x), tanh(x)); },
         inside);
  agrees([](auto x) { return std::tuple(asin(x), acos(x), atanh(x), acosh(x + 2)); }, inside);
}

TEST_CASE("fuse: erf and gamma functions are those of the operators") {
  agrees([](auto x) { return std::tuple(erf(x), erfc(x), lgamma(x), digamma(x), polygamma(2, x)); }, positive);
}

TEST_CASE("fuse: activations are those of the operators") {
  agrees(
      [](auto x) {
        return std::tuple(relu(x), relu6(2 * x), leaky_relu(x), leaky_relu(x, 0.2), sigmoid(x), log_sigmoid(x),
                          softplus(x), softplus(x, 2), softplus(x, 2, 1.5), silu(x), mish(x), gelu(x), gelu_tanh(x));
      },
      line);
  agrees(
      [](auto x) {
        return std::tuple(elu(x), elu(x, 1.5), celu(x, 0.5), selu(x), softsign(x), tanhshrink(x), hardtanh(x),
                          hardtanh(x, -2, 0.5), hardsigmoid(2 * x), hardswish(2 * x), softshrink(x), hardshrink(x, 0.7),
                          clamp(x, -1, 0.5));
      },
      line);
}

TEST_CASE("fuse: functions of two numbers are those of the operators") {
  agrees(
      [](auto x, auto y) {
        return std::tuple(x + y, x - y, x * y, x / y, add(x, y), sub(x, y), mul(x, y), div(x, y), maximum(x, y),
                          minimum(x, y), maximum(x, 0.5), minimum(x, 0.5), scale(x, y), lerp(x, y, x));
      },
      line, positive);
  agrees(
      [](auto x, auto y) {
        return std::tuple(pow(x, y), hypot(x, y), atan2(x, y), logaddexp(x, y), xlogy(x, y), fmod(x, y),
                          remainder(x, y), clamp(x, y, y + 1));
      },
      positive, random({11}, 0.3, 2, 4));
}
