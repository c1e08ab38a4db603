#include "wengert/autodiff/kernels/reduce.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/pointwise.h"

#include <optional>

namespace wengert {

using detail::Access;
using detail::operand_shape;

namespace {

Tensor reduce(kernels::Reduction what, const Tensor& x, std::uint32_t axes) {
  Tensor y = empty(reduced_shape(x.shape(), axes, false), x.dtype());
  if (!y.numel()) return y;
  const ReductionPlan p = plan_reduction(x.shape(), x.is_contiguous(), axes);
  void* result = Access::body(y)->data();
  if (p.leading) kernels::reduce_columns(what, x.dtype(), p.inner, p.outer, Access::body(x)->data(), result);
  else
    kernels::reduce_rows(what, x.dtype(), p.outer, p.inner, Access::body(contiguous(permute(x, p.order)))->data(),
                         result);
  return y;
}

}  // namespace

struct Sum {
  static constexpr std::string_view name = "sum";
  std::uint32_t axes;
  bool keep_dims;
  void describe(detail::Attributes& a) const { a.add("axes", axes), a.add("keep_dims", keep_dims); }
  Tensor forward(const Tensor& x) {
    Tensor y = reduce(kernels::Reduction::sum, x.detach(), axes);
    return keep_dims ? reshape(y, reduced_shape(x.shape(), axes, true)) : y;
  }
  static double flops(const Tensor&, const Tensor& x) { return static_cast<double>(x.numel()); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Shape& shape = operand_shape(0);
    return expand(reshape(y_bar, reduced_shape(shape, axes, true)), shape);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(Sum{axes, keep_dims}, Operand(x_dot)); }
};
Tensor sum(Operand x, const Shape& axes, bool keep_dims) {
  if (x->dtype() == boolean) return sum(to(x, int64), axes, keep_dims);
  return apply(Sum{axes_of("sum", x, axes), keep_dims}, x);
}

Tensor mean(Operand x, const Shape& axes, bool keep_dims) {
  if (!is_float(x->dtype()))
    fail<TypeError>(x.where(), "mean: needs float32 or float64, got {}; convert with to()", x->dtype());
  const Tensor s = sum(x, axes, keep_dims);
  const std::int64_t n = s.numel() ? x->numel() / s.numel() : 0;
  return affine(Operand(s, x.where()), 1.0 / static_cast<double>(n), 0);
}

Tensor sum_to(Operand x, const Shape& shape) {
  if (x->shape() == shape) return x.tensor();
  const int before = x->rank() - shape.rank();
  std::uint32_t axes = 0;
  bool fits = before >= 0;
  for (int i = 0; fits && i < x->rank(); ++i) {
    if (i < before || (shape[i - before] == 1 && x->shape()[i] != 1)) axes |= 1u << i;
    else fits = shape[i - before] == x->shape()[i];
  }
  if (!fits) fail<ShapeError>(x.where(), "sum_to: {} is not broadcast from {}", x->shape(), shape);
  return reshape(apply(Sum{axes, true}, x), shape);
}

// The cotangent is shared evenly among the entries that are largest.
template <kernels::Reduction what>
struct Extreme {
  static constexpr std::string_view name = what == kernels::Reduction::max ? "amax" : "amin";
  std::uint32_t axes;
  Saved x, y;
  void describe(detail::Attributes& a) const { a.add("axes", axes); }
  Tensor forward(const Tensor& a) {
    x = a;
    Tensor r = reshape(reduce(what, a.detach(), axes), reduced_shape(a.shape(), axes, true));
    y = r;
    return r;
  }
  Tensor share() const {
    const Tensor hit = to(equal(Operand(x->detach()), y->detach()), x->dtype());
    Shape all;
    for (int i = 0; i < x->rank(); ++i)
      if (axes >> i & 1) all.push_back(i);
    return all.empty() ? hit : div(hit, sum(hit, all, true));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return mul(y_bar, share()); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(Sum{axes, true}, Operand(mul(x_dot, share()))); }
};
template <kernels::Reduction what>
Tensor extreme(Operand x, const Shape& axes, bool keep_dims) {
  using Rule = Extreme<what>;
  const std::uint32_t mask = axes_of(Rule::name, x, axes);
  const Shape wanted = reduced_shape(x->shape(), mask, keep_dims);
  if (!x->numel() && wanted.numel())
    fail<ShapeError>(x.where(), "{}: the largest or smallest of no entries, in shape {}", Rule::name, x->shape());
  return reshape(apply(Rule{mask, {}, {}}, x), wanted);
}
Tensor amax(Operand x, const Shape& axes, bool keep_dims) {
  return extreme<kernels::Reduction::max>(x, axes, keep_dims);
}
Tensor amin(Operand x, const Shape& axes, bool keep_dims) {
  return extreme<kernels::Reduction::min>(x, axes, keep_dims);
}

namespace {

// What observers are told of it.
struct ExtremeIndex {
  int axis;
  bool keep_dims;
  void describe(detail::Attributes& a) const { a.add("axis", axis), a.add("keep_dims", keep_dims); }
};

Tensor index_of_extreme(std::string_view op, bool largest, Operand x, int axis, bool keep_dims) {
  axis = axis_of(op, x, axis);
  const Tensor* operands[] = {&x.tensor()};
  const ExtremeIndex told{axis, keep_dims};
  std::optional<detail::Frame> frame;
  if (detail::watched()) [[unlikely]]
    frame.emplace(detail::Act::forward, largest ? "argmax" : "argmin", x.where(), operands).of(told);
  if (x->shape()[axis] == 0) fail<ShapeError>(x.where(), "{}: axis {} of {} has no entries", op, axis, x->shape());
  Shape order;
  for (int i = 0; i < x->rank(); ++i)
    if (i != axis) order.push_back(i);
  order.push_back(axis);
  const Tensor rows = contiguous(permute(x->detach(), order));
  Tensor y = empty(reduced_shape(x->shape(), 1u << axis, keep_dims), int64);
  kernels::index_of_extreme_rows(x->dtype(), largest, y.numel(), x->shape()[axis], Access::body(rows)->data(),
                                 detail::fresh<std::int64_t>(y));
  if (frame) frame->done({&y, 1});
  return y;
}

// The entries named by an index of one for each line: the chosen one receives the whole cotangent.
Indexed chosen(std::string_view op, bool largest, Operand x, int axis, bool keep_dims) {
  const CalledBy by(x);
  axis = axis_of(op, x, axis);
  const Tensor index = index_of_extreme(op, largest, x, axis, true), values = gather(x, axis, by(index));
  return keep_dims ? Indexed{values, index} : Indexed{squeeze(by(values), axis), squeeze(by(index), axis)};
}

}  // namespace

Tensor argmax(Operand x, int axis, bool keep_dims) { return index_of_extreme("argmax", true, x, axis, keep_dims); }
Tensor argmin(Operand x, int axis, bool keep_dims) { return index_of_extreme("argmin", false, x, axis, keep_dims); }
Indexed max_along(Operand x, int axis, bool keep_dims) { return chosen("max_along", true, x, axis, keep_dims); }
Indexed min_along(Operand x, int axis, bool keep_dims) { return chosen("min_along", false, x, axis, keep_dims); }

}  // namespace wengert
