#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/random.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

struct Unary {
  const char* name;
  Tensor (*f)(Operand);
  double (*plain)(double);
  double low = -2, high = 2, tolerance = 4e-15;
};

const Unary unary[] = {
    {"neg", [](Operand x) { return -x; }, [](double x) { return -x; }},
    {"abs", abs, [](double x) { return std::fabs(x); }},
    {"square", square, [](double x) { return x * x; }},
    {"reciprocal", reciprocal, [](double x) { return 1 / x; }, 0.5, 2},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }, 0.1, 3},
    {"exp", exp, [](double x) { return std::exp(x); }},
    {"expm1", expm1, [](double x) { return std::expm1(x); }},
    {"log", log, [](double x) { return std::log(x); }, 0.1, 3},
    {"log1p", log1p, [](double x) { return std::log1p(x); }, -0.5, 3},
    {"sin", sin, [](double x) { return std::sin(x); }},
    {"cos", cos, [](double x) { return std::cos(x); }},
    {"tanh", tanh, [](double x) { return std::tanh(x); }},
    {"erf", erf, [](double x) { return std::erf(x); }},
    {"relu", relu, [](double x) { return std::fmax(x, 0); }},
    {"leaky_relu", [](Operand x) { return leaky_relu(x, 0.1); }, [](double x) { return x > 0 ? x : 0.1 * x; }},
    {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"softplus", softplus, [](double x) { return std::log(1 + std::exp(x)); }},
    {"silu", silu, [](double x) { return x / (1 + std::exp(-x)); }},
    {"gelu", gelu, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
    {"elu", [](Operand x) { return elu(x, 1.5); }, [](double x) { return x > 0 ? x : 1.5 * (std::exp(x) - 1); }},
    {"clamp", [](Operand x) { return clamp(x, -1.05, 1.05); },
     [](double x) { return std::fmin(std::fmax(x, -1.05), 1.05); }},
    {"pow 3", [](Operand x) { return pow(x, 3); }, [](double x) { return x * x * x; }},
    {"pow 2.5", [](Operand x) { return pow(x, 2.5); }, [](double x) { return std::pow(x, 2.5); }, 0.1, 2},
    {"sign", sign, [](double x) { return double((x > 0) - (x < 0)); }},
    {"floor", floor, [](double x) { return std::floor(x); }},
    {"ceil", ceil, [](double x) { return std::ceil(x); }},
    {"round", round, [](double x) { return std::nearbyint(x); }},
    {"trunc", trunc, [](double x) { return std::trunc(x); }},
    {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, 0.1, 3},
    {"exp2", exp2, [](double x) { return std::exp2(x); }},
    {"log2", log2, [](double x) { return std::log2(x); }, 0.1, 3},
    {"log10", log10, [](double x) { return std::log10(x); }, 0.1, 3},
    {"tan", tan, [](double x) { return std::tan(x); }, -1.2, 1.2},
    {"asin", asin, [](double x) { return std::asin(x); }, -0.9, 0.9},
    {"acos", acos, [](double x) { return std::acos(x); }, -0.9, 0.9},
    {"atan", atan, [](double x) { return std::atan(x); }},
    {"sinh", sinh, [](double x) { return std::sinh(x); }},
    {"cosh", cosh, [](double x) { return std::cosh(x); }},
    {"asinh", asinh, [](double x) { return std::asinh(x); }},
    {"acosh", acosh, [](double x) { return std::acosh(x); }, 1.2, 5},
    {"atanh", atanh, [](double x) { return std::atanh(x); }, -0.9, 0.9},
    {"erfc", erfc, [](double x) { return std::erfc(x); }},
    {"lgamma", lgamma, [](double x) { return std::lgamma(x); }, 0.3, 5},
    {"lgamma below 0", lgamma, [](double x) { return std::lgamma(x); }, -1.8, -1.2},
    {"digamma", digamma, [](double x) { return (std::lgamma(x + 1e-4) - std::lgamma(x - 1e-4)) / 2e-4; }, 1.5, 2, 1e-8},
    {"digamma below 0", digamma, [](double x) { return (std::lgamma(x + 1e-4) - std::lgamma(x - 1e-4)) / 2e-4; }, -1.8,
     -1.3, 1e-6},
    {"polygamma", [](Operand x) { return polygamma(2, x); },
     [](double x) {
       double s = 0.5 / std::pow(x + 1000, 2);  // -2 sum 1 / (x + k)^3, the rest by its integral
       s += 0.5 / std::pow(x + 1000, 3);
       for (int k = 999; k >= 0; --k) s += 1 / std::pow(x + k, 3);
       return -2 * s;
     },
     0.5, 3, 1e-10},
    {"polygamma below 0", [](Operand x) { return polygamma(1, x); },
     [](double x) {
       double s = 1 / (x + 1000) + 0.5 / std::pow(x + 1000, 2);
       for (int k = 999; k >= 0; --k) s += 1 / std::pow(x + k, 2);
       return s;
     },
     -1.8, -1.2, 1e-8},
    {"relu6", relu6, [](double x) { return std::fmin(std::fmax(x, 0), 6); }, 4.1, 7.9},
    {"log_sigmoid", log_sigmoid, [](double x) { return -std::log(1 + std::exp(-x)); }},
    {"softplus, beta", [](Operand x) { return softplus(x, 2, 1.1); },
     [](double x) { return 2 * x > 1.1 ? x : std::log(1 + std::exp(2 * x)) / 2; }},
    {"mish", mish, [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }},
    {"gelu_tanh", gelu_tanh,
     [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
    {"celu", [](Operand x) { return celu(x, 0.5); },
     [](double x) { return x > 0 ? x : 0.5 * (std::exp(x / 0.5) - 1); }},
    {"selu", selu, [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (std::exp(x) - 1)); }},
    {"softsign", softsign, [](double x) { return x / (1 + std::fabs(x)); }},
    {"tanhshrink", tanhshrink, [](double x) { return x - std::tanh(x); }},
    {"hardtanh", [](Operand x) { return hardtanh(x, -1.05, 0.95); },
     [](double x) { return std::fmin(std::fmax(x, -1.05), 0.95); }},
    {"hardsigmoid", hardsigmoid, [](double x) { return std::fmin(std::fmax(x / 6 + 0.5, 0), 1); }, -4, 4},
    {"hardswish", hardswish, [](double x) { return x * std::fmin(std::fmax(x / 6 + 0.5, 0), 1); }, -4, 4},
    {"softshrink", [](Operand x) { return softshrink(x); },
     [](double x) { return x > 0.5    ? x - 0.5
                           : x < -0.5 ? x + 0.5
                                      : 0; }},
    {"hardshrink", [](Operand x) { return hardshrink(x); }, [](double x) { return std::fabs(x) > 0.5 ? x : 0; }},
    {"2^x", [](Operand x) { return pow(2.5, x); }, [](double x) { return std::pow(2.5, x); }},
    {"affine", [](Operand x) { return 3 - 2 * x; }, [](double x) { return 3 - 2 * x; }},
    {"2 / x", [](Operand x) { return 2 / x; }, [](double x) { return 2 / x; }, 0.5, 2},
    {"x / 4", [](Operand x) { return x / 4; }, [](double x) { return x / 4; }},
};

}  // namespace

TEST_CASE("unary operators: values are those of plain doubles, for every length of the tail") {
  for (const Unary& u : unary)
    for (std::int64_t n : {1, 2, 3, 4, 7, 8, 9, 16, 17, 600}) {
      const Tensor x = random({n}, u.low, u.high, std::uint64_t(n));
      const auto got = u.f(x).to_vector<double>(), from = x.to_vector<double>();
      for (std::size_t i = 0; i < got.size(); ++i) {
        const double want = u.plain(from[i]);
        CHECK_MESSAGE(std::abs(got[i] - want) <= u.tolerance * (1 + std::abs(want)), u.name, " at ", from[i], ": ",
                      got[i], " instead of ", want);
      }
    }
}

TEST_CASE("unary operators: every derivative agrees with differences") {
  for (const Unary& u : unary)
    for (Shape shape : {Shape{7}, Shape{}, Shape{0}, Shape{2, 1, 3}, Shape{33, 20}}) {
      INFO(u.name, " ", to_string(shape));
      check_rule([&](const Tensors& x) { return u.f(x[0]); }, {random(shape, u.low, u.high, 3)});
    }
}

TEST_CASE("binary operators: every derivative agrees with differences, broadcast or not") {
  struct Binary {
    const char* name;
    Tensor (*f)(Operand, Operand);
    double low;
  };
  const Binary binary[] = {{"add", add, -1},
                           {"sub", sub, -1},
                           {"mul", mul, -1},
                           {"div", div, 0.5},
                           {"pow", pow, 0.3},
                           {"maximum", maximum, -1},
                           {"minimum", minimum, -1},
                           {"scale", scale, 0.1},
                           {"atan2", atan2, 0.3},
                           {"hypot", hypot, 0.3},
                           {"fmod", fmod, 0.6},
                           {"remainder", remainder, 0.6},
                           {"logaddexp", logaddexp, -1},
                           {"xlogy", xlogy, 0.3}};
  const std::pair<Shape, Shape> shapes[] = {
      {{5}, {5}},    {{}, {}},   {{3, 4}, {4}},   {{4}, {3, 4}}, {{3, 1}, {1, 4}}, {{2, 3, 4}, {3, 1}},
      {{0, 3}, {3}}, {{1}, {1}}, {{40, 30}, {1}}, {{}, {2, 2}},  {{1, 1}, {5}},    {{2, 1, 2}, {2, 2}}};
  for (const Binary& b : binary)
    for (auto& [s, t] : shapes) {
      INFO(b.name, " ", to_string(s), " ", to_string(t));
      check_rule([&](const Tensors& x) { return b.f(x[0], x[1]); },
                 {random(s, b.low, 1.7, 5), random(t, b.low, 1.7, 6)});
    }
}

TEST_CASE("where: every derivative agrees with differences, and a NaN not taken stays away") {
  const Tensor c = tensor({1, 0, 1}, boolean);
  check_rule([&](const Tensors& x) { return where(c, x[0], x[1]); }, {random({2, 3}), random({3}, -1, 1, 2)});
  const Tensor x = tensor({4, -1, 9}).track();
  const Tensor y = where(x > 0, sqrt(x), zeros({3}));
  CHECK(grad(sum(y), x).to_vector<float>() == std::vector<float>{0.25f, 0, 1 / 6.f});
}

TEST_CASE("kinks: slopes are those of docs/numerics.md") {
  auto slope = [](Tensor (*f)(Operand), double at) {
    const Tensor x = scalar(at, float64).track();
    return grad(f(x), x).item();
  };
  CHECK(slope(relu, 0) == 0);
  CHECK(slope(abs, 0) == 0);
  CHECK(slope([](Operand x) { return clamp(x, -1, 1); }, 1) == 1);
  CHECK(slope([](Operand x) { return clamp(x, -1, 1); }, -1) == 1);
  CHECK(slope([](Operand x) { return maximum(x, scalar(2, float64)); }, 2) == 0.5);
  CHECK(slope([](Operand x) { return maximum(x, x); }, 2) == 1);
  CHECK(slope([](Operand x) { return pow(x, 2); }, 0) == 0);
  CHECK(slope([](Operand x) { return pow(x, 1.0); }, 0) == 1);
  CHECK(slope([](Operand x) { return pow(x, scalar(1, float64)); }, 0) == 1);
  CHECK(slope([](Operand x) { return pow(scalar(0, float64), x); }, 2) == 0);
  CHECK(std::isinf(slope(sqrt, 0)));
}

TEST_CASE("poles: a cotangent of zero stays zero, and so does its slope") {
  const Tensor x = tensor({0, 4}, float64).track();
  const Tensor y = sqrt(x);
  const Tensor y_bar = tensor({0, 1}, float64);
  CHECK(grad({&y, 1}, {&x, 1}, {&y_bar, 1}, {.keep_graph = true})[0].to_vector<double>() ==
        std::vector<double>{0, 0.25});
  CHECK(push_forward({&y, 1}, {&x, 1}, {&y_bar, 1})[0].to_vector<double>() == std::vector<double>{0, 0.25});
}

TEST_CASE("maximum and relu: a NaN is the result") {
  const Tensor nan = tensor({NAN});
  CHECK(std::isnan(relu(nan).item()));
  CHECK(std::isnan(maximum(nan, zeros({1})).item()));
  CHECK(std::isnan(maximum(zeros({1}), nan).item()));
}

TEST_CASE("elementary functions: right up to the ends of the range, in both dtypes") {
  CHECK(exp(scalar(709.7, float64)).item() == doctest::Approx(std::exp(709.7)).epsilon(1e-15));
  CHECK(exp(scalar(88.5)).item() == doctest::Approx(std::exp(88.5f)).epsilon(1e-7));
  CHECK(std::isinf(exp(scalar(710, float64)).item()));
  CHECK(exp(scalar(-745, float64)).item() == std::exp(-745.0));
  CHECK(exp2(scalar(1023.5, float64)).item() == std::exp2(1023.5));
  CHECK(expm1(scalar(709.7, float64)).item() == doctest::Approx(std::exp(709.7)).epsilon(1e-15));
  CHECK(log(scalar(1e-320, float64)).item() == doctest::Approx(std::log(1e-320)).epsilon(1e-15));
  CHECK(erf(scalar(1e300, float64)).item() == 1);
  CHECK(std::isnan(erf(scalar(NAN, float64)).item()));
  CHECK(erfc(scalar(20, float64)).item() == doctest::Approx(std::erfc(20.0)).epsilon(1e-15));
  CHECK(std::isnan(acosh(scalar(-1e22, float64)).item()));
  CHECK(hypot(scalar(1e200, float64), scalar(1e200, float64)).item() ==
        doctest::Approx(std::sqrt(2) * 1e200).epsilon(1e-15));
  const double inf = INFINITY;
  for (double y : {0.0, -0.0, 1.0, inf, -inf})
    for (double x : {0.0, -0.0, -1.0, inf, -inf})
      CHECK(atan2(scalar(y, float64), scalar(x, float64)).item() == doctest::Approx(std::atan2(y, x)).epsilon(1e-15));
}

TEST_CASE("int64 arithmetic is exact") {
  const Tensor x = from(std::vector<std::int64_t>{std::int64_t{1} << 60, -3, 7}, {3});
  CHECK((x + x).to_vector<std::int64_t>() == std::vector<std::int64_t>{std::int64_t{1} << 61, -6, 14});
  CHECK((x * 2 - 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{(std::int64_t{1} << 61) - 1, -7, 13});
  CHECK(abs(x).to_vector<std::int64_t>()[1] == 3);
  CHECK(test::contains(test::message<TypeError>([&] { (void)(x * 0.5); }), "whole"));
}

TEST_CASE("errors name the operator, both shapes and the line of the call") {
  const Tensor a = zeros({2, 3}), b = zeros({4, 3});
  const int line = __LINE__ + 1;
  const std::string text = test::message<ShapeError>([&] { (void)(a + b); });
  CHECK(test::contains(text, "add: shapes [2, 3] and [4, 3] do not broadcast"));
  CHECK(test::contains(text, "pointwise.cpp:" + std::to_string(line)));
  CHECK(test::contains(test::message<TypeError>([&] { (void)mul(a, zeros({3}, float64)); }),
                       "mul: dtypes differ: float32 and float64"));
  CHECK(test::contains(test::message<TypeError>([&] { (void)tanh(zeros({3}, int64)); }),
                       "tanh: needs float32 or float64, got int64"));
  CHECK(test::contains(test::message<TypeError>([&] { (void)where(a, a, a); }), "condition must be bool"));
}

// Results from 32 MiB on take another way to memory, in short turns.
TEST_CASE("large results have the bits of their slices") {
  Rng rng(3);
  constexpr std::int64_t columns = 257, rows = 33001;  // 33.9 MB of float32, not in whole lines
  const Tensor x = randn({rows, columns}, rng), w = randn({columns}, rng);
  const auto same = [&](const Tensor& whole, auto&& of_rows) {
    for (std::int64_t from = 0; from < rows; from += 11000) {
      const std::int64_t to = std::min(rows, from + 11000);
      if (sum(abs(slice(whole, 0, from, to) - of_rows(slice(x, 0, from, to)))).item() != 0) return false;
    }
    return true;
  };
  CHECK(same(x * x, [](const Tensor& part) { return part * part; }));
  CHECK(same(x * w, [&](const Tensor& part) { return part * w; }));
  CHECK(same(where(x > 0, x, 0.5 * x), [](const Tensor& part) { return where(part > 0, part, 0.5 * part); }));
  const Tensor leaf = x.track();
  CHECK(same(grad(sum(square(leaf)), leaf), [](const Tensor& part) { return 2.0 * part; }));  // in place
}

// From 32,768 entries on both cotangents of a product are computed by turns, the second over y_bar where that is free.
TEST_CASE("large cotangents of two operands are those of one at a time") {
  Rng rng(4);
  const Tensor x = randn({411, 97}, rng), w = randn({411, 97}, rng), row = randn({97}, rng);
  const Tensor y_bar = randn({411, 97}, rng), kept = y_bar * 1.0;
  const auto check = [&](auto&& f, const Tensor& b, const Tensor& x_bar, const Tensor& b_bar) {
    const Tensor leaves[] = {x.track(), b.track()}, y = f(leaves[0], leaves[1]);
    const std::vector<Tensor> bars = grad({&y, 1}, leaves, {&y_bar, 1});
    CHECK(sum(abs(bars[0] - x_bar)).item() == 0);
    CHECK(sum(abs(bars[1] - b_bar)).item() == 0);
    CHECK(sum(abs(y_bar - kept)).item() == 0);
  };
  const auto product = [](const Tensor& a, const Tensor& b) { return a * b; };
  check(product, w, y_bar * w, y_bar * x);
  check(product, row, y_bar * row, sum(y_bar * x, {0}));
  // Over a cotangent that nobody else holds.
  check([](const Tensor& a, const Tensor& b) { return 2 * (a * b); }, w, 2 * y_bar * w, 2 * y_bar * x);
  check([](const Tensor& a, const Tensor& b) { return a / b; }, w, y_bar * (1 / w), y_bar * (-x / (w * w)));
}
