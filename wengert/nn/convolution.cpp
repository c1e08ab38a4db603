#include "wengert/nn/convolution.h"

#include "wengert/autodiff/tape.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dLayerOptions o, Rng& rng, Where where)
    : options{o.stride, o.padding, o.dilation, o.groups} {
  at_least_one("Conv2d", "in", in, where), at_least_one("Conv2d", "out", out, where),
      at_least_one("Conv2d", "kernel", kernel, where);
  at_least_one("Conv2d", "stride", o.stride, where), at_least_one("Conv2d", "dilation", o.dilation, where);
  at_least_one("Conv2d", "groups", o.groups, where);
  if (o.padding < 0) fail<ValueError>(where, "Conv2d: padding must be at least 0, got {}", o.padding);
  if (in % o.groups || out % o.groups)
    fail<ValueError>(where, "Conv2d: {} groups do not divide {} channels into {}", o.groups, in, out);
  const std::int64_t fan_in = in / o.groups * kernel * kernel;
  weight = Param(init::uniform_fan_in({out, in / o.groups, kernel, kernel}, fan_in, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, fan_in, rng, o.dtype), where);
}

Tensor Conv2d::operator()(Operand x) const {
  const At at(x.where());
  return conv2d(x, weight, bias, options);
}

Tensor MaxPool2d::operator()(Operand x) const {
  const At at(x.where());
  return max_pool2d(x, kernel, stride, padding);
}

}  // namespace wengert::nn
