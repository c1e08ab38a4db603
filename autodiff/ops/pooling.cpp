#include "wengert/autodiff/kernels/pooling.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/windows.h"
#include "wengert/autodiff/tape/rule.h"

#include <limits>

namespace wengert {

using detail::Access;
using detail::check_padding;
using detail::check_planes;
using detail::check_size;
using detail::set_out;
using detail::set_windows;

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

void* numbers(const Tensor& x) { return Access::body(x)->data(); }

// y[i] = x[index[i]].
Tensor gathered(const Pooling& g, const Tensor& index, const Tensor& x) {
  Tensor y = empty(g.with_axes(x.shape(), g.out), x.dtype());
  kernels::pool_gather(x.dtype(), g, g.planes(x), numbers(index), numbers(contiguous(x.detach())), numbers(y));
  return y;
}
// x[index[i]] += y[i] on zeros.
Tensor scattered(const Pooling& g, const Tensor& index, const Tensor& y) {
  Tensor x = empty(g.with_axes(y.shape(), g.in), y.dtype());
  kernels::pool_scatter(y.dtype(), g, g.planes(y), numbers(index), numbers(contiguous(y.detach())), numbers(x));
  return x;
}
// The same on the tape, where the operand is.
Tensor gather_of(const Pooling&, const Tensor& index, const Tensor& x);
Tensor scatter_of(const Pooling&, const Tensor& index, const Tensor& y);

}  // namespace

// The index is constant.
struct PoolGather {
  static constexpr std::string_view name = "pool_gather";
  Pooling g;
  SavedConstant index;
  Tensor forward(const Tensor& x) { return gathered(g, index, x); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return scatter_of(g, index, y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return gather_of(g, index, x_dot); }
};
// Its transpose.
struct PoolScatter {
  static constexpr std::string_view name = "pool_scatter";
  Pooling g;
  SavedConstant index;
  Tensor forward(const Tensor& y) { return scattered(g, index, y); }
  Tensor vjp(arg<0>, const Tensor& x_bar) const { return gather_of(g, index, x_bar); }
  Tensor jvp(arg<0>, const Tensor& y_dot) const { return scatter_of(g, index, y_dot); }
};

namespace {

template <class Rule>
Tensor on_tape(const Pooling& g, const Tensor& index, const Tensor& x) {
  Rule rule{g, {}};
  rule.index = index;
  return apply(std::move(rule), Operand(x));
}
Tensor gather_of(const Pooling& g, const Tensor& index, const Tensor& x) {
  return x.tracked() ? on_tape<PoolGather>(g, index, x) : gathered(g, index, x);
}
Tensor scatter_of(const Pooling& g, const Tensor& index, const Tensor& y) {
  return y.tracked() ? on_tape<PoolScatter>(g, index, y) : scattered(g, index, y);
}

}  // namespace

// The largest of each window. Kept: where it was, in bytes that only the kernels read.
struct MaxPool {
  static constexpr std::string_view name = "max_pool";
  Pooling g;
  bool adaptive = false, keep_index = false;
  SavedConstant index;
  void describe(detail::Attributes& a) const { detail::describe(g, g.spatial, a), a.add("adaptive", adaptive); }
  Tensor forward(const Tensor& x) {
    Tensor y = empty(g.with_axes(x.shape(), g.out), x.dtype());
    Tensor where_from;
    if (keep_index) where_from = empty(y.shape(), kernels::index_bytes(g) == 1 ? boolean : float32);
    void* at = keep_index ? numbers(where_from) : nullptr;
    const Tensor a = contiguous(x.detach());
    if (adaptive)
      kernels::adaptive_max_pool(x.dtype(), g, g.planes(x), numbers(a), numbers(y), static_cast<std::int32_t*>(at));
    else kernels::max_pool(x.dtype(), g, g.planes(x), numbers(a), numbers(y), at);
    index = where_from;
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return scatter_of(g, index, y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return gather_of(g, index, x_dot); }
};

namespace {

MaxPool rule_for(std::string_view op, const Operand& x, int spatial) {
  check_planes(op, x, spatial);
  MaxPool rule;
  rule.g.spatial = spatial;
  rule.keep_index = x->tracked() && recording();
  return rule;
}

Tensor run(MaxPool&& rule, std::string_view op, Operand& x) {
  if (rule.g.in_size() > std::numeric_limits<std::int32_t>::max())
    fail<ShapeError>(x.where(), "{}: a plane of {} has more than 2^31 entries", op, x->shape());
  return apply(std::move(rule), x);
}

Tensor max_pool(std::string_view op, Operand& x, const Shape& kernel, const MaxPoolOptions& options) {
  const int spatial = kernel.rank();
  MaxPool rule = rule_for(op, x, spatial);
  Windows& g = rule.g;
  set_windows(g, op, x, spatial, kernel, options.stride.empty() ? kernel : options.stride, options.padding,
              options.dilation);
  check_padding(g, op, x);
  set_out(g, op, x, spatial, options.ceil_mode);
  return run(std::move(rule), op, x);
}

}  // namespace

Tensor max_pool(Operand x, const Shape& kernel, const MaxPoolOptions& options) {
  return max_pool("max_pool", x, kernel, options);
}

Tensor adaptive_max_pool(Operand x, const Shape& size) {
  constexpr std::string_view op = "adaptive_max_pool";
  const int spatial = size.rank();
  MaxPool rule = rule_for(op, x, spatial);
  bool regular = true;  // all windows alike
  for (int i = 0; i < spatial; ++i) {
    const int d = 3 - spatial + i;
    const std::int64_t in = x->shape()[x->rank() - spatial + i];
    check_size(op, x, size);
    rule.g.in[d] = in, rule.g.out[d] = size[i];
    regular = regular && in % size[i] == 0;
  }
  rule.adaptive = !regular;
  if (regular)
    for (int d = 3 - spatial; d < 3; ++d) rule.g.kernel[d] = rule.g.stride[d] = rule.g.in[d] / rule.g.out[d];
  return run(std::move(rule), op, x);
}

}  // namespace wengert
