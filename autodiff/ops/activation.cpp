// Compiled once for each instruction set. The mathematics is in functions.h.

#include "wengert/autodiff/ops/pointwise.h"

namespace wengert {

using detail::pointwise;

WENGERT_LOOPS(Relu) Tensor relu(Operand x) { return pointwise<rules::Relu>(x); }
WENGERT_LOOPS(Relu6) Tensor relu6(Operand x) { return pointwise<rules::Relu6>(x); }
WENGERT_LOOPS(LeakyRelu) Tensor leaky_relu(Operand x, double negative_slope) {
  return pointwise(x, rules::LeakyRelu{negative_slope});
}
WENGERT_LOOPS(Sigmoid) Tensor sigmoid(Operand x) { return pointwise<rules::Sigmoid>(x); }
WENGERT_LOOPS(LogSigmoid) Tensor log_sigmoid(Operand x) { return pointwise<rules::LogSigmoid>(x); }
WENGERT_LOOPS(Softplus) Tensor softplus(Operand x) { return pointwise<rules::Softplus>(x); }
WENGERT_LOOPS(Silu) Tensor silu(Operand x) { return pointwise<rules::Silu>(x); }
WENGERT_LOOPS(Mish) Tensor mish(Operand x) { return pointwise<rules::Mish>(x); }
WENGERT_LOOPS(Gelu) Tensor gelu(Operand x) { return pointwise<rules::Gelu>(x); }
WENGERT_LOOPS(GeluTanh) Tensor gelu_tanh(Operand x) { return pointwise<rules::GeluTanh>(x); }
WENGERT_LOOPS(Elu) Tensor elu(Operand x, double alpha) { return pointwise(x, rules::Elu{alpha}); }
WENGERT_LOOPS(Celu) Tensor celu(Operand x, double alpha) { return pointwise(x, rules::Celu{alpha}); }
WENGERT_LOOPS(Selu) Tensor selu(Operand x) { return pointwise<rules::Selu>(x); }
WENGERT_LOOPS(Softsign) Tensor softsign(Operand x) { return pointwise<rules::Softsign>(x); }
WENGERT_LOOPS(Tanhshrink) Tensor tanhshrink(Operand x) { return pointwise<rules::Tanhshrink>(x); }
WENGERT_LOOPS(Hardtanh) Tensor hardtanh(Operand x, double low, double high) {
  return pointwise(x, rules::Hardtanh{low, high});
}
WENGERT_LOOPS(Hardsigmoid) Tensor hardsigmoid(Operand x) { return pointwise<rules::Hardsigmoid>(x); }
WENGERT_LOOPS(Hardswish) Tensor hardswish(Operand x) { return pointwise<rules::Hardswish>(x); }
WENGERT_LOOPS(Softshrink) Tensor softshrink(Operand x, double lambda) {
  return pointwise(x, rules::Softshrink{lambda});
}
WENGERT_LOOPS(Hardshrink) Tensor hardshrink(Operand x, double lambda) {
  return pointwise(x, rules::Hardshrink{lambda});
}

}  // namespace wengert
