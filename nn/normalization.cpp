#include "wengert/nn/normalization.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"

#include <limits>

namespace wengert::nn {
namespace {

void check_eps(const char* layer, double eps, Where where) {
  if (!(eps >= 0)) fail<ValueError>(where, "{}: eps must be >= 0, got {}", layer, eps);
}

// The indices of the last axes of x. ShapeError unless they have this shape.
Shape last_axes(const char* layer, Operand x, const Shape& shape) {
  Shape axes;
  bool fits = x->rank() >= shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) {
    axes.push_back(x->rank() - shape.rank() + i);
    fits = x->shape()[int(axes.back())] == shape[i];
  }
  if (!fits) fail<ShapeError>(x.where(), "{}: needs {} as the last axes, got {}", layer, shape, x->shape());
  return axes;
}

}  // namespace

// --- over the batch -------------------------------------------------------------------------------------------------

template <int rank>
BatchNorm<rank>::BatchNorm(std::int64_t n, Options o, Where where) : channels(n), eps(o.eps), momentum(o.momentum) {
  const char* layer = name_of<rank>("BatchNorm1d", "BatchNorm2d", "BatchNorm3d");
  at_least_one(layer, "channels", n, where), check_eps(layer, eps, where);
  if (momentum && !(*momentum >= 0 && *momentum <= 1))
    fail<ValueError>(where, "{}: momentum must be in [0, 1], or none for a plain average, got {}", layer, *momentum);
  if (o.affine) weight = Param(ones({n}, o.dtype), where), bias = Param(zeros({n}, o.dtype), where);
  if (!o.track_running_stats) return;
  running_mean = Buffer(zeros({n}, o.dtype)), running_var = Buffer(ones({n}, o.dtype));
  num_batches_tracked = Buffer(zeros({}, int64));
}

namespace {

// In place and off the tape. Handles share their storage, so statistics of a const layer can be updated.
void follow(Tensor running, const Tensor& now, double momentum) {
  running.assign((1 - momentum) * running + momentum * now);
}

template <int rank>
void update(const BatchNorm<rank>& layer, const Tensor& x) {
  const no_grad off;
  Tensor batches = layer.num_batches_tracked;
  batches.assign(batches + 1);
  const double momentum = layer.momentum ? *layer.momentum : 1 / to(batches, float64).item();
  Shape axes{0};
  for (int i = 2; i < x.rank(); ++i) axes.push_back(i);
  follow(layer.running_mean, mean(x, axes), momentum);
  follow(layer.running_var, var(x, {.axes = axes, .correction = 1}), momentum);
}

}  // namespace

template <int rank>
Tensor BatchNorm<rank>::operator()(Operand x, Mode mode) const {
  const At at(x.where());
  const char* layer = name_of<rank>("BatchNorm1d", "BatchNorm2d", "BatchNorm3d");
  if (!(rank == 1 && x->rank() == 2 && x->shape()[1] == channels)) needs_images(layer, x, channels, rank, false);
  if (!mode.training && running_mean.defined()) return batch_norm(x, weight, bias, running_mean, running_var, eps);
  if (x->numel() == channels && mode.training)
    fail<ValueError>(x.where(),
                     "{}: needs more than one value for each channel in training, got {}; a batch of one has no spread",
                     layer, x->shape());
  Tensor y = batch_norm(x, weight, bias, eps);
  if (mode.training && running_mean.defined()) update(*this, x->detach());
  return y;
}

// --- within each entry ----------------------------------------------------------------------------------------------

template <int rank>
InstanceNorm<rank>::InstanceNorm(std::int64_t n, Options o, Where where) : channels(n), eps(o.eps) {
  const char* layer = name_of<rank>("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d");
  at_least_one(layer, "channels", n, where), check_eps(layer, eps, where);
  if (o.affine) weight = Param(ones({n}, o.dtype), where), bias = Param(zeros({n}, o.dtype), where);
}

template <int rank>
Tensor InstanceNorm<rank>::operator()(Operand x) const {
  const At at(x.where());
  const char* layer = name_of<rank>("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d");
  needs_images(layer, x, channels, rank, false);
  if (x->numel() && x->numel() == x->shape()[0] * channels)
    fail<ValueError>(x.where(), "{}: needs more than one value for each channel of an entry, got {}", layer,
                     x->shape());
  return instance_norm(x, weight, bias, eps);
}

LayerNorm::LayerNorm(const Shape& s, LayerNormOptions o, Where where) : shape(s), eps(o.eps) {
  if (s.empty()) fail<ShapeError>(where, "LayerNorm: needs the sizes of the last axes, got {}", s);
  for (auto n : s) at_least_one("LayerNorm", "each size", n, where);
  check_eps("LayerNorm", eps, where);
  if (o.elementwise_affine) weight = Param(ones(s, o.dtype), where);
  if (o.elementwise_affine && o.bias) bias = Param(zeros(s, o.dtype), where);
}

Tensor LayerNorm::operator()(Operand x) const {
  const At at(x.where());
  const Shape axes = last_axes("LayerNorm", x, shape);
  return weight.defined() ? layer_norm(x, weight, bias, eps) : standardize(x, axes, eps);
}

GroupNorm::GroupNorm(std::int64_t g, std::int64_t n, GroupNormOptions o, Where where)
    : groups(g), channels(n), eps(o.eps) {
  at_least_one("GroupNorm", "channels", n, where), at_least_one("GroupNorm", "groups", g, where);
  if (n % g) fail<ValueError>(where, "GroupNorm: {} groups do not divide {} channels", g, n);
  check_eps("GroupNorm", eps, where);
  if (o.affine) weight = Param(ones({n}, o.dtype), where), bias = Param(zeros({n}, o.dtype), where);
}

Tensor GroupNorm::operator()(Operand x) const {
  const At at(x.where());
  if (x->rank() < 2 || x->shape()[1] != channels)
    fail<ShapeError>(x.where(), "GroupNorm: needs [n, {}, ...], got {}", channels, x->shape());
  return group_norm(x, groups, weight, bias, eps);
}

RmsNorm::RmsNorm(const Shape& s, RmsNormOptions o, Where where) : shape(s), eps(o.eps) {
  if (s.empty()) fail<ShapeError>(where, "RmsNorm: needs the sizes of the last axes, got {}", s);
  for (auto n : s) at_least_one("RmsNorm", "each size", n, where);
  if (eps) check_eps("RmsNorm", *eps, where);
  if (o.elementwise_affine) weight = Param(ones(s, o.dtype), where);
}

Tensor RmsNorm::operator()(Operand x) const {
  const At at(x.where());
  const Shape axes = last_axes("RmsNorm", x, shape);
  const double smallest = eps                     ? *eps
                          : x->dtype() == float32 ? std::numeric_limits<float>::epsilon()
                                                  : std::numeric_limits<double>::epsilon();
  if (shape.rank() == 1) return rms_norm(x, weight, smallest);
  const Tensor y = x * rsqrt(mean(square(x), {.axes = axes, .keep_dims = true}) + smallest);
  return weight.defined() ? y * weight : y;
}

Tensor LocalResponseNorm::operator()(Operand x) const {
  const At at(x.where());
  return local_response_norm(x, size, alpha, beta, k);
}

template struct BatchNorm<1>;
template struct BatchNorm<2>;
template struct BatchNorm<3>;
template struct InstanceNorm<1>;
template struct InstanceNorm<2>;
template struct InstanceNorm<3>;

}  // namespace wengert::nn
