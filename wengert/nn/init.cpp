#include "wengert/nn/init.h"

#include "wengert/autodiff/fail.h"

#include <algorithm>
#include <cmath>

namespace wengert::nn::init {

Fans fans(const Shape& weight, Where where) {
  if (weight.rank() < 2)
    fail<ShapeError>(where, "init: a weight has two axes at least, [out, in, kernel...], got {}", weight);
  const std::int64_t kernel = weight[0] > 0 && weight[1] > 0 ? weight.numel() / (weight[0] * weight[1]) : 0;
  return {weight[1] * kernel, weight[0] * kernel};
}

double gain_leaky_relu(double negative_slope) { return std::sqrt(2 / (1 + negative_slope * negative_slope)); }

namespace {

double root_of(double numerator, std::int64_t fan) {
  return std::sqrt(numerator / static_cast<double>(std::max<std::int64_t>(1, fan)));
}
Tensor within(double bound, const Shape& shape, Rng& rng, DType dtype) {
  return rng.uniform(shape, -bound, bound, dtype);
}

}  // namespace

Tensor uniform_fan_in(const Shape& shape, std::int64_t fan_in, Rng& rng, DType dtype) {
  return within(root_of(1, fan_in), shape, rng, dtype);
}

Tensor xavier_uniform(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  const Fans f = fans(weight, where);
  return within(gain * root_of(6, f.in + f.out), weight, rng, dtype);
}
Tensor xavier_normal(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  const Fans f = fans(weight, where);
  return rng.normal(weight, 0, gain * root_of(2, f.in + f.out), dtype, where);
}
Tensor kaiming_uniform(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  return within(gain * root_of(3, fans(weight, where).in), weight, rng, dtype);
}
Tensor kaiming_normal(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  return rng.normal(weight, 0, gain * root_of(1, fans(weight, where).in), dtype, where);
}

}  // namespace wengert::nn::init
