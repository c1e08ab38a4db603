#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/norms.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>
#include <cmath>

namespace wengert {

using detail::Access;
using detail::axes_of;
using detail::axis_of;
using detail::CalledBy;
using detail::needs_float;

namespace {

// Axes first, first + 1, ..., last - 1.
Shape range(int first, int last) {
  Shape r;
  for (int i = first; i < last; ++i) r.push_back(i);
  return r;
}

void needs_one_each(std::string_view op, const Tensor& v, Operand x) {
  if (v.shape() != Shape{x->shape()[1]})
    fail<ShapeError>(x.where(), "{}: {} channels in {} need vectors of that size, got {}", op, x->shape()[1],
                     x->shape(), v.shape());
}

// A vector over the channels, axis 1, of a tensor of this rank.
Tensor over_channels(std::string_view op, const Tensor& v, Operand x, const CalledBy& by) {
  needs_one_each(op, v, x);
  Shape shape;
  for (int i = 1; i < x->rank(); ++i) shape.push_back(i == 1 ? v.shape()[0] : 1);
  return reshape(by(v), shape);
}

// y weight + bias, of which each may be undefined; over the channels.
Tensor scaled_by_channel(std::string_view op, Tensor y, Operand x, Operand weight, Operand bias) {
  const CalledBy by(x);
  if (weight->defined()) y = mul(by(y), by(over_channels(op, weight, x, by)));
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
  SavedConstant scale;
  void describe(detail::Attributes& a) const { a.add("axes", axes), a.add("eps", eps); }

  Tensor inverse_spread(const Tensor& deviation) const {
    return rsqrt(mean(square(deviation), {.axes = axes, .keep_dims = true}) + eps);
  }
  Tensor forward(const Tensor& a) {
    const Tensor deviation = a.detach() - mean(a.detach(), {.axes = axes, .keep_dims = true}),
                 r = inverse_spread(deviation);
    Tensor result = deviation * r;
    x = a, y = result, scale = r;
    return result;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor &a = x, &result = y;
    const bool plain = !a.tracked() && !y_bar.tracked();
    return pull(y_bar, result, plain ? scale.get() : inverse_spread(a - mean(a, {.axes = axes, .keep_dims = true})));
  }
  Tensor pull(const Tensor& y_bar, const Tensor& result, const Tensor& r) const {
    return r * (y_bar - mean(y_bar, {.axes = axes, .keep_dims = true}) -
                result * mean(result * y_bar, {.axes = axes, .keep_dims = true}));
  }
  // The same from x alone.
  Tensor pull_from(const Tensor& a, const Tensor& y_bar) const {
    const Tensor deviation = a - mean(a, {.axes = axes, .keep_dims = true}), r = inverse_spread(deviation);
    return pull(y_bar, deviation * r, r);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return vjp(arg<0>(), x_dot); }
};

namespace {

// Rows along the last axes, or channels: the mean goes over all axes but the second.
enum class Over { rows, channels };

kernels::Groups groups_of(Over over, const Shape& x, int axes) {
  std::int64_t inner = 1;
  if (over == Over::channels) {
    for (int i = 2; i < x.rank(); ++i) inner *= x[i];
    return {x[1], x[0], inner, inner, x[1] * inner, false};
  }
  for (int i = x.rank() - axes; i < x.rank(); ++i) inner *= x[i];
  return {inner ? x.numel() / inner : 0, 1, inner, inner, 0, true};
}

const void* numbers(const Tensor& x) { return x.defined() ? Access::body(x)->data() : nullptr; }
void* numbers(Tensor& x) { return x.defined() ? Access::body(x)->data() : nullptr; }
Tensor in_order(const Tensor& x) { return x.defined() ? contiguous(x.detach()) : x; }

// y = standardize(x) weight + bias in one pass over numbers that are in the cache; weight and bias may be undefined. As a
// formula it is made of operators, and so are derivatives of derivatives.
template <Over over>
struct Norm {
  static constexpr std::string_view name = over == Over::rows ? "layer_norm" : "batch_norm";
  Shape axes;
  double eps = 0;
  Saved x, weight;
  SavedConstant mean, scale;
  void describe(detail::Attributes& a) const { a.add("axes", axes), a.add("eps", eps); }

  kernels::Groups groups(const Shape& s) const { return groups_of(over, s, axes.rank()); }
  // A vector over rows or channels in the shape in which it meets x.
  Tensor laid(const Tensor& v, const Shape& s) const {
    if constexpr (over == Over::rows) return v;
    Shape shape;
    for (int i = 1; i < s.rank(); ++i) shape.push_back(i == 1 ? s[1] : 1);
    return reshape(v, shape);
  }
  Standardize standardized() const { return {axes, eps, {}, {}, {}}; }
  Tensor standard(const Tensor& a) const { return apply(standardized(), Operand(a)); }
  Tensor scaled(const Tensor& d) const { return weight.kept() ? d * laid(weight, d.shape()) : d; }
  // The transpose of laying v over x.
  Tensor gathered(const Tensor& v_bar) const {
    Shape others;
    for (int i = 0; i < v_bar.rank(); ++i)
      if (over == Over::rows ? i < v_bar.rank() - axes.rank() : i != 1) others.push_back(i);
    return others.empty() ? v_bar : sum(v_bar, others);
  }

  Tensor forward(const Tensor& a, const Tensor& g, const Tensor& b) {
    const kernels::Groups all = groups(a.shape());
    Tensor y = empty(a.shape(), a.dtype()), m = empty({all.groups}, a.dtype()), r = empty({all.groups}, a.dtype());
    const Tensor p = in_order(a), q = in_order(g), s = in_order(b);
    if (y.numel())
      kernels::normalize(a.dtype(), all, eps, numbers(p), numbers(q), numbers(s), numbers(y), numbers(m), numbers(r));
    x = a, mean = m, scale = r;
    if (g.defined()) weight = g;
    return y;
  }
  static double flops(const Tensor& y, const auto&...) { return 8.0 * static_cast<double>(y.numel()); }

  std::array<Tensor, 3> vjp(const Tensor& y_bar, Wants w) const {
    const Tensor& a = x;
    std::array<Tensor, 3> bar;
    if (a.tracked() || y_bar.tracked() || (weight.kept() && weight->tracked())) {
      if (w(0)) bar[0] = standardized().pull_from(a, scaled(y_bar));
      if (w(1)) bar[1] = gathered(y_bar * standard(a));
      if (w(2)) bar[2] = gathered(y_bar);
      return bar;
    }
    const kernels::Groups all = groups(a.shape());
    const Shape vector =
        over == Over::channels ? Shape{all.groups} : Shape(std::span(a.shape()).last(std::size_t(axes.rank())));
    if (w(0)) bar[0] = empty(a.shape(), a.dtype());
    for (int i : {1, 2})
      if (w(i)) bar[std::size_t(i)] = a.numel() ? empty(vector, a.dtype()) : zeros(vector, a.dtype());
    const Tensor p = in_order(a), q = weight.kept() ? in_order(weight) : Tensor(), g = in_order(y_bar);
    if (a.numel())
      kernels::normalize_vjp(a.dtype(), all, numbers(p), numbers(q), numbers(mean.get()), numbers(scale.get()),
                             numbers(g), numbers(bar[0]), numbers(bar[1]), numbers(bar[2]));
    return bar;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return scaled(standardized().pull_from(x, x_dot)); }
  Tensor jvp(arg<1>, const Tensor& gain_dot) const {
    const Tensor& a = x;
    return standard(a) * laid(gain_dot, a.shape());
  }
  Tensor jvp(arg<2>, const Tensor& bias_dot) const {
    const Shape s = detail::result_shape();
    return expand(laid(bias_dot, s), s);
  }
};

// Weight and bias have one number for each entry of a row or for each channel.
Tensor normed(Over over, Operand x, const Shape& axes, Operand weight, Operand bias, double eps) {
  const std::string_view op = over == Over::rows ? "layer_norm" : "batch_norm";
  needs_float(op, x);
  if (eps < 0) fail<ValueError>(x.where(), "{}: eps must be >= 0, got {}", op, eps);
  for (const Operand& v : {weight, bias})
    if (v->defined() && v->dtype() != x->dtype())
      fail<TypeError>(v.where(), "{}: dtypes differ: {} and {}; convert one with to()", op, x->dtype(), v->dtype());
  if (over == Over::rows) return apply(Norm<Over::rows>{axes, eps, {}, {}, {}, {}}, x, weight, bias);
  return apply(Norm<Over::channels>{axes, eps, {}, {}, {}, {}}, x, weight, bias);
}

}  // namespace

Tensor standardize(Operand x, const Shape& axes, double eps) {
  needs_float("standardize", x);
  const std::uint32_t mask = axes_of("standardize", x, axes);
  if (eps < 0) fail<ValueError>(x.where(), "standardize: eps must be >= 0, got {}", eps);
  Shape all;
  for (int i = 0; i < x->rank(); ++i)
    if (mask >> i & 1) all.push_back(i);
  if (all.empty()) {
    const CalledBy by(x);
    return reshape(by(standardize(by(reshape(x, {1})), {0}, eps)), Shape());
  }
  if (all[0] + all.rank() == x->rank()) return normed(Over::rows, x, all, Tensor(), Tensor(), eps);
  return apply(Standardize{all, eps, {}, {}, {}}, x);
}

Tensor layer_norm(Operand x, Operand weight, Operand bias, double eps) {
  const Shape last = weight->defined() ? weight->shape()
                     : bias->defined() ? bias->shape()
                                       : Shape{x->rank() ? x->shape().back() : 1};
  bool fits = last.rank() >= 1 && last.rank() <= x->rank();
  for (int i = 1; fits && i <= last.rank(); ++i) fits = last[last.rank() - i] == x->shape()[x->rank() - i];
  fits = fits && (!bias->defined() || bias->shape() == last);
  if (!fits)
    fail<ShapeError>(x.where(), "layer_norm: weight and bias must have the shape of the last axes of {}, got {} and {}",
                     x->shape(), last, bias->defined() ? bias->shape() : last);
  return normed(Over::rows, x, range(x->rank() - last.rank(), x->rank()), weight, bias, eps);
}

Tensor batch_norm(Operand x, Operand weight, Operand bias, double eps) {
  needs_channels("batch_norm", x);
  Shape axes = range(1, x->rank());
  axes[0] = 0;
  // Planes of a few numbers are read faster across the channels.
  if (groups_of(Over::channels, x->shape(), 0).size < 8)
    return scaled_by_channel("batch_norm", standardize(x, axes, eps), x, weight, bias);
  for (const Operand& v : {weight, bias})
    if (v->defined()) needs_one_each("batch_norm", v, x);
  return normed(Over::channels, x, axes, weight, bias, eps);
}

Tensor batch_norm(Operand x, Operand weight, Operand bias, Operand mean, Operand var, double eps) {
  needs_channels("batch_norm", x);
  const CalledBy by(x);
  const Tensor centre = over_channels("batch_norm", mean, x, by), spread = over_channels("batch_norm", var, x, by);
  const Tensor y = mul(by(sub(x, by(centre))), by(rsqrt(by(affine(by(spread), 1, eps)))));
  return scaled_by_channel("batch_norm", y, x, weight, bias);
}

Tensor group_norm(Operand x, std::int64_t groups, Operand weight, Operand bias, double eps) {
  needs_channels("group_norm", x);
  const CalledBy by(x);
  const std::int64_t n = x->shape()[0], c = x->shape()[1];
  if (groups < 1 || c % groups)
    fail<ShapeError>(x.where(), "group_norm: {} groups do not divide the {} channels of {}", groups, c, x->shape());
  std::int64_t inner = c / groups;
  for (int i = 2; i < x->rank(); ++i) inner *= x->shape()[i];
  const Tensor y = standardize(by(reshape(x, {n, groups, inner})), {2}, eps);
  return scaled_by_channel("group_norm", reshape(by(y), x->shape()), x, weight, bias);
}

Tensor instance_norm(Operand x, Operand weight, Operand bias, double eps) {
  needs_channels("instance_norm", x);
  if (x->rank() < 3) fail<ShapeError>(x.where(), "instance_norm: needs [n, channels, spatial...], got {}", x->shape());
  return scaled_by_channel("instance_norm", standardize(x, range(2, x->rank()), eps), x, weight, bias);
}

Tensor rms_norm(Operand x, Operand weight, double eps) {
  needs_float("rms_norm", x);
  const CalledBy by(x);
  if (x->rank() < 1) fail<ShapeError>(x.where(), "rms_norm: needs at least one axis, got {}", x->shape());
  if (weight->defined() && !(weight->shape() == Shape{x->shape().back()}))
    fail<ShapeError>(x.where(), "rms_norm: weight must be [{}] for x {}, got {}", x->shape().back(), x->shape(),
                     weight->shape());
  const Tensor y = mul(x, by(rsqrt(by(affine(by(mean(by(square(x)), {.axes = {-1}, .keep_dims = true})), 1, eps)))));
  return weight->defined() ? mul(by(y), weight) : y;
}

// The sum over a window of channels is a mean of a padded copy, times the size.
Tensor local_response_norm(Operand x, std::int64_t size, double alpha, double beta, double k) {
  needs_channels("local_response_norm", x);
  const CalledBy by(x);
  if (size < 1) fail<ValueError>(x.where(), "local_response_norm: the size must be >= 1, got {}", size);
  std::vector<Padding> widths(static_cast<std::size_t>(x->rank() - 1));
  widths[0] = {size / 2, (size - 1) / 2};
  const Tensor padded = pad(by(square(x)), widths);
  const Tensor power = mean(by(sliding_windows(by(padded), 1, size)), {-1});
  return div(x, by(pow(by(affine(by(power), alpha, k)), beta)));
}

Tensor normalize(Operand x, const NormalizeOptions& options) {
  const CalledBy by(x);
  const Tensor length = norm(x, {.axes = {axis_of("normalize", x, options.axis)}, .p = options.p, .keep_dims = true});
  return div(x, by(clamp(by(length), options.eps, HUGE_VAL)));
}

// Each length is kept above eps for itself, so that the cosine stays in [-1, 1].
Tensor cosine_similarity(Operand x, Operand y, int axis, double eps) {
  const CalledBy by(x);
  const Shape shape = detail::broadcast("cosine_similarity", x, y);
  const Tensor a = expand(x, shape), b = expand(y, shape);
  const Shape along{axis_of("cosine_similarity", by(a), axis)};
  const Tensor dot = sum(by(mul(by(a), by(b))), along);
  const Tensor la = clamp(by(norm(by(a), {.axes = along})), eps, HUGE_VAL),
               lb = clamp(by(norm(by(b), {.axes = along})), eps, HUGE_VAL);
  return div(by(dot), by(mul(by(la), by(lb))));
}

Tensor pairwise_distance(Operand x, Operand y, const DistanceOptions& options) {
  const CalledBy by(x);
  return norm(by(affine(by(sub(x, y)), 1, options.eps)),
              {.axes = {-1}, .p = options.p, .keep_dims = options.keep_dims});
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

Tensor embedding(Operand weight, Operand index, std::optional<std::int64_t> padding_index) {
  const CalledBy by(weight);
  if (weight->rank() != 2)
    fail<ShapeError>(weight.where(), "embedding: weight must be [entries, size], got {}", weight->shape());
  const Tensor rows = take(weight, 0, index);
  if (!padding_index) return rows;
  const std::int64_t row = *padding_index < 0 ? *padding_index + weight->shape()[0] : *padding_index;
  const Tensor none = unsqueeze(by(equal(index, double(row))), -1);
  return where(by(none), by(rows.detach()), by(rows));
}

Attention attention(Operand query, Operand key, Operand value, const AttentionOptions& options) {
  const CalledBy by(query);
  const auto& [mask, causal] = options;
  if (query->rank() < 2 || key->rank() < 2)
    fail<ShapeError>(query.where(), "attention: needs [.., length, size], got {} and {}", query->shape(), key->shape());
  const std::int64_t lq = query->size(-2), lk = key->size(-2);
  Tensor score = matmul(query, by(transpose(key)));
  score = affine(by(score), 1 / std::sqrt(double(query->size(-1))), 0);
  const Tensor never = scalar(-HUGE_VAL, score.dtype());
  if (causal) score = where(by(equal(by(tril(by(ones({lq, lk}, int64)))), 1)), by(score), by(never));
  if (mask.defined())
    score = mask.dtype() == boolean ? where(by(mask), by(score), by(never)) : add(by(score), by(mask));
  const Tensor weights = softmax(by(score), -1);
  return {matmul(by(weights), value), weights};
}

}  // namespace wengert
