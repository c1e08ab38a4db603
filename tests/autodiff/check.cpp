// The harness itself: a rule that is wrong in one way only is told so, in words that say where.

#include "wengert/autodiff/inspect/check.h"

#include "../support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

// x^3, x^2 and x with slopes that are right times what is wrong.
template <int N>
struct Power {
  static constexpr std::string_view name = "power";
  double wrong_vjp = 1, wrong_jvp = 1, wrong_below = 1;
  Saved x;

  Tensor forward(const Tensor& a) {
    x = a;
    Tensor y = a;
    for (int i = 1; i < N; ++i) y = y * a;
    return y;
  }
  Tensor slope() const {
    if constexpr (N == 1) return x * 0 + 1;
    else
      return N * apply(Power<N - 1>{N == 2 ? wrong_below : 1, N == 2 ? wrong_below : 1, wrong_below, {}}, Operand(x));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return wrong_vjp * (y_bar * slope()); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return wrong_jvp * (x_dot * slope()); }
};

// Any function as a rule, wrong in what `f` and `pull` make of their operands.
struct Any {
  static constexpr std::string_view name = "any";
  Tensor (*f)(const Tensor&, const Tensor&) = nullptr;
  Tensor (*pull)(const Tensor& y_bar, const Tensor& x, const Tensor& w) = nullptr;
  Saved x, w;

  Tensor forward(const Tensor& a, const Tensor& b) {
    x = a, w = b;
    return f(a, b);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return pull(y_bar, x, w); }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return y_bar * x; }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return x_dot * w; }
  Tensor jvp(arg<1>, const Tensor& w_dot) const { return w_dot * x; }
};

Tensor product(const Tensor& x, const Tensor& w) { return x * w; }
Tensor pulled(const Tensor& y_bar, const Tensor&, const Tensor& w) { return y_bar * w; }

std::string said(const Any& rule) {
  return check([&](const Tensors& x) { return apply(rule, Operand(x[0]), Operand(x[1])); },
               {random({3, 4}, 0.5, 2), random({3, 4}, 0.5, 2, 2)})
      .text();
}

// What the harness says, with third order on and off.
template <class Rule>
std::string said_of(const Rule& rule, bool third = true) {
  CheckOptions options;
  options.third_order = third;
  return check([&](const Tensors& x) { return apply(rule, Operand(x[0])); }, {random({5}, 0.5, 2)}, options).text();
}

}  // namespace

TEST_CASE("check: a rule that is right passes") {
  CHECK(said_of(Power<3>{}).empty());
  CHECK(said({product, pulled, {}, {}}).empty());
}

TEST_CASE("check: a factor in the vjp, in the jvp or in both is found") {
  CHECK(contains(said_of(Power<3>{-1, 1, 1, {}}), "adjoint identity"));
  CHECK(contains(said_of(Power<3>{1 + 1e-9, 1, 1, {}}), "adjoint identity"));
  const std::string both = said_of(Power<3>{2, 2, 1, {}});
  CHECK(contains(both, "jvp, result 0 element 0"));
  CHECK(!contains(both, "adjoint identity"));
}

TEST_CASE("check: a derivative of the derivative that is wrong is found, and one of that") {
  CHECK(contains(said_of(Power<2>{1, 1, 2, {}}), "second order"));
  // Wrong from the third derivative on only.
  const std::string third = said_of(Power<3>{1, 1, 2, {}});
  CHECK(contains(third, "third order"));
  CHECK(!contains(third, "second order"));
  CHECK(said_of(Power<3>{1, 1, 2, {}}, false).empty());
}

TEST_CASE("check: a kernel that reads a view as if its entries were in order is found") {
  // The numbers in the order of memory: right for row-major tensors only.
  auto in_memory = [](const Tensor& x) -> Tensor {
    bool in_order = true;
    std::int64_t step = 1;
    for (int i = x.rank(); i-- > 0;) in_order &= x.size(i) == 1 || x.strides()[i] == step, step *= x.size(i);
    return in_order ? x : flip(x);
  };
  static Tensor (*const misread)(const Tensor&) = in_memory;
  const std::string operands = said({[](const Tensor& x, const Tensor& w) { return misread(x) * w; }, pulled, {}, {}});
  CHECK(contains(operands, "value of strided operands"));
  const std::string cotangents =
      said({product, [](const Tensor& y_bar, const Tensor&, const Tensor& w) { return misread(y_bar) * w; }, {}, {}});
  CHECK(contains(cotangents, "gradient from a strided cotangent"));
}

TEST_CASE("check: a derivative that leans on another operand's being tracked is found") {
  const std::string text =
      check([](const Tensors& x) { return x[1].tracked() ? x[0] * x[1] : x[0].detach() * x[1] + 2 * x[0]; },
            {random({3}), random({3}, -1, 1, 2)})
          .text();
  CHECK(contains(text, "gradient of operand 0 changes when only operands"));
}

TEST_CASE("check: other bits with other threads, and float32 that is not the rounded float64, are found") {
  CHECK(contains(check([](const Tensors& x) { return x[0] * (1 + 1e-15 * threads()); }, {random({3})}).text(),
                 "other bits with"));
  CHECK(contains(
      check([](const Tensors& x) { return x[0].dtype() == float32 ? 1.01 * x[0] : 1 * x[0]; }, {random({3})}).text(),
      "float32 value"));
}

TEST_CASE("check: needs a float64 operand, and takes others as data") {
  CHECK(contains(test::message<TypeError>([] { (void)check([](const Tensors& x) { return x[0]; }, {ones({2})}); }),
                 "check: no operand is float64"));
  CHECK(check([](const Tensors& x) { return take(x[0], 0, x[1]); }, {random({3}), tensor({2, 0}, int64)}).passed());
}

TEST_CASE("third derivatives: those of elementary functions are what calculus says") {
  struct Row {
    const char* name;
    Tensor (*f)(Operand);
    double (*third)(double);
    double at;
  };
  auto s = [](double x) { return 1 / (1 + std::exp(-x)); };
  static const auto sigma = s;
  const Row rows[] = {
      {"exp", exp, [](double x) { return std::exp(x); }, 0.3},
      {"exp2", exp2, [](double x) { return std::pow(std::log(2), 3) * std::exp2(x); }, 0.3},
      {"expm1", expm1, [](double x) { return std::exp(x); }, 0.3},
      {"log", log, [](double x) { return 2 / (x * x * x); }, 0.7},
      {"log2", log2, [](double x) { return 2 / (x * x * x) / std::log(2); }, 0.7},
      {"log10", log10, [](double x) { return 2 / (x * x * x) / std::log(10); }, 0.7},
      {"log1p", log1p, [](double x) { return 2 / std::pow(1 + x, 3); }, 0.7},
      {"sin", sin, [](double x) { return -std::cos(x); }, 0.4},
      {"cos", cos, [](double x) { return std::sin(x); }, 0.4},
      {"tan", tan,
       [](double x) {
         const double t = std::tan(x), q = 1 + t * t;
         return 2 * q * (q + 2 * t * t);
       },
       0.4},
      {"asin", asin, [](double x) { return (1 + 2 * x * x) * std::pow(1 - x * x, -2.5); }, 0.4},
      {"acos", acos, [](double x) { return -(1 + 2 * x * x) * std::pow(1 - x * x, -2.5); }, 0.4},
      {"atan", atan, [](double x) { return (6 * x * x - 2) / std::pow(1 + x * x, 3); }, 0.4},
      {"sinh", sinh, [](double x) { return std::cosh(x); }, 0.4},
      {"cosh", cosh, [](double x) { return std::sinh(x); }, 0.4},
      {"tanh", tanh,
       [](double x) {
         const double t = std::tanh(x), q = 1 - t * t;
         return -2 * q * (q - 2 * t * t);
       },
       0.4},
      {"asinh", asinh, [](double x) { return (2 * x * x - 1) * std::pow(1 + x * x, -2.5); }, 0.4},
      {"acosh", acosh, [](double x) { return (2 * x * x + 1) * std::pow(x * x - 1, -2.5); }, 1.6},
      {"atanh", atanh, [](double x) { return (2 + 6 * x * x) / std::pow(1 - x * x, 3); }, 0.4},
      {"sqrt", sqrt, [](double x) { return 0.375 * std::pow(x, -2.5); }, 0.7},
      {"rsqrt", rsqrt, [](double x) { return -1.875 * std::pow(x, -3.5); }, 0.7},
      {"reciprocal", reciprocal, [](double x) { return -6 / std::pow(x, 4); }, 0.7},
      {"square", square, [](double) { return 0.0; }, 0.7},
      {"x^2.5", [](Operand x) { return pow(x, 2.5); }, [](double x) { return 1.875 / std::sqrt(x); }, 0.7},
      {"2.5^x", [](Operand x) { return pow(2.5, x); },
       [](double x) { return std::pow(std::log(2.5), 3) * std::pow(2.5, x); }, 0.7},
      {"erf", erf, [](double x) { return 2 / std::sqrt(M_PI) * (4 * x * x - 2) * std::exp(-x * x); }, 0.4},
      {"erfc", erfc, [](double x) { return -2 / std::sqrt(M_PI) * (4 * x * x - 2) * std::exp(-x * x); }, 0.4},
      {"lgamma", lgamma,  // polygamma(2, 1/2) = -14 zeta(3)
       [](double) { return -14 * 1.2020569031595942; }, 0.5},
      {"digamma", digamma,  // polygamma(3, 1/2) = pi^4
       [](double) { return std::pow(M_PI, 4); }, 0.5},
      {"polygamma", [](Operand x) { return polygamma(1, x); },  // polygamma(4, 1) = -24 zeta(5)
       [](double) { return -24 * 1.0369277551433699; }, 1},
      {"sigmoid", sigmoid,
       [](double x) {
         const double p = sigma(x), q = p * (1 - p);
         return q * (1 - 6 * q);
       },
       0.4},
      {"softplus", softplus,
       [](double x) {
         const double p = sigma(x);
         return p * (1 - p) * (1 - 2 * p);
       },
       0.4},
      {"log_sigmoid", log_sigmoid,
       [](double x) {
         const double p = sigma(x);
         return -p * (1 - p) * (1 - 2 * p);
       },
       0.4},
      {"gelu", gelu, [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI) * x * (x * x - 4); }, 0.4},
  };
  for (const Row& row : rows) {
    const Tensor x = scalar(row.at, float64).track();
    Tensor y = row.f(x);
    for (int order = 1; order <= 3; ++order) y = grad({&y, 1}, {&x, 1}, {}, {.create_graph = true})[0];
    const double want = row.third(row.at);
    CHECK_MESSAGE(std::abs(y.item() - want) <= 1e-9 * (1 + std::abs(want)), row.name, ": ", y.item(), " instead of ",
                  want);
  }
}
