#include "wengert/autodiff/kernels/reduce.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/pointwise.h"

#include <optional>

namespace wengert {

using detail::Access;
using detail::axes_of;
using detail::axis_of;
using detail::CalledBy;
using detail::needs_float;
using detail::operand_shape;
using detail::plan_reduction;
using detail::reduced_shape;
using detail::ReductionPlan;

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
Tensor sum(Operand x, const Reduce& over) {
  if (x->dtype() == boolean) return sum(Operand(to(x, int64), x.where()), over);
  return apply(Sum{axes_of("sum", x, over.axes), over.keep_dims}, x);
}

Tensor mean(Operand x, const Reduce& over) {
  needs_float("mean", x);
  const Tensor s = sum(x, over);
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
  if (!fits) fail<ShapeError>(x.where(), "sum_to: {} does not broadcast to {}, the shape of x", shape, x->shape());
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
    return all.empty() ? hit : div(hit, sum(hit, {.axes = all, .keep_dims = true}));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return mul(y_bar, share()); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(Sum{axes, true}, Operand(mul(x_dot, share()))); }
};
template <kernels::Reduction what>
Tensor extreme(Operand x, const Reduce& over) {
  using Rule = Extreme<what>;
  const std::uint32_t mask = axes_of(Rule::name, x, over.axes);
  const Shape wanted = reduced_shape(x->shape(), mask, over.keep_dims);
  if (!x->numel() && wanted.numel())
    fail<ShapeError>(x.where(), "{}: cannot reduce an empty axis, shape {}", Rule::name, x->shape());
  return reshape(apply(Rule{mask, {}, {}}, x), wanted);
}
Tensor amax(Operand x, const Reduce& over) { return extreme<kernels::Reduction::max>(x, over); }
Tensor amin(Operand x, const Reduce& over) { return extreme<kernels::Reduction::min>(x, over); }

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
  if (x->shape()[axis] == 0)
    fail<ShapeError>(x.where(), "{}: cannot reduce axis {} of {}, which is empty", op, axis, x->shape());
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
Indexed chosen(std::string_view op, bool largest, Operand x, const ReduceAxis& over) {
  const CalledBy by(x);
  const int axis = axis_of(op, x, over.axis);
  const Tensor index = index_of_extreme(op, largest, x, axis, true), values = gather(x, axis, by(index));
  return over.keep_dims ? Indexed{values, index} : Indexed{squeeze(by(values), axis), squeeze(by(index), axis)};
}

}  // namespace

Tensor argmax(Operand x, const ReduceAxis& over) {
  return index_of_extreme("argmax", true, x, over.axis, over.keep_dims);
}
Tensor argmin(Operand x, const ReduceAxis& over) {
  return index_of_extreme("argmin", false, x, over.axis, over.keep_dims);
}
Indexed max_with_index(Operand x, const ReduceAxis& over) { return chosen("max_with_index", true, x, over); }
Indexed min_with_index(Operand x, const ReduceAxis& over) { return chosen("min_with_index", false, x, over); }

}  // namespace wengert
