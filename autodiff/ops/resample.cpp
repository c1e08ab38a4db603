#include "wengert/autodiff/kernels/resample.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/windows.h"
#include "wengert/autodiff/tape/rule.h"

#include <cmath>

namespace wengert {

using detail::Access;
using detail::check_padding;
using detail::check_planes;
using detail::check_size;
using detail::set_out;
using detail::set_windows;

using kernels::Axis;
using kernels::Sampling;

namespace {

// The last `spatial` of three axes.
struct Resampling : kernels::Resampling {
  int spatial = 0;

  Shape result_shape(Shape s) const {
    for (int i = 0; i < spatial; ++i) {
      const Axis& a = axes[3 - spatial + i];
      s[s.rank() - spatial + i] = transposed ? a.in : a.out;
    }
    return s;
  }
  void describe(detail::Attributes& a) const {
    Shape how, kernel, stride, padding, counted;
    for (int d = 3 - spatial; d < 3; ++d) {
      how.push_back(static_cast<std::int64_t>(axes[d].how));
      kernel.push_back(axes[d].kernel), stride.push_back(axes[d].stride), padding.push_back(axes[d].padding);
      counted.push_back(axes[d].count_padding);
    }
    a.add("how", how), a.add("kernel", kernel), a.add("stride", stride), a.add("padding", padding);
    a.add("count_padding", counted), a.add("transposed", transposed);
  }
};

}  // namespace

// A linear map of each plane; its derivatives are itself and its transpose.
template <bool pooling>
struct Resample {
  static constexpr std::string_view name = pooling ? "avg_pool" : "interpolate";
  Resampling g;
  void describe(detail::Attributes& a) const { g.describe(a); }
  Tensor forward(const Tensor& x) {
    Tensor y = empty(g.result_shape(x.shape()), x.dtype());
    const Tensor a = contiguous(x.detach());
    kernels::resample(x.dtype(), g, y.numel() ? y.numel() / g.to_size() : 0, Access::body(a)->data(),
                      Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    Resample back = *this;
    back.g.transposed = !g.transposed;
    return apply(back, Operand(y_bar));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(*this, Operand(x_dot)); }
};

Tensor avg_pool(Operand x, const Shape& kernel, const AvgPoolOptions& options) {
  constexpr std::string_view op = "avg_pool";
  const int spatial = kernel.rank();
  check_planes(op, x, spatial);
  kernels::Windows w;
  set_windows(w, op, x, spatial, kernel, options.stride.empty() ? kernel : options.stride, options.padding, {1});
  check_padding(w, op, x);
  set_out(w, op, x, spatial, options.ceil_mode);
  Resampling g;
  g.spatial = spatial;
  for (int d = 3 - spatial; d < 3; ++d)
    g.axes[d] = {.in = w.in[d],
                 .out = w.out[d],
                 .kernel = w.kernel[d],
                 .stride = w.stride[d],
                 .padding = w.padding[d],
                 .count_padding = options.count_padding};
  return apply(Resample<true>{g}, x);
}

Tensor adaptive_avg_pool(Operand x, const Shape& size) {
  constexpr std::string_view op = "adaptive_avg_pool";
  check_planes(op, x, size.rank());
  check_size(op, x, size);
  Resampling g;
  g.spatial = size.rank();
  for (int i = 0; i < g.spatial; ++i) {
    const std::int64_t in = x->shape()[x->rank() - g.spatial + i], out = size[i];
    Axis& a = g.axes[3 - g.spatial + i];
    a.in = in, a.out = out;
    if (in % out == 0) a.kernel = a.stride = in / out;
    else a.how = Sampling::adaptive;
  }
  return apply(Resample<true>{g}, x);
}

namespace {

// factors: null, or one for each axis, where it was given.
Tensor interpolate(std::string_view op, Operand x, const Shape& size, const double* factors,
                   InterpolateOptions options) {
  check_planes(op, x, size.rank());
  check_size(op, x, size);
  if (options.mode == Interpolation::area && !options.align_corners) return adaptive_avg_pool(x, size);
  if (options.align_corners && options.mode != Interpolation::linear && options.mode != Interpolation::cubic)
    fail<ValueError>(x.where(), "{}: align_corners needs mode linear or cubic", op);
  Resampling g;
  g.spatial = size.rank();
  for (int i = 0; i < g.spatial; ++i) {
    Axis& a = g.axes[3 - g.spatial + i];
    a.how = options.mode == Interpolation::nearest  ? Sampling::nearest
            : options.mode == Interpolation::linear ? Sampling::linear
                                                    : Sampling::cubic;
    a.in = x->shape()[x->rank() - g.spatial + i], a.out = size[i];
    a.align_corners = options.align_corners;
    if (factors) a.step = 1 / factors[i];
  }
  for (int d = 0; d < 3 - g.spatial; ++d) g.axes[d] = {};
  return apply(Resample<false>{g}, x);
}

}  // namespace

Tensor interpolate(Operand x, const Shape& size, InterpolateOptions options) {
  return interpolate("interpolate", x, size, nullptr, options);
}

Tensor interpolate_by(Operand x, const std::vector<double>& factors, InterpolateOptions options) {
  constexpr std::string_view op = "interpolate_by";
  const int spatial = static_cast<int>(factors.size());
  check_planes(op, x, spatial);
  Shape size;
  for (int i = 0; i < spatial; ++i) {
    const double f = factors[std::size_t(i)];
    const std::int64_t in = x->shape()[x->rank() - spatial + i];
    const double out = std::floor(static_cast<double>(in) * f);
    if (!(out >= 1 && out < 0x1p31))
      fail<ValueError>(x.where(), "{}: factor {} makes {} entries of {} in {}", op, f, out, in, x->shape());
    size.push_back(static_cast<std::int64_t>(out));
  }
  return interpolate(op, x, size, factors.data(), options);
}

}  // namespace wengert
