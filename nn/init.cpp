#include "wengert/nn/init.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace wengert::nn::init {

Fans fans(const Shape& weight, Where where) {
  if (weight.rank() < 2) fail<ShapeError>(where, "init: a weight must be [out, in, kernel...], got {}", weight);
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
Tensor lecun_uniform(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  return kaiming_uniform(weight, rng, gain, dtype, where);
}
Tensor lecun_normal(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  return kaiming_normal(weight, rng, gain, dtype, where);
}

Tensor orthogonal(const Shape& weight, Rng& rng, double gain, DType dtype, Where where) {
  const Fans f = fans(weight, where);
  const std::int64_t rows = weight[0], columns = f.in;
  if (weight.numel() == 0) return zeros(weight, dtype);
  const no_grad off;
  const Tensor a = rng.normal({std::max(rows, columns), std::min(rows, columns)}, 0, 1, float64, where);
  const Tensor q = qr(a).q;  // whose r has a positive diagonal
  return to(reshape(gain * (rows < columns ? transpose(q) : q), weight), dtype);
}

namespace {

// The x with erf(x) = z: Winitzki's formula, then three steps of Halley's method.
double inverse_erf(double z) {
  const double size = std::min(std::abs(z), 1 - 0x1p-53), l = std::log1p(-size * size), c = 4.3307467508 + l / 2;
  double x = std::sqrt(std::max(0.0, std::sqrt(c * c - l / 0.147) - c));
  for (int i = 0; i < 3; ++i) {
    const double miss = size < 0.5 ? std::erf(x) - size : (1 - size) - std::erfc(x);
    x -= miss / (2 * std::numbers::inv_sqrtpi * std::exp(-x * x) + x * miss);
  }
  return std::copysign(x, z);
}
double share_below(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

}  // namespace

Tensor truncated_normal(const Shape& shape, Rng& rng, TruncatedOptions o, DType dtype, Where where) {
  if (!(o.low < o.high))
    fail<ValueError>(where, "truncated_normal: low < high must hold, got {} and {}", o.low, o.high);
  if (!(o.std > 0)) fail<ValueError>(where, "truncated_normal: std must be > 0, got {}", o.std);
  const double first = share_below((o.low - o.mean) / o.std), last = share_below((o.high - o.mean) / o.std);
  Tensor x = rng.uniform(shape, 2 * first - 1, 2 * last - 1, float64, where);
  for (double& t : x.write<double>())
    t = std::clamp(o.mean + o.std * std::numbers::sqrt2 * inverse_erf(t), o.low, o.high);
  return to(x, dtype);
}

}  // namespace wengert::nn::init
