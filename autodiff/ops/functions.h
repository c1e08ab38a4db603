#pragma once

// Opt-in, through fuse.h: every pointwise function of the vocabulary, written once for any number type T: SIMD
// registers (Lanes), numbers with a derivative (Dual), tensors under a lambda (Term).
//
// A rule has a value and its slope dy/dx. The name of the slope tells what the tape stores for it: slope() nothing,
// slope_from_x(x) the operand, slope_from_result(y) the result. With two operands the slope takes arg<0> or arg<1>
// first, for the derivative in the first or second operand: slope_from_x(arg<i>, x, y), slope_from_result(arg<i>, x, y,
// result).

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/rule.h"

#include <cmath>
#include <string_view>

namespace wengert::detail {

/// A number that functions below are written for.
template <class T>
concept Number = requires { typename T::Scalar; };

// Stands for a number when a rule is asked which slopes it has; nothing is computed with it.
struct Probe {};

// What the slope of a rule in operand I of N is made of.
template <class Op, int N, int I>
struct SlopeOf {
  static constexpr bool constant = [] {
    if constexpr (N == 1) return requires(Op op) { op.slope(); };
    else return requires(Op op) { op.slope(arg<I>()); };
  }();
  static constexpr bool from_result = [] {
    if constexpr (N == 1) return requires(Op op, Probe p) { op.slope_from_result(p); };
    else return requires(Op op, Probe p) { op.slope_from_result(arg<I>(), p, p, p); };
  }();
};

/// The slope at operands x (and result y) as a number of type T.
template <int I, class Op, class T, std::size_t N>
T slope_at(const Op& op, const std::array<T, N>& x, const T& y) {
  using S = SlopeOf<Op, int(N), I>;
  if constexpr (N == 1) {
    if constexpr (S::constant) return T(op.slope());
    else if constexpr (S::from_result) return op.slope_from_result(y);
    else return op.slope_from_x(x[0]);
  } else {
    if constexpr (S::constant) return T(op.slope(arg<I>()));
    else if constexpr (S::from_result) return op.slope_from_result(arg<I>(), x[0], x[1], y);
    else return op.slope_from_x(arg<I>(), x[0], x[1]);
  }
}

}  // namespace wengert::detail

namespace wengert::rules {

// int64 runs the same templates on plain numbers.
inline std::int64_t maximum(std::int64_t x, std::int64_t y) { return x > y ? x : y; }
inline std::int64_t minimum(std::int64_t x, std::int64_t y) { return x < y ? x : y; }
inline std::int64_t abs(std::int64_t x) { return x < 0 ? -x : x; }

// ---------------------------------------------------------------- arithmetic

struct Add {
  static constexpr std::string_view name = "add";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return x + y; }
  template <int I> static double slope(arg<I>) { return 1; }
};

struct Sub {
  static constexpr std::string_view name = "sub";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return x - y; }
  static double slope(arg<0>) { return 1; }
  static double slope(arg<1>) { return -1; }
};

struct Mul {
  static constexpr std::string_view name = "mul";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return x * y; }
  template <class T> static T slope_from_x(arg<0>, T, T y) { return y; }
  template <class T> static T slope_from_x(arg<1>, T x, T) { return x; }
};

struct Div {
  static constexpr std::string_view name = "div";
  template <class T> static T value(T x, T y) { return x / y; }
  template <class T> static T slope_from_x(arg<0>, T, T y) { return T(1) / y; }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return -x / (y * y); }
};

// x^y. The slope in x is 0 at x = 0 for y > 1 and 1 for y = 1; the slope in y is 0 where x = 0 (docs/numerics.md,
// "Kinks").
struct Pow {
  static constexpr std::string_view name = "pow";
  template <class T> static T value(T x, T y) { return pow(x, y); }
  template <class T> static T slope_from_x(arg<0>, T x, T y) { return select(y == T(0), T(0), y * pow(x, y - T(1))); }
  template <class T> static T slope_from_x(arg<1>, T x, T y) {
    const T safe = select(x == T(0), T(1), x);
    return select(x == T(0), T(0), pow(x, y) * log(safe));
  }
};

// Ties share the cotangent equally.
struct Maximum {
  static constexpr std::string_view name = "maximum";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return maximum(x, y); }
  template <class T> static T slope_from_x(arg<0>, T x, T y) {
    return select(x > y, T(1), select(x == y, T(0.5), T(0)));
  }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return slope_from_x(arg<0>(), y, x); }
};

struct Minimum {
  static constexpr std::string_view name = "minimum";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return minimum(x, y); }
  template <class T> static T slope_from_x(arg<0>, T x, T y) {
    return select(x < y, T(1), select(x == y, T(0.5), T(0)));
  }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return slope_from_x(arg<0>(), y, x); }
};

// arctan(y / x) in the quadrant of the point (x, y); y comes first, as in std::atan2.
struct Atan2 {
  static constexpr std::string_view name = "atan2";
  template <class T> static T value(T y, T x) { return atan2(y, x); }
  template <class T> static T slope_from_x(arg<0>, T y, T x) { return x / (x * x + y * y); }
  template <class T> static T slope_from_x(arg<1>, T y, T x) { return -y / (x * x + y * y); }
};

// sqrt(x^2 + y^2), scaled by the larger so that no square overflows. The slopes at the origin are zero.
struct Hypot {
  static constexpr std::string_view name = "hypot";
  template <class T> static T value(T x, T y) {
    const T a = maximum(abs(x), abs(y)), b = minimum(abs(x), abs(y));
    const T ratio = b / select(a == T(0), T(1), a);
    return select(a == b, a * T(1.4142135623730951), a * sqrt(T(1) + ratio * ratio));
  }
  template <class T> static T slope_from_result(arg<0>, T x, T, T r) { return x / select(r == T(0), T(1), r); }
  template <class T> static T slope_from_result(arg<1>, T, T y, T r) { return y / select(r == T(0), T(1), r); }
};

// x - trunc(x / y) y: the sign of x.
struct Fmod {
  static constexpr std::string_view name = "fmod";
  template <class T> static T value(T x, T y) { return fmod(x, y); }
  static double slope(arg<0>) { return 1; }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return -trunc(x / y); }
};

// x - floor(x / y) y: the sign of y.
struct Remainder {
  static constexpr std::string_view name = "remainder";
  template <class T> static T value(T x, T y) {
    const T r = fmod(x, y), moved = r + y;
    return select(r > T(0), select(y < T(0), moved, r), select(r < T(0), select(y > T(0), moved, r), r));
  }
  static double slope(arg<0>) { return 1; }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return -floor(x / y); }
};

// A cotangent times a slope: zero stays zero.
struct Scale {
  static constexpr std::string_view name = "scale";
  template <class T> static T value(T x, T y) { return select(x == T(0), T(0), x * y); }
  template <class T> static T slope_from_x(arg<0>, T, T y) { return y; }
  template <class T> static T slope_from_x(arg<1>, T x, T) { return x; }
};

struct Neg {
  static constexpr std::string_view name = "neg";
  static constexpr bool integers = true;
  template <class T> static T value(T x) { return -x; }
  static double slope() { return -1; }
};

// a x + b with numbers a and b: x + 1, 2 - x, 3 * x, x / 4.
struct Affine {
  static constexpr std::string_view name = "affine";
  static constexpr bool integers = true;
  double scale = 1, shift = 0;
  void describe(auto& a) const { a.add("scale", scale), a.add("shift", shift); }
  template <class T> T value(T x) const { return T(scale) * x + T(shift); }
  double slope() const { return scale; }
};

// x^p with a number p.
struct PowScalar {
  static constexpr std::string_view name = "pow_scalar";
  double exponent = 1;
  void describe(auto& a) const { a.add("exponent", exponent); }
  template <class T> T value(T x) const {
    return exponent == 2 ? x * x : exponent == 3 ? x * x * x : pow(x, T(exponent));
  }
  template <class T> T slope_from_x(T x) const {
    if (exponent == 0) return T(0) * x;
    if (exponent == 1) return T(1) + T(0) * x;
    if (exponent == 2) return T(2) * x;
    return T(exponent) * pow(x, T(exponent - 1));
  }
};

// a^x with a number a.
struct Power {
  static constexpr std::string_view name = "power";
  double base = 1, log_base = 0;
  void describe(auto& a) const { a.add("base", base); }
  template <class T> T value(T x) const { return pow(T(base), x); }
  template <class T> T slope_from_result(T y) const { return T(log_base) * y; }
};

struct Abs {
  static constexpr std::string_view name = "abs";
  static constexpr bool integers = true;
  template <class T> static T value(T x) { return abs(x); }
  template <class T> static T slope_from_x(T x) { return select(x > T(0), T(1), select(x < T(0), T(-1), T(0))); }
};

// The steps below have slope zero everywhere.
struct Sign {
  static constexpr std::string_view name = "sign";
  template <class T> static T value(T x) { return select(x > T(0), T(1), select(x < T(0), T(-1), x)); }
  static double slope() { return 0; }
};
struct Floor {
  static constexpr std::string_view name = "floor";
  template <class T> static T value(T x) { return floor(x); }
  static double slope() { return 0; }
};
struct Ceil {
  static constexpr std::string_view name = "ceil";
  template <class T> static T value(T x) { return ceil(x); }
  static double slope() { return 0; }
};
struct Round {  // ties to even
  static constexpr std::string_view name = "round";
  template <class T> static T value(T x) { return round(x); }
  static double slope() { return 0; }
};
struct Trunc {
  static constexpr std::string_view name = "trunc";
  template <class T> static T value(T x) { return trunc(x); }
  static double slope() { return 0; }
};

struct Square {
  static constexpr std::string_view name = "square";
  static constexpr bool integers = true;
  template <class T> static T value(T x) { return x * x; }
  template <class T> static T slope_from_x(T x) { return T(2) * x; }
};

struct Reciprocal {
  static constexpr std::string_view name = "reciprocal";
  template <class T> static T value(T x) { return T(1) / x; }
  template <class T> static T slope_from_result(T y) { return -y * y; }
};

struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  template <class T> static T value(T x) { return sqrt(x); }
  template <class T> static T slope_from_result(T y) { return T(0.5) / y; }
};

struct Rsqrt {
  static constexpr std::string_view name = "rsqrt";
  template <class T> static T value(T x) { return T(1) / sqrt(x); }
  template <class T> static T slope_from_result(T y) { return T(-0.5) * y * y * y; }
};

// ---------------------------------------------------------------- elementary functions

struct Exp {
  static constexpr std::string_view name = "exp";
  template <class T> static T value(T x) { return exp(x); }
  template <class T> static T slope_from_result(T y) { return y; }
};

struct Log {
  static constexpr std::string_view name = "log";
  template <class T> static T value(T x) { return log(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / x; }
};

struct Log1p {
  static constexpr std::string_view name = "log1p";
  template <class T> static T value(T x) { return log1p(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / (T(1) + x); }
};

struct Expm1 {
  static constexpr std::string_view name = "expm1";
  template <class T> static T value(T x) { return expm1(x); }
  template <class T> static T slope_from_x(T x) { return exp(x); }
};

struct Exp2 {
  static constexpr std::string_view name = "exp2";
  template <class T> static T value(T x) { return exp2(x); }
  template <class T> static T slope_from_result(T y) { return T(0.69314718055994531) * y; }
};
struct Log2 {
  static constexpr std::string_view name = "log2";
  template <class T> static T value(T x) { return log2(x); }
  template <class T> static T slope_from_x(T x) { return T(1.4426950408889634) / x; }
};
struct Log10 {
  static constexpr std::string_view name = "log10";
  template <class T> static T value(T x) { return log10(x); }
  template <class T> static T slope_from_x(T x) { return T(0.43429448190325183) / x; }
};

// log(exp(x) + exp(y)). Where both are -inf (or inf) so is the result, and the cotangent is halved.
struct LogAddExp {
  static constexpr std::string_view name = "logaddexp";
  template <class T> static T value(T x, T y) {
    return select(x == y, x + T(0.69314718055994531), maximum(x, y) + log1p(exp(-abs(x - y))));
  }
  template <class T> static T slope_from_x(arg<0>, T x, T y) { return select(x == y, T(0.5), sigmoid(x - y)); }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return slope_from_x(arg<0>(), y, x); }
};

// x log(y), and 0 where x is 0 unless y is NaN.
struct Xlogy {
  static constexpr std::string_view name = "xlogy";
  template <class T> static T value(T x, T y) { return select(x == T(0), select(y == y, T(0), y), x * log(y)); }
  template <class T> static T slope_from_x(arg<0>, T x, T y) {
    const T at_zero = select(y > T(0), y, T(1));
    return log(select(x == T(0), at_zero, y));
  }
  template <class T> static T slope_from_x(arg<1>, T x, T y) { return select(x == T(0), T(0), x / y); }
};

struct Sin {
  static constexpr std::string_view name = "sin";
  template <class T> static T value(T x) { return sin(x); }
  template <class T> static T slope_from_x(T x) { return cos(x); }
};
struct Cos {
  static constexpr std::string_view name = "cos";
  template <class T> static T value(T x) { return cos(x); }
  template <class T> static T slope_from_x(T x) { return -sin(x); }
};

struct Tan {
  static constexpr std::string_view name = "tan";
  template <class T> static T value(T x) { return tan(x); }
  template <class T> static T slope_from_result(T y) { return T(1) + y * y; }
};
struct Asin {
  static constexpr std::string_view name = "asin";
  template <class T> static T value(T x) { return asin(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / sqrt((T(1) - x) * (T(1) + x)); }
};
struct Acos {
  static constexpr std::string_view name = "acos";
  template <class T> static T value(T x) { return acos(x); }
  template <class T> static T slope_from_x(T x) { return T(-1) / sqrt((T(1) - x) * (T(1) + x)); }
};
struct Atan {
  static constexpr std::string_view name = "atan";
  template <class T> static T value(T x) { return atan(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / (T(1) + x * x); }
};

struct Sinh {
  static constexpr std::string_view name = "sinh";
  template <class T> static T value(T x) { return sinh(x); }
  template <class T> static T slope_from_x(T x) { return cosh(x); }
};
struct Cosh {
  static constexpr std::string_view name = "cosh";
  template <class T> static T value(T x) { return cosh(x); }
  template <class T> static T slope_from_x(T x) { return sinh(x); }
};
struct Asinh {
  static constexpr std::string_view name = "asinh";
  template <class T> static T value(T x) { return asinh(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / hypot(x, T(1)); }
};
struct Acosh {
  static constexpr std::string_view name = "acosh";
  template <class T> static T value(T x) { return acosh(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / (sqrt(x - T(1)) * sqrt(x + T(1))); }
};
struct Atanh {
  static constexpr std::string_view name = "atanh";
  template <class T> static T value(T x) { return atanh(x); }
  template <class T> static T slope_from_x(T x) { return T(1) / ((T(1) - x) * (T(1) + x)); }
};

struct Tanh {
  static constexpr std::string_view name = "tanh";
  template <class T> static T value(T x) { return tanh(x); }
  template <class T> static T slope_from_result(T y) { return T(1) - y * y; }
};

struct Erf {
  static constexpr std::string_view name = "erf";
  template <class T> static T value(T x) { return erf(x); }
  template <class T> static T slope_from_x(T x) { return T(1.1283791670955126) * exp(-x * x); }
};

struct Erfc {
  static constexpr std::string_view name = "erfc";
  template <class T> static T value(T x) { return erfc(x); }
  template <class T> static T slope_from_x(T x) { return T(-1.1283791670955126) * exp(-x * x); }
};

// log |Gamma(x)|, its derivative, and the derivatives of that.
struct Lgamma {
  static constexpr std::string_view name = "lgamma";
  template <class T> static T value(T x) { return lgamma(x); }
  template <class T> static T slope_from_x(T x) { return digamma(x); }
};
struct Digamma {
  static constexpr std::string_view name = "digamma";
  template <class T> static T value(T x) { return digamma(x); }
  template <class T> static T slope_from_x(T x) { return polygamma(1, x); }
};
struct Polygamma {
  static constexpr std::string_view name = "polygamma";
  int n = 1;
  template <class T> T value(T x) const { return polygamma(n, x); }
  template <class T> T slope_from_x(T x) const { return polygamma(n + 1, x); }
};

// ---------------------------------------------------------------- activations

// The slope at zero is zero.
struct Relu {
  static constexpr std::string_view name = "relu";
  template <class T> static T value(T x) { return select(x <= T(0), T(0), x); }
  template <class T> static T slope_from_result(T y) { return select(y > T(0), T(1), T(0)); }
};

struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  double negative_slope = 0.01;
  void describe(auto& a) const { a.add("negative_slope", negative_slope); }
  template <class T> T value(T x) const { return select(x > T(0), x, T(negative_slope) * x); }
  template <class T> T slope_from_x(T x) const { return select(x > T(0), T(1), T(negative_slope)); }
};

/// e^x of no more than zero, to which registers have a shorter way.
template <class T>
T exp_of_negative(T x) {
  if constexpr (requires { exp_below(x); }) return exp_below(x);
  else return exp(x);
}

// 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows.
struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  template <class T> static T value(T x) {
    const T e = exp_of_negative(-abs(x));
    return select(x >= T(0), T(1), e) / (T(1) + e);
  }
  template <class T> static T slope_from_result(T y) { return y * (T(1) - y); }
};

// log(1 + exp(x)) without overflow; the slope is the sigmoid, taken from the input.
struct Softplus {
  static constexpr std::string_view name = "softplus";
  template <class T> static T value(T x) { return maximum(x, T(0)) + log1p(exp_of_negative(-abs(x))); }
  template <class T> static T slope_from_x(T x) { return sigmoid(x); }
};

// log(1 / (1 + exp(-x))) = -softplus(-x).
struct LogSigmoid {
  static constexpr std::string_view name = "log_sigmoid";
  template <class T> static T value(T x) { return minimum(x, T(0)) - log1p(exp_of_negative(-abs(x))); }
  template <class T> static T slope_from_x(T x) { return sigmoid(-x); }
};

// x sigmoid(x).  Hendrycks & Gimpel 2016; Elfwing, Uchibe & Doya 2017.
struct Silu {
  static constexpr std::string_view name = "silu";
  template <class T> static T value(T x) { return x * sigmoid(x); }
  template <class T> static T slope_from_x(T x) {
    const T s = sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

// x Phi(x) with the normal distribution function Phi.  Hendrycks & Gimpel 2016, eq. 1.
struct Gelu {
  static constexpr std::string_view name = "gelu";
  template <class T> static T value(T x) { return T(0.5) * x * (T(1) + erf(x * T(0.70710678118654752))); }
  template <class T> static T slope_from_x(T x) {
    return T(0.5) * (T(1) + erf(x * T(0.70710678118654752))) + x * T(0.39894228040143268) * exp(T(-0.5) * x * x);
  }
};

// The same with Phi(x) replaced by (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
struct GeluTanh {
  static constexpr std::string_view name = "gelu_tanh";
  template <class T> static T inner(T x) { return T(0.79788456080286536) * x * (T(1) + T(0.044715) * x * x); }
  template <class T> static T value(T x) { return T(0.5) * x * (T(1) + tanh(inner(x))); }
  template <class T> static T slope_from_x(T x) {
    const T t = tanh(inner(x));
    return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * (T(0.79788456080286536) * (T(1) + T(0.134145) * x * x));
  }
};

// x tanh(softplus(x)).  Misra 2019.
struct Mish {
  static constexpr std::string_view name = "mish";
  template <class T> static T value(T x) { return x * tanh(softplus(x)); }
  template <class T> static T slope_from_x(T x) {
    const T t = tanh(softplus(x));
    return t + x * (T(1) - t * t) * sigmoid(x);
  }
};

struct Softsign {
  static constexpr std::string_view name = "softsign";
  template <class T> static T value(T x) { return x / (T(1) + abs(x)); }
  template <class T> static T slope_from_x(T x) {
    const T r = T(1) / (T(1) + abs(x));
    return r * r;
  }
};

// x - tanh(x).
struct Tanhshrink {
  static constexpr std::string_view name = "tanhshrink";
  template <class T> static T value(T x) { return x - tanh(x); }
  template <class T> static T slope_from_x(T x) {
    const T t = tanh(x);
    return t * t;
  }
};

// Klambauer et al. 2017.
struct Selu {
  static constexpr std::string_view name = "selu";
  static constexpr double scale = 1.0507009873554805, alpha = 1.6732632423543772;
  template <class T> static T value(T x) {
    return select(x > T(0), T(scale) * x, T(scale * alpha) * expm1(minimum(x, T(0))));
  }
  template <class T> static T slope_from_x(T x) {
    return select(x > T(0), T(scale), T(scale * alpha) * exp_of_negative(minimum(x, T(0))));
  }
};

// x for x > 0, else alpha (exp(x / alpha) - 1): slope one at zero from both sides.  Barron 2017.
struct Celu {
  static constexpr std::string_view name = "celu";
  double alpha = 1;
  void describe(auto& a) const { a.add("alpha", alpha); }
  template <class T> T value(T x) const {
    return select(x > T(0), x, T(alpha) * expm1(minimum(x, T(0)) * T(1 / alpha)));
  }
  template <class T> T slope_from_x(T x) const { return exp(minimum(x, T(0)) * T(1 / alpha)); }
};

struct Elu {
  static constexpr std::string_view name = "elu";
  double alpha = 1;
  void describe(auto& a) const { a.add("alpha", alpha); }
  template <class T> T value(T x) const { return select(x > T(0), x, T(alpha) * expm1(minimum(x, T(0)))); }
  template <class T> T slope_from_x(T x) const {
    return select(x > T(0), T(1), T(alpha) * exp_of_negative(minimum(x, T(0))));
  }
};

// Passes the cotangent on the closed interval.
struct Clamp {
  static constexpr std::string_view name = "clamp";
  double low_bound = -1, high_bound = 1;
  void describe(auto& a) const { a.add("low_bound", low_bound), a.add("high_bound", high_bound); }
  template <class T> T value(T x) const { return minimum(maximum(x, T(low_bound)), T(high_bound)); }
  template <class T> T slope_from_x(T x) const {
    return select(x >= T(low_bound), select(x <= T(high_bound), T(1), T(0)), T(0));
  }
};

// The same values, but slope zero already at the bounds.
struct Hardtanh {
  static constexpr std::string_view name = "hardtanh";
  double low_bound = -1, high_bound = 1;
  void describe(auto& a) const { a.add("low_bound", low_bound), a.add("high_bound", high_bound); }
  template <class T> T value(T x) const { return minimum(maximum(x, T(low_bound)), T(high_bound)); }
  template <class T> T slope_from_x(T x) const {
    return select(x > T(low_bound), select(x < T(high_bound), T(1), T(0)), T(0));
  }
};

struct Relu6 {
  static constexpr std::string_view name = "relu6";
  template <class T> static T value(T x) { return minimum(maximum(x, T(0)), T(6)); }
  template <class T> static T slope_from_result(T y) { return select(y > T(0), select(y < T(6), T(1), T(0)), T(0)); }
};

// relu6(x + 3) / 6.
struct Hardsigmoid {
  static constexpr std::string_view name = "hardsigmoid";
  template <class T> static T value(T x) { return relu6(x + T(3)) * T(1.0 / 6); }
  template <class T> static T slope_from_x(T x) { return select(x > T(-3), select(x < T(3), T(1.0 / 6), T(0)), T(0)); }
};

// x relu6(x + 3) / 6.  Howard et al. 2019.
struct Hardswish {
  static constexpr std::string_view name = "hardswish";
  template <class T> static T value(T x) { return x * relu6(x + T(3)) * T(1.0 / 6); }
  template <class T> static T slope_from_x(T x) {
    return select(x < T(-3), T(0), select(x <= T(3), x * T(1.0 / 3) + T(0.5), T(1)));
  }
};

// Moved by lambda towards zero; zero inside [-lambda, lambda].
struct Softshrink {
  static constexpr std::string_view name = "softshrink";
  double lambda = 0.5;
  void describe(auto& a) const { a.add("lambda", lambda); }
  template <class T> T value(T x) const {
    return select(x > T(lambda), x - T(lambda), select(x < T(-lambda), x + T(lambda), T(0) * x));
  }
  template <class T> T slope_from_x(T x) const {
    return select(x > T(lambda), T(1), select(x < T(-lambda), T(1), T(0)));
  }
};

// Zero inside [-lambda, lambda], else x.
struct Hardshrink {
  static constexpr std::string_view name = "hardshrink";
  double lambda = 0.5;
  void describe(auto& a) const { a.add("lambda", lambda); }
  template <class T> T value(T x) const { return select(x > T(lambda), x, select(x < T(-lambda), x, T(0) * x)); }
  template <class T> T slope_from_x(T x) const {
    return select(x > T(lambda), T(1), select(x < T(-lambda), T(1), T(0)));
  }
};

}  // namespace wengert::rules

// The functions that lambdas of fuse() call, and rules: found through the number type, which lives here. A number type
// with a form of its own (Lanes has many) goes before these templates.
namespace wengert::detail {

#define WENGERT_UNARY(function, Rule)                                         \
  template <Number T>                                                         \
  T function(const T& x) {                                                    \
    return T::unary(x, rules::Rule{}, [](Operand t) { return function(t); }); \
  }
#define WENGERT_BINARY(function, Rule)                                                          \
  template <Number T>                                                                           \
  T function(const T& x, const T& y) {                                                          \
    return T::binary(x, y, rules::Rule{}, [](Operand s, Operand t) { return function(s, t); }); \
  }

WENGERT_BINARY(pow, Pow)
WENGERT_BINARY(maximum, Maximum)
WENGERT_BINARY(minimum, Minimum)
WENGERT_BINARY(atan2, Atan2)
WENGERT_BINARY(hypot, Hypot)
WENGERT_BINARY(fmod, Fmod)
WENGERT_BINARY(remainder, Remainder)
WENGERT_BINARY(scale, Scale)
WENGERT_BINARY(logaddexp, LogAddExp)
WENGERT_BINARY(xlogy, Xlogy)
WENGERT_UNARY(abs, Abs)
WENGERT_UNARY(sign, Sign)
WENGERT_UNARY(floor, Floor)
WENGERT_UNARY(ceil, Ceil)
WENGERT_UNARY(round, Round)
WENGERT_UNARY(trunc, Trunc)
WENGERT_UNARY(square, Square)
WENGERT_UNARY(reciprocal, Reciprocal)
WENGERT_UNARY(sqrt, Sqrt)
WENGERT_UNARY(rsqrt, Rsqrt)
WENGERT_UNARY(exp, Exp)
WENGERT_UNARY(log, Log)
WENGERT_UNARY(log1p, Log1p)
WENGERT_UNARY(expm1, Expm1)
WENGERT_UNARY(exp2, Exp2)
WENGERT_UNARY(log2, Log2)
WENGERT_UNARY(log10, Log10)
WENGERT_UNARY(sin, Sin)
WENGERT_UNARY(cos, Cos)
WENGERT_UNARY(tan, Tan)
WENGERT_UNARY(asin, Asin)
WENGERT_UNARY(acos, Acos)
WENGERT_UNARY(atan, Atan)
WENGERT_UNARY(sinh, Sinh)
WENGERT_UNARY(cosh, Cosh)
WENGERT_UNARY(asinh, Asinh)
WENGERT_UNARY(acosh, Acosh)
WENGERT_UNARY(atanh, Atanh)
WENGERT_UNARY(tanh, Tanh)
WENGERT_UNARY(erf, Erf)
WENGERT_UNARY(erfc, Erfc)
WENGERT_UNARY(lgamma, Lgamma)
WENGERT_UNARY(digamma, Digamma)
WENGERT_UNARY(relu, Relu)
WENGERT_UNARY(sigmoid, Sigmoid)
WENGERT_UNARY(softplus, Softplus)
WENGERT_UNARY(log_sigmoid, LogSigmoid)
WENGERT_UNARY(silu, Silu)
WENGERT_UNARY(gelu, Gelu)
WENGERT_UNARY(gelu_tanh, GeluTanh)
WENGERT_UNARY(mish, Mish)
WENGERT_UNARY(softsign, Softsign)
WENGERT_UNARY(tanhshrink, Tanhshrink)
WENGERT_UNARY(selu, Selu)
WENGERT_UNARY(relu6, Relu6)
WENGERT_UNARY(hardsigmoid, Hardsigmoid)
WENGERT_UNARY(hardswish, Hardswish)
#undef WENGERT_UNARY
#undef WENGERT_BINARY

// Plain numbers beside a T: maximum(x, 0), atan2(y, 1).
#define WENGERT_WITH_NUMBER(function)                                                         \
  template <Number T, class N> requires std::is_arithmetic_v<N> T function(const T& x, N y) { \
    return function(x, T(y));                                                                 \
  }                                                                                           \
  template <Number T, class N> requires std::is_arithmetic_v<N> T function(N x, const T& y) { \
    return function(T(x), y);                                                                 \
  }
WENGERT_WITH_NUMBER(maximum)
WENGERT_WITH_NUMBER(minimum)
WENGERT_WITH_NUMBER(atan2)
WENGERT_WITH_NUMBER(hypot)
WENGERT_WITH_NUMBER(fmod)
WENGERT_WITH_NUMBER(remainder)
WENGERT_WITH_NUMBER(logaddexp)
WENGERT_WITH_NUMBER(xlogy)
#undef WENGERT_WITH_NUMBER

// Operators of ops.h that need no rule of their own under a lambda.
template <Number T> T add(const T& x, const T& y) { return x + y; }
template <Number T> T sub(const T& x, const T& y) { return x - y; }
template <Number T> T mul(const T& x, const T& y) { return x * y; }
template <Number T> T div(const T& x, const T& y) { return x / y; }
template <Number T> T neg(const T& x) { return -x; }
template <Number T> T affine(const T& x, double a, double b) { return a * x + b; }
template <Number T> T lerp(const T& x, const T& end, const T& weight) { return x + weight * (end - x); }
template <Number T> T clamp(const T& x, const T& low, const T& high) {
  const T y = select(x < low, low, x);
  return select(y > high, high, y);
}

#define WENGERT_WITH(function, Rule, parameters, ...)                                                  \
  template <Number T>                                                                                  \
  T function(const T& x, WENGERT_LIST parameters) {                                                    \
    return T::unary(x, rules::Rule{__VA_ARGS__}, [=](Operand t) { return function(t, __VA_ARGS__); }); \
  }
#define WENGERT_LIST(...) __VA_ARGS__
WENGERT_WITH(pow, PowScalar, (double exponent), exponent)
WENGERT_WITH(clamp, Clamp, (double low, double high), low, high)
WENGERT_WITH(hardtanh, Hardtanh, (double low = -1, double high = 1), low, high)
WENGERT_WITH(leaky_relu, LeakyRelu, (double negative_slope = 0.01), negative_slope)
WENGERT_WITH(elu, Elu, (double alpha = 1), alpha)
WENGERT_WITH(celu, Celu, (double alpha = 1), alpha)
WENGERT_WITH(softshrink, Softshrink, (double lambda = 0.5), lambda)
WENGERT_WITH(hardshrink, Hardshrink, (double lambda = 0.5), lambda)
#undef WENGERT_LIST
#undef WENGERT_WITH

template <Number T> T pow(double base, const T& x) {
  return T::unary(x, rules::Power{base, base == 0 ? 0 : std::log(base)}, [=](Operand t) { return pow(base, t); });
}
template <Number T> T polygamma(int n, const T& x) {
  return T::unary(x, rules::Polygamma{n}, [=](Operand t) { return polygamma(n, t); });
}
template <Number T> T softplus(const T& x, double beta, double threshold = 1e300) {
  const T scaled = x * beta, bent = softplus(scaled) / beta;
  return threshold < 1e300 ? select(scaled > T(threshold), x, bent) : bent;
}

}  // namespace wengert::detail
