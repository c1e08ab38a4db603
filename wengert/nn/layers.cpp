#include "wengert/nn/layers.h"

#include "wengert/autodiff/tape.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

Linear::Linear(std::int64_t in, std::int64_t out, LinearOptions o, Rng& rng, Where where) {
  at_least_one("Linear", "in", in, where), at_least_one("Linear", "out", out, where);
  weight = Param(init::uniform_fan_in({out, in}, in, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, in, rng, o.dtype), where);
}

Tensor Linear::operator()(Operand x) const {
  const At at(x.where());
  return linear(x, weight, bias);
}

Tensor Flatten::operator()(Operand x) const {
  const At at(x.where());
  return flatten(x, first, last);
}

}  // namespace wengert::nn
