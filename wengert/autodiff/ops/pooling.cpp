#include "wengert/autodiff/kernels/pooling.h"

#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/windows.h"
#include "wengert/autodiff/rule.h"

#include <limits>

namespace wengert {

using detail::Access;
using kernels::Windows;

namespace {

// Planes are all axes before the spatial ones.
struct Pooling : Windows {
  int spatial = 0;

  std::int64_t planes(const Tensor& x) const {
    std::int64_t n = 1;
    for (int i = 0; i < x.rank() - spatial; ++i) n *= x.shape()[i];
    return n;
  }
  Shape with_axes(Shape s, const std::int64_t* sizes) const {
    for (int i = 0; i < spatial; ++i) s[s.rank() - spatial + i] = sizes[3 - spatial + i];
    return s;
  }
};

void* numbers(const Tensor& x) { return Access::body(x)->data; }

Tensor gather_of(const Pooling&, const Tensor& index, const Tensor& x);
Tensor scatter_of(const Pooling&, const Tensor& index, const Tensor& y);

}  // namespace

// y[i] = x[index[i]], index constant. The transpose of PoolScatter.
struct PoolGather {
  static constexpr std::string_view name = "pool_gather";
  Pooling g;
  Constant index;
  Tensor forward(const Tensor& x) {
    Tensor y = empty(g.with_axes(x.shape(), g.out), x.dtype());
    kernels::pool_gather(x.dtype(), g, g.planes(x), numbers(index), numbers(contiguous(x.detach())), numbers(y));
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return scatter_of(g, index, y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return gather_of(g, index, x_dot); }
};

// x[index[i]] += y[i] on zeros.
struct PoolScatter {
  static constexpr std::string_view name = "pool_scatter";
  Pooling g;
  Constant index;
  Tensor forward(const Tensor& y) {
    Tensor x = empty(g.with_axes(y.shape(), g.in), y.dtype());
    kernels::pool_scatter(y.dtype(), g, g.planes(y), numbers(index), numbers(contiguous(y.detach())), numbers(x));
    return x;
  }
  Tensor vjp(arg<0>, const Tensor& x_bar) const { return gather_of(g, index, x_bar); }
  Tensor jvp(arg<0>, const Tensor& y_dot) const { return scatter_of(g, index, y_dot); }
};

namespace {

Tensor gather_of(const Pooling& g, const Tensor& index, const Tensor& x) {
  PoolGather rule{g, {}};
  rule.index = index;
  return apply(std::move(rule), Operand(x));
}
Tensor scatter_of(const Pooling& g, const Tensor& index, const Tensor& y) {
  PoolScatter rule{g, {}};
  rule.index = index;
  return apply(std::move(rule), Operand(y));
}

}  // namespace

// The largest of each window. Kept: where it was, in bytes that only the kernels read.
struct MaxPool {
  static constexpr std::string_view name = "max_pool";
  Pooling g;
  bool keep_index = false;
  Constant index;
  Tensor forward(const Tensor& x) {
    Tensor y = empty(g.with_axes(x.shape(), g.out), x.dtype());
    Tensor where_from;
    if (keep_index) where_from = empty(y.shape(), kernels::index_bytes(g) == 1 ? boolean : float32);
    kernels::max_pool(x.dtype(), g, g.planes(x), numbers(contiguous(x.detach())), numbers(y),
                      keep_index ? numbers(where_from) : nullptr);
    index = where_from;
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return scatter_of(g, index, y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return gather_of(g, index, x_dot); }
};

namespace {

Tensor max_pool_of(std::string_view op, Operand x, int spatial, const Shape& kernel, const Shape& stride,
                   const Shape& padding, const Shape& dilation, bool ceil) {
  check_float(op, x);
  if (x->rank() < spatial)
    fail<ShapeError>(x.where(), "{}: needs {} spatial axes at the end, got {}", op, spatial, x->shape());
  MaxPool rule;
  rule.g.spatial = spatial;
  set_windows(rule.g, op, x, spatial, kernel, stride, padding, dilation);
  for (int d = 3 - spatial; d < 3; ++d) {
    if (rule.g.padding[d] > rule.g.kernel[d] / 2)
      fail<ValueError>(x.where(), "{}: padding {} is larger than half of the kernel {}", op, rule.g.padding[d],
                       rule.g.kernel[d]);
    if (rule.g.in[d] == 0) fail<ShapeError>(x.where(), "{}: the largest of no entries, in shape {}", op, x->shape());
  }
  if (rule.g.in_size() > std::numeric_limits<std::int32_t>::max())
    fail<ShapeError>(x.where(), "{}: a plane of {} has more than 2^31 entries", op, x->shape());
  set_out(rule.g, op, x, spatial, ceil);
  rule.keep_index = x->tracked() && recording();
  return apply(std::move(rule), x);
}

}  // namespace

Tensor max_pool2d(Operand x, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  return max_pool_of("max_pool2d", x, 2, {kernel}, {stride == 0 ? kernel : stride}, {padding}, {1}, false);
}

}  // namespace wengert
