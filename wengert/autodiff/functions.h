#pragma once

// Opt-in, through fuse.h: every pointwise function of the vocabulary, written once for any number type T: SIMD registers (Lanes),
// numbers with a derivative (Dual), tensors under a lambda (Term). value is the function. The slope tells the memory bill:
// slope() keeps nothing, slope_x(x) keeps the operand, slope_y(y) keeps the result. With several operands slopes take arg<i> first.
// `low` and `high` bound where tests draw operands (for those whose domain is not the real line).

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/rule.h"

#include <string_view>

namespace wengert {

/// A number that functions below are written for.
template <class T>
concept Number = requires { typename T::Scalar; };

// Only asked for whether a rule has a form; never computed with.
struct Probe {};

// What a rule's slope for operand I of N needs.
template <class Op, int N, int I>
struct SlopeOf {
  static constexpr bool constant = [] {
    if constexpr (N == 1) return requires(Op op) { op.slope(); };
    else return requires(Op op) { op.slope(arg<I>()); };
  }();
  static constexpr bool from_result = [] {
    if constexpr (N == 1) return requires(Op op, Probe p) { op.slope_y(p); };
    else return requires(Op op, Probe p) { op.slope_y(arg<I>(), p, p, p); };
  }();
};

/// The slope at operands x (and result y) as a number of type T.
template <int I, class Op, class T, std::size_t N>
T slope_at(const Op& op, const std::array<T, N>& x, const T& y) {
  using S = SlopeOf<Op, int(N), I>;
  if constexpr (N == 1) {
    if constexpr (S::constant) return T(op.slope());
    else if constexpr (S::from_result) return op.slope_y(y);
    else return op.slope_x(x[0]);
  } else {
    if constexpr (S::constant) return T(op.slope(arg<I>()));
    else if constexpr (S::from_result) return op.slope_y(arg<I>(), x[0], x[1], y);
    else return op.slope_x(arg<I>(), x[0], x[1]);
  }
}

// int64 runs the same templates on plain numbers.
inline std::int64_t maximum(std::int64_t x, std::int64_t y) { return x > y ? x : y; }
inline std::int64_t minimum(std::int64_t x, std::int64_t y) { return x < y ? x : y; }
inline std::int64_t abs(std::int64_t x) { return x < 0 ? -x : x; }

// Makes function(x) available to lambdas of fuse() for every number type that has no form of its own.
#define WENGERT_UNARY(function, Rule)                 \
  template <Number T>                                 \
  T function(const T& x) {                            \
    return T::template unary<Rule>(x, [](Operand t) { return function(t); }); \
  }
#define WENGERT_BINARY(function, Rule)                \
  template <Number T>                                 \
  T function(const T& x, const T& y) {                \
    return T::template binary<Rule>(x, y, [](Operand s, Operand t) { return function(s, t); }); \
  }

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
  template <class T> static T slope_x(arg<0>, T, T y) { return y; }
  template <class T> static T slope_x(arg<1>, T x, T) { return x; }
};

struct Div {
  static constexpr std::string_view name = "div";
  static constexpr double low1 = 0.5;
  template <class T> static T value(T x, T y) { return x / y; }
  template <class T> static T slope_x(arg<0>, T, T y) { return T(1) / y; }
  template <class T> static T slope_x(arg<1>, T x, T y) { return -x / (y * y); }
};

// x^y. The slope in x is 0 at x = 0 for y > 1 and 1 for y = 1; the slope in y is 0 where x = 0 (docs/numerics.md, "Kinks").
struct Pow {
  static constexpr std::string_view name = "pow";
  static constexpr double low = 0.1;
  template <class T> static T value(T x, T y) { return pow(x, y); }
  template <class T> static T slope_x(arg<0>, T x, T y) { return select(y == T(0), T(0), y * pow(x, y - T(1))); }
  template <class T> static T slope_x(arg<1>, T x, T y) {
    const T safe = select(x == T(0), T(1), x);
    return select(x == T(0), T(0), pow(x, y) * log(safe));
  }
};
WENGERT_BINARY(pow, Pow)

// Ties share the cotangent equally.
struct Maximum {
  static constexpr std::string_view name = "maximum";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return maximum(x, y); }
  template <class T> static T slope_x(arg<0>, T x, T y) { return select(x > y, T(1), select(x == y, T(0.5), T(0))); }
  template <class T> static T slope_x(arg<1>, T x, T y) { return slope_x(arg<0>(), y, x); }
};
WENGERT_BINARY(maximum, Maximum)

struct Minimum {
  static constexpr std::string_view name = "minimum";
  static constexpr bool integers = true;
  template <class T> static T value(T x, T y) { return minimum(x, y); }
  template <class T> static T slope_x(arg<0>, T x, T y) { return select(x < y, T(1), select(x == y, T(0.5), T(0))); }
  template <class T> static T slope_x(arg<1>, T x, T y) { return slope_x(arg<0>(), y, x); }
};
WENGERT_BINARY(minimum, Minimum)

template <Number T> T max(const T& x, const T& y) { return maximum(x, y); }
template <Number T> T min(const T& x, const T& y) { return minimum(x, y); }

// Plain numbers beside a T: max(x, 0), pow(x, 3).
#define WENGERT_WITH_NUMBER(function)                                                                           \
  template <Number T, class N> requires std::is_arithmetic_v<N> T function(const T& x, N y) { return function(x, T(y)); } \
  template <Number T, class N> requires std::is_arithmetic_v<N> T function(N x, const T& y) { return function(T(x), y); }
WENGERT_WITH_NUMBER(maximum)
WENGERT_WITH_NUMBER(minimum)
WENGERT_WITH_NUMBER(max)
WENGERT_WITH_NUMBER(min)
WENGERT_WITH_NUMBER(pow)
#undef WENGERT_WITH_NUMBER

// A cotangent times a slope: zero stays zero.
struct Scale {
  static constexpr std::string_view name = "scale";
  template <class T> static T value(T x, T y) { return select(x == T(0), T(0), x * y); }
  template <class T> static T slope_x(arg<0>, T, T y) { return y; }
  template <class T> static T slope_x(arg<1>, T x, T) { return x; }
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
  template <class T> T value(T x) const { return T(scale) * x + T(shift); }
  double slope() const { return scale; }
};

// x^p with a number p.
struct PowScalar {
  static constexpr std::string_view name = "pow_scalar";
  static constexpr double low = 0.1;
  double exponent = 1;
  template <class T> T value(T x) const { return exponent == 2 ? x * x : exponent == 3 ? x * x * x : pow(x, T(exponent)); }
  template <class T> T slope_x(T x) const {
    if (exponent == 0) return T(0) * x;
    if (exponent == 1) return T(1) + T(0) * x;
    if (exponent == 2) return T(2) * x;
    return T(exponent) * pow(x, T(exponent - 1));
  }
};

struct Abs {
  static constexpr std::string_view name = "abs";
  static constexpr bool integers = true;
  template <class T> static T value(T x) { return abs(x); }
  template <class T> static T slope_x(T x) { return select(x > T(0), T(1), select(x < T(0), T(-1), T(0))); }
};
WENGERT_UNARY(abs, Abs)

struct Square {
  static constexpr std::string_view name = "square";
  static constexpr bool integers = true;
  template <class T> static T value(T x) { return x * x; }
  template <class T> static T slope_x(T x) { return T(2) * x; }
};
WENGERT_UNARY(square, Square)

struct Reciprocal {
  static constexpr std::string_view name = "reciprocal";
  static constexpr double low = 0.5;
  template <class T> static T value(T x) { return T(1) / x; }
  template <class T> static T slope_y(T y) { return -y * y; }
};
WENGERT_UNARY(reciprocal, Reciprocal)

struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  static constexpr double low = 0.1;
  template <class T> static T value(T x) { return sqrt(x); }
  template <class T> static T slope_y(T y) { return T(0.5) / y; }
};
WENGERT_UNARY(sqrt, Sqrt)

// ---------------------------------------------------------------- elementary functions

struct Exp {
  static constexpr std::string_view name = "exp";
  template <class T> static T value(T x) { return exp(x); }
  template <class T> static T slope_y(T y) { return y; }
};
WENGERT_UNARY(exp, Exp)

struct Log {
  static constexpr std::string_view name = "log";
  static constexpr double low = 0.1;
  template <class T> static T value(T x) { return log(x); }
  template <class T> static T slope_x(T x) { return T(1) / x; }
};
WENGERT_UNARY(log, Log)

struct Log1p {
  static constexpr std::string_view name = "log1p";
  static constexpr double low = -0.5;
  template <class T> static T value(T x) { return log1p(x); }
  template <class T> static T slope_x(T x) { return T(1) / (T(1) + x); }
};
WENGERT_UNARY(log1p, Log1p)

struct Expm1 {
  static constexpr std::string_view name = "expm1";
  template <class T> static T value(T x) { return expm1(x); }
  template <class T> static T slope_x(T x) { return exp(x); }
};
WENGERT_UNARY(expm1, Expm1)

struct Sin {
  static constexpr std::string_view name = "sin";
  template <class T> static T value(T x) { return sin(x); }
  template <class T> static T slope_x(T x) { return cos(x); }
};
struct Cos {
  static constexpr std::string_view name = "cos";
  template <class T> static T value(T x) { return cos(x); }
  template <class T> static T slope_x(T x) { return -sin(x); }
};
WENGERT_UNARY(sin, Sin)
WENGERT_UNARY(cos, Cos)

struct Tanh {
  static constexpr std::string_view name = "tanh";
  template <class T> static T value(T x) { return tanh(x); }
  template <class T> static T slope_y(T y) { return T(1) - y * y; }
};
WENGERT_UNARY(tanh, Tanh)

struct Erf {
  static constexpr std::string_view name = "erf";
  template <class T> static T value(T x) { return erf(x); }
  template <class T> static T slope_x(T x) { return T(1.1283791670955126) * exp(-x * x); }
};
WENGERT_UNARY(erf, Erf)

// ---------------------------------------------------------------- activations

// The slope at zero is zero.
struct Relu {
  static constexpr std::string_view name = "relu";
  template <class T> static T value(T x) { return maximum(x, T(0)); }
  template <class T> static T slope_y(T y) { return select(y > T(0), T(1), T(0)); }
};
WENGERT_UNARY(relu, Relu)

struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  double negative_slope = 0.01;
  template <class T> T value(T x) const { return select(x > T(0), x, T(negative_slope) * x); }
  template <class T> T slope_x(T x) const { return select(x > T(0), T(1), T(negative_slope)); }
};

// 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows.
struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  template <class T> static T value(T x) {
    const T e = exp(-abs(x));
    return select(x >= T(0), T(1), e) / (T(1) + e);
  }
  template <class T> static T slope_y(T y) { return y * (T(1) - y); }
};
WENGERT_UNARY(sigmoid, Sigmoid)

// log(1 + exp(x)) without overflow; the slope is the sigmoid, taken from the input.
struct Softplus {
  static constexpr std::string_view name = "softplus";
  template <class T> static T value(T x) { return maximum(x, T(0)) + log1p(exp(-abs(x))); }
  template <class T> static T slope_x(T x) { return sigmoid(x); }
};
WENGERT_UNARY(softplus, Softplus)

// x sigmoid(x).  Hendrycks & Gimpel 2016; Elfwing, Uchibe & Doya 2017.
struct Silu {
  static constexpr std::string_view name = "silu";
  template <class T> static T value(T x) { return x * sigmoid(x); }
  template <class T> static T slope_x(T x) {
    const T s = sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
};
WENGERT_UNARY(silu, Silu)

// x Phi(x) with the normal distribution function Phi.  Hendrycks & Gimpel 2016, eq. 1.
struct Gelu {
  static constexpr std::string_view name = "gelu";
  template <class T> static T value(T x) { return T(0.5) * x * (T(1) + erf(x * T(0.70710678118654752))); }
  template <class T> static T slope_x(T x) {
    return T(0.5) * (T(1) + erf(x * T(0.70710678118654752))) + x * T(0.39894228040143268) * exp(T(-0.5) * x * x);
  }
};
WENGERT_UNARY(gelu, Gelu)

struct Elu {
  static constexpr std::string_view name = "elu";
  double alpha = 1;
  template <class T> T value(T x) const { return select(x > T(0), x, T(alpha) * expm1(minimum(x, T(0)))); }
  template <class T> T slope_x(T x) const { return select(x > T(0), T(1), T(alpha) * exp(minimum(x, T(0)))); }
};

// Passes the cotangent on the closed interval.
struct Clamp {
  static constexpr std::string_view name = "clamp";
  double low_bound = -1, high_bound = 1;
  template <class T> T value(T x) const { return minimum(maximum(x, T(low_bound)), T(high_bound)); }
  template <class T> T slope_x(T x) const { return select(x >= T(low_bound), select(x <= T(high_bound), T(1), T(0)), T(0)); }
};

#undef WENGERT_UNARY
#undef WENGERT_BINARY

}  // namespace wengert
