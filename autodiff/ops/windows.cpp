#include "wengert/autodiff/ops/windows.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops/axes.h"

namespace wengert {

using detail::needs_float;
using detail::set_axes;

void detail::set_axes(std::int64_t (&to)[3], std::string_view op, std::string_view what, const Operand& x,
                      const Shape& given, int spatial, std::int64_t least, std::int64_t otherwise) {
  if (given.rank() > 1 && given.rank() != spatial)
    fail<ShapeError>(x.where(), "{}: {} needs one entry for each of {} spatial axes, or one for all, got {}", op, what,
                     spatial, given);
  for (int i = 0; i < spatial; ++i) {
    const std::int64_t n = given.empty() ? otherwise : given[given.rank() == 1 ? 0 : i];
    if (n < least) fail<ValueError>(x.where(), "{}: {} must be >= {}, got {}", op, what, least, given);
    to[3 - spatial + i] = n;
  }
}

void detail::set_windows(kernels::Windows& g, std::string_view op, const Operand& x, int spatial, const Shape& kernel,
                         const Shape& stride, const Shape& padding, const Shape& dilation) {
  set_axes(g.kernel, op, "kernel", x, kernel, spatial, 1, 0);
  set_axes(g.stride, op, "stride", x, stride, spatial, 1, 1);
  set_axes(g.padding, op, "padding", x, padding, spatial, 0, 0);
  set_axes(g.dilation, op, "dilation", x, dilation, spatial, 1, 1);
  for (int i = 0; i < spatial; ++i) g.in[3 - spatial + i] = x->shape()[x->rank() - spatial + i];
}

void detail::set_out(kernels::Windows& g, std::string_view op, const Operand& x, int spatial, bool ceil) {
  for (int d = 3 - spatial; d < 3; ++d) {
    const std::int64_t reach = g.dilation[d] * (g.kernel[d] - 1) + 1, padded = g.in[d] + 2 * g.padding[d];
    const std::int64_t room = padded - reach + (ceil ? g.stride[d] - 1 : 0);
    if (room < 0)
      fail<ShapeError>(x.where(),
                       "{}: the kernel reaches over {} entries, but spatial axis {} of {} has {} with its padding of "
                       "{}; pad more or use a smaller kernel",
                       op, reach, d - 3 + spatial, x->shape(), padded, g.padding[d]);
    g.out[d] = room / g.stride[d] + 1;
    if (ceil && (g.out[d] - 1) * g.stride[d] >= g.in[d] + g.padding[d])
      --g.out[d];  // it would begin in the padding after the input
  }
}

void detail::describe(const kernels::Windows& w, int spatial, detail::Attributes& a) {
  auto last = [spatial](const std::int64_t* sizes) {
    return Shape(std::span(sizes + 3 - spatial, static_cast<std::size_t>(spatial)));
  };
  a.add("kernel", last(w.kernel)), a.add("stride", last(w.stride));
  a.add("padding", last(w.padding)), a.add("dilation", last(w.dilation));
}

void detail::check_planes(std::string_view op, const Operand& x, int spatial) {
  needs_float(op, x);
  if (spatial < 1 || spatial > 3)
    fail<ShapeError>(x.where(), "{}: takes one to three spatial axes, with a number for each; got {} numbers", op,
                     spatial);
  if (x->rank() < spatial)
    fail<ShapeError>(x.where(), "{}: needs {} spatial axes at the end, got {}", op, spatial, x->shape());
  for (int i = x->rank() - spatial; i < x->rank(); ++i)
    if (x->shape()[i] == 0) fail<ShapeError>(x.where(), "{}: a spatial axis is empty, shape {}", op, x->shape());
}

void detail::check_padding(const kernels::Windows& g, std::string_view op, const Operand& x) {
  for (int d = 0; d < 3; ++d)
    if (g.padding[d] > g.kernel[d] / 2)
      fail<ValueError>(x.where(), "{}: padding {} is larger than half of the kernel {}", op, g.padding[d], g.kernel[d]);
}

void detail::check_size(std::string_view op, const Operand& x, const Shape& size) {
  for (auto n : size)
    if (n < 1) fail<ValueError>(x.where(), "{}: sizes must be >= 1, got {}", op, size);
}

}  // namespace wengert
