// Compiled once for each instruction set. The mathematics is in functions.h.

#include "wengert/autodiff/ops/pointwise.h"

namespace wengert {

using detail::pointwise;

WENGERT_LOOPS(Exp) Tensor exp(Operand x) { return pointwise<rules::Exp>(x); }
WENGERT_LOOPS(Exp2) Tensor exp2(Operand x) { return pointwise<rules::Exp2>(x); }
WENGERT_LOOPS(Expm1) Tensor expm1(Operand x) { return pointwise<rules::Expm1>(x); }
WENGERT_LOOPS(Log) Tensor log(Operand x) { return pointwise<rules::Log>(x); }
WENGERT_LOOPS(Log2) Tensor log2(Operand x) { return pointwise<rules::Log2>(x); }
WENGERT_LOOPS(Log10) Tensor log10(Operand x) { return pointwise<rules::Log10>(x); }
WENGERT_LOOPS(Log1p) Tensor log1p(Operand x) { return pointwise<rules::Log1p>(x); }
WENGERT_LOOPS(Sin) Tensor sin(Operand x) { return pointwise<rules::Sin>(x); }
WENGERT_LOOPS(Cos) Tensor cos(Operand x) { return pointwise<rules::Cos>(x); }
WENGERT_LOOPS(Tan) Tensor tan(Operand x) { return pointwise<rules::Tan>(x); }
WENGERT_LOOPS(Asin) Tensor asin(Operand x) { return pointwise<rules::Asin>(x); }
WENGERT_LOOPS(Acos) Tensor acos(Operand x) { return pointwise<rules::Acos>(x); }
WENGERT_LOOPS(Atan) Tensor atan(Operand x) { return pointwise<rules::Atan>(x); }
WENGERT_LOOPS(Sinh) Tensor sinh(Operand x) { return pointwise<rules::Sinh>(x); }
WENGERT_LOOPS(Cosh) Tensor cosh(Operand x) { return pointwise<rules::Cosh>(x); }
WENGERT_LOOPS(Tanh) Tensor tanh(Operand x) { return pointwise<rules::Tanh>(x); }
WENGERT_LOOPS(Asinh) Tensor asinh(Operand x) { return pointwise<rules::Asinh>(x); }
WENGERT_LOOPS(Acosh) Tensor acosh(Operand x) { return pointwise<rules::Acosh>(x); }
WENGERT_LOOPS(Atanh) Tensor atanh(Operand x) { return pointwise<rules::Atanh>(x); }
WENGERT_LOOPS(Erf) Tensor erf(Operand x) { return pointwise<rules::Erf>(x); }
WENGERT_LOOPS(Erfc) Tensor erfc(Operand x) { return pointwise<rules::Erfc>(x); }
WENGERT_LOOPS(Lgamma) Tensor lgamma(Operand x) { return pointwise<rules::Lgamma>(x); }
WENGERT_LOOPS(Digamma) Tensor digamma(Operand x) { return pointwise<rules::Digamma>(x); }
WENGERT_LOOPS(Polygamma) Tensor polygamma_of(int n, Operand x) { return pointwise(x, rules::Polygamma{n}); }
WENGERT_LOOPS(Power) Tensor power_of(double base, double log_base, Operand x) {
  return pointwise(x, rules::Power{base, log_base});
}

WENGERT_LOOPS(Atan2) Tensor atan2(Operand y, Operand x) { return pointwise<rules::Atan2>(y, x); }
WENGERT_LOOPS(LogAddExp) Tensor logaddexp(Operand x, Operand y) { return pointwise<rules::LogAddExp>(x, y); }
WENGERT_LOOPS(Xlogy) Tensor xlogy(Operand x, Operand y) { return pointwise<rules::Xlogy>(x, y); }

}  // namespace wengert
