#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/rule.h"

#include <algorithm>
#include <cmath>

namespace wengert {

namespace {

// Axes first, first + 1, ..., last - 1.
Shape range(int first, int last) {
  Shape r;
  for (int i = first; i < last; ++i) r.push_back(i);
  return r;
}

// A vector over the channels, axis 1, of a tensor of this rank.
Tensor over_channels(std::string_view op, const Tensor& v, Operand x, const CalledBy& by) {
  if (!(v.shape() == Shape{x->shape()[1]}))
    fail<ShapeError>(x.where(), "{}: {} channels in {} need vectors of that size, got {}", op, x->shape()[1],
                     x->shape(), v.shape());
  Shape shape;
  for (int i = 1; i < x->rank(); ++i) shape.push_back(i == 1 ? v.shape()[0] : 1);
  return reshape(by(v), shape);
}

// y gain + bias, of which each may be undefined; over the channels.
Tensor scaled_by_channel(std::string_view op, Tensor y, Operand x, Operand gain, Operand bias) {
  const CalledBy by(x);
  if (gain->defined()) y = mul(by(y), by(over_channels(op, gain, x, by)));
  if (bias->defined()) y = add(by(y), by(over_channels(op, bias, x, by)));
  return y;
}

void needs_channels(std::string_view op, Operand x) {
  needs_float(op, x);
  if (x->rank() < 2) fail<ShapeError>(x.where(), "{}: needs [n, channels, ...], got {}", op, x->shape());
}

}  // namespace

// y = (x - m) r with the mean m and r = 1 / sqrt(var + eps), var in two passes.  With means over the same axes
// x_bar = r (y_bar - mean(y_bar) - y mean(y y_bar)); the Jacobian is symmetric.
struct Standardize {
  static constexpr std::string_view name = "standardize";
  Shape axes;
  double eps = 0;
  Saved x, y;
  Constant scale;

  Tensor inverse_spread(const Tensor& deviation) const { return rsqrt(mean(square(deviation), axes, true) + eps); }
  Tensor forward(const Tensor& a) {
    const Tensor deviation = a.detach() - mean(a.detach(), axes, true), r = inverse_spread(deviation);
    Tensor result = deviation * r;
    x = a, y = result, scale = r;
    return result;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor &a = x, &result = y;
    const bool plain = !a.tracked() && !y_bar.tracked();
    const Tensor r = plain ? scale.get() : inverse_spread(a - mean(a, axes, true));
    return r * (y_bar - mean(y_bar, axes, true) - result * mean(result * y_bar, axes, true));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return vjp(arg<0>(), x_dot); }
};
Tensor standardize(Operand x, const Shape& axes, double eps) {
  needs_float("standardize", x);
  const std::uint32_t mask = axes_of("standardize", x, axes);
  if (eps < 0) fail<ValueError>(x.where(), "standardize: eps must not be negative, got {}", eps);
  Shape all;
  for (int i = 0; i < x->rank(); ++i)
    if (mask >> i & 1) all.push_back(i);
  if (all.empty()) {
    const CalledBy by(x);
    return reshape(by(standardize(by(reshape(x, {1})), {0}, eps)), Shape());
  }
  return apply(Standardize{all, eps, {}, {}, {}}, x);
}

Tensor layer_norm(Operand x, Operand gain, Operand bias, double eps) {
  const CalledBy by(x);
  const Shape last = gain->defined()   ? gain->shape()
                     : bias->defined() ? bias->shape()
                                       : Shape{x->rank() ? x->shape().back() : 1};
  bool fits = last.rank() >= 1 && last.rank() <= x->rank();
  for (int i = 1; fits && i <= last.rank(); ++i) fits = last[last.rank() - i] == x->shape()[x->rank() - i];
  fits = fits && (!bias->defined() || bias->shape() == last);
  if (!fits)
    fail<ShapeError>(x.where(), "layer_norm: gain and bias must have the shape of the last axes of {}, got {} and {}",
                     x->shape(), last, bias->defined() ? bias->shape() : last);
  Tensor y = standardize(x, range(x->rank() - last.rank(), x->rank()), eps);
  if (gain->defined()) y = mul(by(y), gain);
  return bias->defined() ? add(by(y), bias) : y;
}

Tensor batch_norm(Operand x, Operand gain, Operand bias, double eps) {
  needs_channels("batch_norm", x);
  Shape axes = range(1, x->rank());
  axes[0] = 0;
  return scaled_by_channel("batch_norm", standardize(x, axes, eps), x, gain, bias);
}

Tensor batch_norm(Operand x, Operand gain, Operand bias, Operand mean, Operand var, double eps) {
  needs_channels("batch_norm", x);
  const CalledBy by(x);
  const Tensor centre = over_channels("batch_norm", mean, x, by), spread = over_channels("batch_norm", var, x, by);
  const Tensor y = mul(by(sub(x, by(centre))), by(rsqrt(by(affine(by(spread), 1, eps)))));
  return scaled_by_channel("batch_norm", y, x, gain, bias);
}

Tensor group_norm(Operand x, std::int64_t groups, Operand gain, Operand bias, double eps) {
  needs_channels("group_norm", x);
  const CalledBy by(x);
  const std::int64_t n = x->shape()[0], c = x->shape()[1];
  if (groups < 1 || c % groups)
    fail<ShapeError>(x.where(), "group_norm: {} groups do not divide the {} channels of {}", groups, c, x->shape());
  std::int64_t inner = c / groups;
  for (int i = 2; i < x->rank(); ++i) inner *= x->shape()[i];
  const Tensor y = standardize(by(reshape(x, {n, groups, inner})), {2}, eps);
  return scaled_by_channel("group_norm", reshape(by(y), x->shape()), x, gain, bias);
}

Tensor instance_norm(Operand x, Operand gain, Operand bias, double eps) {
  needs_channels("instance_norm", x);
  if (x->rank() < 3) fail<ShapeError>(x.where(), "instance_norm: needs [n, channels, spatial...], got {}", x->shape());
  return scaled_by_channel("instance_norm", standardize(x, range(2, x->rank()), eps), x, gain, bias);
}

Tensor rms_norm(Operand x, Operand gain, double eps) {
  needs_float("rms_norm", x);
  const CalledBy by(x);
  if (x->rank() < 1) fail<ShapeError>(x.where(), "rms_norm: needs one axis at least, got {}", x->shape());
  if (gain->defined() && !(gain->shape() == Shape{x->shape().back()}))
    fail<ShapeError>(x.where(), "rms_norm: gain must be [{}] for x {}, got {}", x->shape().back(), x->shape(),
                     gain->shape());
  const Tensor y = mul(x, by(rsqrt(by(affine(by(mean(by(square(x)), {-1}, true)), 1, eps)))));
  return gain->defined() ? mul(by(y), gain) : y;
}

// The sum over a window of channels is a mean of a padded copy, times the size.
Tensor local_response_norm(Operand x, std::int64_t size, double alpha, double beta, double k) {
  needs_channels("local_response_norm", x);
  const CalledBy by(x);
  if (size < 1) fail<ValueError>(x.where(), "local_response_norm: the size must be positive, got {}", size);
  std::vector<Padding> widths(static_cast<std::size_t>(x->rank() - 1));
  widths[0] = {size / 2, (size - 1) / 2};
  const Tensor padded = pad(by(square(x)), widths);
  const Tensor power = mean(by(sliding_windows(by(padded), 1, size)), {-1});
  return div(x, by(pow(by(affine(by(power), alpha, k)), beta)));
}

Tensor normalize(Operand x, double p, int axis, double eps) {
  const CalledBy by(x);
  const Tensor length = norm(x, p, {axis_of("normalize", x, axis)}, true);
  return div(x, by(clamp(by(length), eps, HUGE_VAL)));
}

// Each length is kept above eps for itself, so that the cosine stays in [-1, 1].
Tensor cosine_similarity(Operand x, Operand y, int axis, double eps) {
  const CalledBy by(x);
  const Shape shape = detail::broadcast("cosine_similarity", x, y);
  const Tensor a = expand(x, shape), b = expand(y, shape);
  const Shape along{axis_of("cosine_similarity", by(a), axis)};
  const Tensor dot = sum(by(mul(by(a), by(b))), along);
  const Tensor la = clamp(by(norm(by(a), 2, along)), eps, HUGE_VAL),
               lb = clamp(by(norm(by(b), 2, along)), eps, HUGE_VAL);
  return div(by(dot), by(mul(by(la), by(lb))));
}

Tensor pairwise_distance(Operand x, Operand y, double p, double eps, bool keep_dims) {
  const CalledBy by(x);
  return norm(by(affine(by(sub(x, y)), 1, eps)), p, {-1}, keep_dims);
}

Tensor pixel_shuffle(Operand x, std::int64_t factor) {
  const CalledBy by(x);
  const int r = x->rank();
  if (r < 3 || factor < 1 || x->shape()[r - 3] % (factor * factor))
    fail<ShapeError>(x.where(), "pixel_shuffle: {} needs [.., c * {}^2, h, w]", x->shape(), factor);
  const std::int64_t c = x->shape()[r - 3] / (factor * factor), h = x->shape()[r - 2], w = x->shape()[r - 1];
  Shape shape = x->shape();
  shape[r - 3] = c, shape[r - 2] = h * factor, shape[r - 1] = w * factor;
  const Tensor y = permute(by(reshape(x, {-1, factor, factor, h, w})), {0, 3, 1, 4, 2});
  return reshape(by(y), shape);
}

Tensor embedding(Operand weight, Operand index, std::optional<std::int64_t> padding) {
  const CalledBy by(weight);
  if (weight->rank() != 2)
    fail<ShapeError>(weight.where(), "embedding: weight must be [entries, size], got {}", weight->shape());
  const Tensor rows = take(weight, index);
  if (!padding) return rows;
  const std::int64_t row = *padding < 0 ? *padding + weight->shape()[0] : *padding;
  const Tensor none = unsqueeze(by(equal(index, double(row))), -1);
  return where(by(none), by(rows.detach()), by(rows));
}

Attention attention(Operand query, Operand key, Operand value, Operand mask, bool causal) {
  const CalledBy by(query);
  if (query->rank() < 2 || key->rank() < 2)
    fail<ShapeError>(query.where(), "attention: needs [.., length, size], got {} and {}", query->shape(), key->shape());
  const std::int64_t lq = query->size(-2), lk = key->size(-2);
  Tensor score = matmul(query, by(transpose(key)));
  score = affine(by(score), 1 / std::sqrt(double(query->size(-1))), 0);
  const Tensor never = scalar(-HUGE_VAL, score.dtype());
  if (causal) score = where(by(equal(by(tril(by(ones({lq, lk}, int64)))), 1)), by(score), by(never));
  if (mask->defined()) score = mask->dtype() == boolean ? where(mask, by(score), by(never)) : add(by(score), mask);
  const Tensor weights = softmax(by(score), -1);
  return {matmul(by(weights), value), weights};
}

}  // namespace wengert
