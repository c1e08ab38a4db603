// Compiled once for each instruction set. The mathematics is in functions.h.

#include "wengert/autodiff/ops/pointwise.h"

namespace wengert {

using detail::pointwise;

WENGERT_LOOPS(Add) Tensor add(Operand x, Operand y) { return pointwise<rules::Add>(x, y); }
WENGERT_LOOPS(Sub) Tensor sub(Operand x, Operand y) { return pointwise<rules::Sub>(x, y); }
WENGERT_LOOPS(Mul) Tensor mul(Operand x, Operand y) { return pointwise<rules::Mul>(x, y); }
WENGERT_LOOPS(Div) Tensor div(Operand x, Operand y) { return pointwise<rules::Div>(x, y); }
WENGERT_LOOPS(Pow) Tensor pow(Operand x, Operand y) { return pointwise<rules::Pow>(x, y); }
WENGERT_LOOPS(Fmod) Tensor fmod(Operand x, Operand y) { return pointwise<rules::Fmod>(x, y); }
WENGERT_LOOPS(Remainder) Tensor remainder(Operand x, Operand y) { return pointwise<rules::Remainder>(x, y); }
WENGERT_LOOPS(Maximum) Tensor maximum(Operand x, Operand y) { return pointwise<rules::Maximum>(x, y); }
WENGERT_LOOPS(Minimum) Tensor minimum(Operand x, Operand y) { return pointwise<rules::Minimum>(x, y); }
WENGERT_LOOPS(Scale) Tensor scale(Operand x, Operand y) { return pointwise<rules::Scale>(x, y); }
WENGERT_LOOPS(Hypot) Tensor hypot(Operand x, Operand y) { return pointwise<rules::Hypot>(x, y); }

WENGERT_LOOPS(Neg) Tensor neg(Operand x) { return pointwise<rules::Neg>(x); }
WENGERT_LOOPS(Affine) Tensor affine(Operand x, double a, double b) {
  detail::check_whole(x, a, b);
  return pointwise(x, rules::Affine{a, b});
}
WENGERT_LOOPS(PowScalar) Tensor pow(Operand x, double exponent) { return pointwise(x, rules::PowScalar{exponent}); }
WENGERT_LOOPS(Abs) Tensor abs(Operand x) { return pointwise<rules::Abs>(x); }
WENGERT_LOOPS(Sign) Tensor sign(Operand x) { return pointwise<rules::Sign>(x); }
WENGERT_LOOPS(Floor) Tensor floor(Operand x) { return pointwise<rules::Floor>(x); }
WENGERT_LOOPS(Ceil) Tensor ceil(Operand x) { return pointwise<rules::Ceil>(x); }
WENGERT_LOOPS(Round) Tensor round(Operand x) { return pointwise<rules::Round>(x); }
WENGERT_LOOPS(Trunc) Tensor trunc(Operand x) { return pointwise<rules::Trunc>(x); }
WENGERT_LOOPS(Square) Tensor square(Operand x) { return pointwise<rules::Square>(x); }
WENGERT_LOOPS(Reciprocal) Tensor reciprocal(Operand x) { return pointwise<rules::Reciprocal>(x); }
WENGERT_LOOPS(Sqrt) Tensor sqrt(Operand x) { return pointwise<rules::Sqrt>(x); }
WENGERT_LOOPS(Rsqrt) Tensor rsqrt(Operand x) { return pointwise<rules::Rsqrt>(x); }
WENGERT_LOOPS(Clamp) Tensor clamp(Operand x, std::optional<double> low, std::optional<double> high) {
  return pointwise(x, rules::Clamp{low.value_or(-HUGE_VAL), high.value_or(HUGE_VAL)});
}

}  // namespace wengert
