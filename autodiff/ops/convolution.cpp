#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/im2col.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/windows.h"
#include "wengert/autodiff/tape/rule.h"

namespace wengert {

using detail::Access;
using detail::check_planes;
using detail::check_size;
using detail::needs_float;
using detail::set_axes;
using detail::set_out;
using detail::set_windows;

using kernels::Convolution;

namespace {

// The convolution that x, w and y take part in, and the shapes that they have there.
struct Geometry : Convolution {
  int spatial = 0;

  Shape with_axes(Shape s, const std::int64_t* sizes) const {
    for (int d = 3 - spatial; d < 3; ++d) s.push_back(sizes[d]);
    return s;
  }
  Shape x_shape() const { return with_axes({n, groups * c}, in); }
  Shape w_shape() const { return with_axes({groups * o, c}, kernel); }
  Shape y_shape() const { return with_axes({n, groups * o}, out); }
  double flops() const {
    return 2.0 * static_cast<double>(y_shape().numel()) * static_cast<double>(c * kernel[0] * kernel[1] * kernel[2]);
  }
};

const void* numbers(const Tensor& x) { return x.defined() ? Access::body(x)->data() : nullptr; }
Tensor in_order(const Tensor& x) { return x.defined() ? contiguous(x.detach()) : x; }

// The cotangent of a bias, and its tangent laid over the result. In two steps, each of which reads numbers as they lie.
Tensor bias_bar(const Tensor& y_bar) {
  Shape positions;
  for (int i = 2; i < y_bar.rank(); ++i) positions.push_back(i);
  return sum(sum(y_bar, positions), {0});
}
Tensor bias_dot(const Tensor& b_dot, const Shape& y_shape) {
  Shape one = y_shape;
  for (int i = 0; i < one.rank(); ++i) one[i] = i == 1 ? y_shape[1] : 1;
  return expand(reshape(b_dot, one), y_shape);
}

// Three maps, each linear in both of its operands: y = conv(x, w), x = input_grad(y, w), w = weight_grad(x, y).
// Derivatives of one are the other two, so that all of them are differentiable as often as one likes.
Tensor conv_of(const Geometry&, const Tensor& x, const Tensor& w);
Tensor input_grad_of(const Geometry&, const Tensor& y, const Tensor& w);
Tensor weight_grad_of(const Geometry&, const Tensor& x, const Tensor& y);

}  // namespace

// y = w * x + bias.   x_bar = input_grad(y_bar, w),  w_bar = weight_grad(x, y_bar).
struct Conv {
  static constexpr std::string_view name = "conv";
  Geometry g;
  Saved x, w;
  void describe(detail::Attributes& a) const { detail::describe(g, g.spatial, a), a.add("groups", double(g.groups)); }
  Tensor forward(const Tensor& x0, const Tensor& w0, const Tensor& bias) {
    x = x0, w = w0;
    Tensor y = empty(g.y_shape(), x0.dtype());
    const Tensor a = in_order(x0), b = in_order(w0), c = in_order(bias);
    kernels::conv(y.dtype(), g, numbers(a), numbers(b), numbers(c), Access::body(y)->data());
    return y;
  }
  double flops(const auto&...) const { return g.flops(); }
  std::optional<std::array<Tensor, 3>> vjp(const Tensor& y_bar, Wants to) const {
    const Tensor &x0 = x, &w0 = w;
    if (!to(0) || !to(1) || y_bar.tracked() || x0.tracked() || w0.tracked()) return std::nullopt;
    if (!kernels::gains_together(y_bar.dtype(), g)) return std::nullopt;
    Tensor x_bar = empty(g.x_shape(), y_bar.dtype()), w_bar = empty(g.w_shape(), y_bar.dtype());
    const Tensor a = in_order(x0), b = in_order(w0), c = in_order(y_bar);
    kernels::conv_grads(c.dtype(), g, numbers(a), numbers(b), numbers(c), Access::body(x_bar)->data(),
                        Access::body(w_bar)->data());
    return std::array{x_bar, w_bar, to(2) ? bias_bar(y_bar) : Tensor()};
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return input_grad_of(g, y_bar, w); }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return weight_grad_of(g, x, y_bar); }
  Tensor vjp(arg<2>, const Tensor& y_bar) const { return bias_bar(y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return conv_of(g, x_dot, w); }
  Tensor jvp(arg<1>, const Tensor& w_dot) const { return conv_of(g, x, w_dot); }
  Tensor jvp(arg<2>, const Tensor& b_dot) const { return bias_dot(b_dot, g.y_shape()); }
};

// The transposed convolution of y with w (+ bias).
struct ConvTranspose {
  static constexpr std::string_view name = "conv_transpose";
  Geometry g;
  Saved y, w;
  void describe(detail::Attributes& a) const { detail::describe(g, g.spatial, a), a.add("groups", double(g.groups)); }
  Tensor forward(const Tensor& y0, const Tensor& w0, const Tensor& bias) {
    y = y0, w = w0;
    Tensor x = empty(g.x_shape(), y0.dtype());
    const Tensor a = in_order(y0), b = in_order(w0), c = in_order(bias);
    kernels::conv_input_grad(x.dtype(), g, numbers(a), numbers(b), numbers(c), Access::body(x)->data());
    return x;
  }
  double flops(const auto&...) const { return g.flops(); }
  Tensor vjp(arg<0>, const Tensor& x_bar) const { return conv_of(g, x_bar, w); }
  Tensor vjp(arg<1>, const Tensor& x_bar) const { return weight_grad_of(g, x_bar, y); }
  Tensor vjp(arg<2>, const Tensor& x_bar) const { return bias_bar(x_bar); }
  Tensor jvp(arg<0>, const Tensor& y_dot) const { return input_grad_of(g, y_dot, w); }
  Tensor jvp(arg<1>, const Tensor& w_dot) const { return input_grad_of(g, y, w_dot); }
  Tensor jvp(arg<2>, const Tensor& b_dot) const { return bias_dot(b_dot, g.x_shape()); }
};

// w[q, r, k] = sum over images and positions p of x[r, p stride + k dilation] y[q, p].
struct ConvWeightGrad {
  static constexpr std::string_view name = "conv_weight_grad";
  Geometry g;
  Saved x, y;
  Tensor forward(const Tensor& x0, const Tensor& y0) {
    x = x0, y = y0;
    Tensor w = empty(g.w_shape(), x0.dtype());
    const Tensor a = in_order(x0), b = in_order(y0);
    kernels::conv_weight_grad(w.dtype(), g, numbers(a), numbers(b), Access::body(w)->data());
    return w;
  }
  double flops(const auto&...) const { return g.flops(); }
  Tensor vjp(arg<0>, const Tensor& w_bar) const { return input_grad_of(g, y, w_bar); }
  Tensor vjp(arg<1>, const Tensor& w_bar) const { return conv_of(g, x, w_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return weight_grad_of(g, x_dot, y); }
  Tensor jvp(arg<1>, const Tensor& y_dot) const { return weight_grad_of(g, x, y_dot); }
};

namespace {

Tensor conv_of(const Geometry& g, const Tensor& x, const Tensor& w) {
  const Tensor none;
  return apply(Conv{g, {}, {}}, Operand(x), Operand(w), Operand(none));
}
Tensor input_grad_of(const Geometry& g, const Tensor& y, const Tensor& w) {
  const Tensor none;
  return apply(ConvTranspose{g, {}, {}}, Operand(y), Operand(w), Operand(none));
}
Tensor weight_grad_of(const Geometry& g, const Tensor& x, const Tensor& y) {
  return apply(ConvWeightGrad{g, {}, {}}, Operand(x), Operand(y));
}

// What both operators demand of their operands. `out` and `in` are the channels of the result and of x.
void check_operands(std::string_view op, Operand x, Operand weight, Operand bias, std::int64_t groups) {
  const int spatial = weight->rank() - 2;
  if (spatial < 1 || spatial > 3)
    fail<ShapeError>(weight.where(), "{}: weight must have two axes of channels and one to three of the kernel, got {}",
                     op, weight->shape());
  if (x->rank() != spatial + 2 && x->rank() != spatial + 1)
    fail<ShapeError>(x.where(), "{}: for a weight {} the input must be [n, channels] and {} spatial axes, got {}", op,
                     weight->shape(), spatial, x->shape());
  needs_float(op, x);
  if (weight->dtype() != x->dtype())
    fail<TypeError>(x.where(), "{}: dtypes differ: input {}, weight {}; convert with to()", op, x->dtype(),
                    weight->dtype());
  if (bias->defined() && bias->dtype() != x->dtype())
    fail<TypeError>(x.where(), "{}: dtypes differ: input {}, bias {}; convert with to()", op, x->dtype(),
                    bias->dtype());
  if (groups < 1) fail<ValueError>(x.where(), "{}: groups must be >= 1, got {}", op, groups);
}

void check_bias(std::string_view op, Operand bias, std::int64_t channels) {
  if (bias->defined() && bias->shape() != Shape{channels})
    fail<ShapeError>(bias.where(), "{}: bias must have one entry for each of the {} output channels, got {}", op,
                     channels, bias->shape());
}

Tensor conv(std::string_view op, Operand x, Operand weight, Operand bias, const ConvOptions& options) {
  const std::int64_t groups = options.groups;
  check_operands(op, x, weight, bias, groups);
  const int spatial = weight->rank() - 2;
  const bool single = x->rank() == spatial + 1;
  const std::int64_t channels = x->size(single ? 0 : 1), outputs = weight->size(0);
  if (channels % groups || outputs % groups)
    fail<ShapeError>(x.where(), "{}: {} groups must divide the {} input and the {} output channels, weight {}", op,
                     groups, channels, outputs, weight->shape());
  if (weight->size(1) * groups != channels)
    fail<ShapeError>(x.where(), "{}: input {} has {} channels, but weight {} takes {}{}", op, x->shape(), channels,
                     weight->shape(), weight->size(1) * groups,
                     groups == 1 ? "" : fmt::format(" in {} groups", groups));
  check_bias(op, bias, outputs);
  Geometry g;
  g.n = single ? 1 : x->size(0), g.groups = groups, g.c = channels / groups, g.o = outputs / groups,
  g.spatial = spatial;
  set_windows(g, op, x, spatial, Shape(std::span(weight->shape()).subspan(2)), options.stride, options.padding,
              options.dilation);
  set_out(g, op, x, spatial);
  const Tensor images = single ? unsqueeze(x, 0) : x.tensor();
  Tensor y = apply(Conv{g, {}, {}}, Operand(images, x.where()), weight, bias);
  return single ? squeeze(Operand(y, x.where()), 0) : y;
}

}  // namespace

Tensor conv(Operand x, Operand weight, Operand bias, const ConvOptions& options) {
  return conv("conv", x, weight, bias, options);
}

Tensor conv_transpose(Operand x, Operand weight, Operand bias, const ConvTransposeOptions& options) {
  constexpr std::string_view op = "conv_transpose";
  const std::int64_t groups = options.groups;
  check_operands(op, x, weight, bias, groups);
  const int spatial = weight->rank() - 2;
  const bool single = x->rank() == spatial + 1;
  const std::int64_t channels = x->size(single ? 0 : 1);
  if (weight->size(0) != channels)
    fail<ShapeError>(x.where(), "{}: input {} has {} channels, but weight {} takes {} (its first axis)", op, x->shape(),
                     channels, weight->shape(), weight->size(0));
  if (channels % groups)
    fail<ShapeError>(x.where(), "{}: {} groups do not divide {} input channels", op, groups, channels);
  check_bias(op, bias, weight->size(1) * groups);
  Geometry g;  // of the convolution that this one transposes: x is its result
  g.n = single ? 1 : x->size(0), g.groups = groups, g.c = weight->size(1), g.o = channels / groups, g.spatial = spatial;
  set_windows(g, op, x, spatial, Shape(std::span(weight->shape()).subspan(2)), options.stride, options.padding,
              options.dilation);
  std::int64_t extra[3];
  set_axes(extra, op, "output_padding", x, options.output_padding, spatial, 0, 0);
  for (int d = 3 - spatial; d < 3; ++d) {
    const std::int64_t e = extra[d];
    if (e >= g.stride[d] && e >= g.dilation[d])
      fail<ValueError>(x.where(), "{}: output_padding {} must be smaller than the stride {} or the dilation {}", op, e,
                       g.stride[d], g.dilation[d]);
    g.out[d] = g.in[d];
    g.in[d] = (g.out[d] - 1) * g.stride[d] - 2 * g.padding[d] + g.dilation[d] * (g.kernel[d] - 1) + e + 1;
    if (g.in[d] < 1)
      fail<ShapeError>(x.where(),
                       "{}: input {} with kernel {}, stride {}, padding {} has no result: size {}; use less padding",
                       op, x->shape(), g.kernel[d], g.stride[d], g.padding[d], g.in[d]);
  }
  const Tensor images = single ? unsqueeze(x, 0) : x.tensor();
  Tensor y = apply(ConvTranspose{g, {}, {}}, Operand(images, x.where()), weight, bias);
  return single ? squeeze(Operand(y, x.where()), 0) : y;
}

// Entries are copied to where a kernel sees them; the transpose adds them up again.
struct Unfold {
  static constexpr std::string_view name = "unfold";
  Geometry g;  // c counts all channels
  Tensor forward(const Tensor& x) {
    Tensor y = empty({g.n, g.c * g.kernel_size(), g.out_size()}, x.dtype());
    const Tensor a = contiguous(x.detach());
    if (y.numel()) kernels::unfold(x.dtype(), g, g.n, g.c, numbers(a), Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const;
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(*this, Operand(x_dot)); }
};
struct Fold {
  static constexpr std::string_view name = "fold";
  Geometry g;
  Tensor forward(const Tensor& y) {
    Tensor x = empty(g.x_shape(), y.dtype());
    const Tensor a = contiguous(y.detach());
    if (x.numel()) kernels::fold(y.dtype(), g, g.n, g.c, numbers(a), Access::body(x)->data());
    return x;
  }
  Tensor vjp(arg<0>, const Tensor& x_bar) const { return apply(Unfold{g}, Operand(x_bar)); }
  Tensor jvp(arg<0>, const Tensor& y_dot) const { return apply(*this, Operand(y_dot)); }
};
Tensor Unfold::vjp(arg<0>, const Tensor& y_bar) const { return apply(Fold{g}, Operand(y_bar)); }

Tensor unfold(Operand x, const Shape& kernel, const UnfoldOptions& options) {
  constexpr std::string_view op = "unfold";
  const int spatial = kernel.rank();
  check_planes(op, x, spatial);
  const bool single = x->rank() == spatial + 1;
  if (!single && x->rank() != spatial + 2)
    fail<ShapeError>(x.where(), "{}: for kernel {} the input must be [n, channels] and {} spatial axes, got {}", op,
                     kernel, spatial, x->shape());
  Geometry g;
  g.spatial = spatial, g.n = single ? 1 : x->size(0), g.c = x->size(single ? 0 : 1);
  set_windows(g, op, x, spatial, kernel, options.stride, options.padding, options.dilation);
  set_out(g, op, x, spatial);
  const Tensor images = single ? unsqueeze(x, 0) : x.tensor();
  const Tensor y = apply(Unfold{g}, Operand(images, x.where()));
  return single ? squeeze(Operand(y, x.where()), 0) : y;
}

Tensor fold(Operand x, const Shape& size, const Shape& kernel, const UnfoldOptions& options) {
  constexpr std::string_view op = "fold";
  const int spatial = kernel.rank();
  needs_float(op, x);
  check_size(op, x, size);
  if (spatial < 1 || spatial > 3 || size.rank() != spatial)
    fail<ShapeError>(x.where(), "{}: takes a size and a kernel for each of one to three axes, got {} and {}", op, size,
                     kernel);
  const bool single = x->rank() == 2;
  if (!single && x->rank() != 3)
    fail<ShapeError>(x.where(), "{}: the input must be [n, channels * kernel, positions], got {}", op, x->shape());
  Geometry g;
  Tensor like;  // an image of that size, for the checks that unfold makes
  {
    no_grad plain;
    like = expand(zeros({1}, x->dtype()), size);
  }
  const Operand image(like, x.where());
  set_windows(g, op, image, spatial, kernel, options.stride, options.padding, options.dilation);
  set_out(g, op, image, spatial);
  const std::int64_t rows = x->size(-2), k = g.kernel_size();
  if (rows % k || x->size(-1) != g.out_size())
    fail<ShapeError>(x.where(),
                     "{}: for size {} and kernel {} the last two axes must be a multiple of {} and {}, got {}", op,
                     size, kernel, k, g.out_size(), x->shape());
  g.spatial = spatial, g.n = single ? 1 : x->size(0), g.c = rows / k;
  const Tensor columns = single ? unsqueeze(x, 0) : x.tensor();
  const Tensor y = apply(Fold{g}, Operand(columns, x.where()));
  return single ? squeeze(Operand(y, x.where()), 0) : y;
}

}  // namespace wengert
