// Compiled once for each instruction set. The mathematics is in functions.h.

#include "wengert/autodiff/ops/pointwise.h"

namespace wengert {

WENGERT_LOOPS(Add) Tensor add(Operand x, Operand y) { return pointwise<Add>(x, y); }
WENGERT_LOOPS(Sub) Tensor sub(Operand x, Operand y) { return pointwise<Sub>(x, y); }
WENGERT_LOOPS(Mul) Tensor mul(Operand x, Operand y) { return pointwise<Mul>(x, y); }
WENGERT_LOOPS(Div) Tensor div(Operand x, Operand y) { return pointwise<Div>(x, y); }
WENGERT_LOOPS(Pow) Tensor pow(Operand x, Operand y) { return pointwise<Pow>(x, y); }
WENGERT_LOOPS(Maximum) Tensor maximum(Operand x, Operand y) { return pointwise<Maximum>(x, y); }
WENGERT_LOOPS(Minimum) Tensor minimum(Operand x, Operand y) { return pointwise<Minimum>(x, y); }
WENGERT_LOOPS(Scale) Tensor scale(Operand x, Operand y) { return pointwise<Scale>(x, y); }

WENGERT_LOOPS(Neg) Tensor neg(Operand x) { return pointwise<Neg>(x); }
WENGERT_LOOPS(Affine) Tensor affine(Operand x, double a, double b) {
  detail::check_whole(x, a, b);
  return pointwise(x, Affine{a, b});
}
WENGERT_LOOPS(PowScalar) Tensor pow(Operand x, double exponent) { return pointwise(x, PowScalar{exponent}); }
WENGERT_LOOPS(Abs) Tensor abs(Operand x) { return pointwise<Abs>(x); }
WENGERT_LOOPS(Square) Tensor square(Operand x) { return pointwise<Square>(x); }
WENGERT_LOOPS(Reciprocal) Tensor reciprocal(Operand x) { return pointwise<Reciprocal>(x); }
WENGERT_LOOPS(Sqrt) Tensor sqrt(Operand x) { return pointwise<Sqrt>(x); }
WENGERT_LOOPS(Exp) Tensor exp(Operand x) { return pointwise<Exp>(x); }
WENGERT_LOOPS(Log) Tensor log(Operand x) { return pointwise<Log>(x); }
WENGERT_LOOPS(Log1p) Tensor log1p(Operand x) { return pointwise<Log1p>(x); }
WENGERT_LOOPS(Expm1) Tensor expm1(Operand x) { return pointwise<Expm1>(x); }
WENGERT_LOOPS(Sin) Tensor sin(Operand x) { return pointwise<Sin>(x); }
WENGERT_LOOPS(Cos) Tensor cos(Operand x) { return pointwise<Cos>(x); }
WENGERT_LOOPS(Tanh) Tensor tanh(Operand x) { return pointwise<Tanh>(x); }
WENGERT_LOOPS(Erf) Tensor erf(Operand x) { return pointwise<Erf>(x); }
WENGERT_LOOPS(Relu) Tensor relu(Operand x) { return pointwise<Relu>(x); }
WENGERT_LOOPS(LeakyRelu) Tensor leaky_relu(Operand x, double negative_slope) { return pointwise(x, LeakyRelu{negative_slope}); }
WENGERT_LOOPS(Sigmoid) Tensor sigmoid(Operand x) { return pointwise<Sigmoid>(x); }
WENGERT_LOOPS(Softplus) Tensor softplus(Operand x) { return pointwise<Softplus>(x); }
WENGERT_LOOPS(Silu) Tensor silu(Operand x) { return pointwise<Silu>(x); }
WENGERT_LOOPS(Gelu) Tensor gelu(Operand x) { return pointwise<Gelu>(x); }
WENGERT_LOOPS(Elu) Tensor elu(Operand x, double alpha) { return pointwise(x, Elu{alpha}); }
WENGERT_LOOPS(Clamp) Tensor clamp(Operand x, double low, double high) { return pointwise(x, Clamp{low, high}); }

}  // namespace wengert
