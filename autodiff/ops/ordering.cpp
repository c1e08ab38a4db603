// Entries by a full index along one axis, and what is found by comparing them.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/order.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>

namespace wengert {

using detail::Access;
using detail::Around;
using detail::axis_of;
using detail::CalledBy;

namespace {

void check_entries(std::string_view op, const Tensor& index, std::int64_t n, Where where) {
  const auto* at = detail::data<std::int64_t>(index);
  for (std::int64_t i = 0; i < index.numel(); ++i)
    if (at[i] < 0 || at[i] >= n) [[unlikely]]
      fail<ValueError>(where, "{}: index {} is outside of an axis of size {}", op, at[i], n);
}

void check_full_index(std::string_view op, Operand x, int axis, Operand index) {
  if (index->dtype() != int64) [[unlikely]]
    fail<TypeError>(x.where(), "{}: the index must be int64, got {}; convert with to(index, int64)", op,
                    index->dtype());
  bool fits = index->rank() == x->rank();
  for (int i = 0; fits && i < x->rank(); ++i) fits = i == axis || index->shape()[i] <= x->shape()[i];
  if (!fits) [[unlikely]]
    fail<ShapeError>(x.where(), "{}: the index {} must have the axes of {} and be no longer except along axis {}", op,
                     index->shape(), x->shape(), axis);
  check_entries(op, contiguous(index), x->shape()[axis], x.where());
}

// x without what no index can reach.
Tensor reachable(Operand x, int axis, const Shape& index) {
  const CalledBy by(x);
  Tensor y = x;
  for (int i = 0; i < x->rank(); ++i)
    if (i != axis && index[i] < x->shape()[i]) y = narrow(by(y), i, 0, index[i]);
  return y;
}

}  // namespace

// y[.., j, ..] = x[.., index[.., j, ..], ..]; x and index agree beside the axis.
struct Gather {
  static constexpr std::string_view name = "gather";
  int axis = 0;
  Saved index;
  void describe(detail::Attributes& a) const { a.add("axis", axis); }
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    const Tensor from = contiguous(x.detach()), order = contiguous(at.detach());
    Tensor y = empty(at.shape(), x.dtype());
    const Around a(at.shape(), axis);
    if (y.numel())
      kernels::gather_along(size_of(x.dtype()), a.outer, x.shape()[axis], a.n, a.inner,
                            detail::data<std::int64_t>(order), Access::body(from)->data(), Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    return detail::ungather(y_bar, detail::operand_shape(0), axis, index);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return gather(x_dot, axis, index); }
};
Tensor gather(Operand x, int axis, Operand index) {
  axis = axis_of("gather", x, axis);
  check_full_index("gather", x, axis, index);
  const Tensor from = reachable(x, axis, index->shape());
  return apply(Gather{axis, {}}, Operand(from, x.where()), index);
}

// The transpose of gather: entries that fall on the same place are added in order.
struct Ungather {
  static constexpr std::string_view name = "ungather";
  int axis = 0;
  Shape shape;
  Saved index;
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    const Tensor from = contiguous(x.detach()), order = contiguous(at.detach());
    Tensor y = zeros(shape, x.dtype());
    const Around a(at.shape(), axis);
    if (from.numel())
      kernels::scatter_along(x.dtype(), a.outer, shape[axis], a.n, a.inner, detail::data<std::int64_t>(order),
                             Access::body(from)->data(), Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return gather(y_bar, axis, index); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::ungather(x_dot, shape, axis, index); }
};
Tensor detail::ungather(Operand x, const Shape& shape, int axis, Operand index, std::string_view op) {
  const CalledBy by(x);
  axis = axis_of(op, x, axis);
  if (x->dtype() == boolean) fail<TypeError>(x.where(), "{}: not defined for bool; convert with to(x, int64)", op);
  bool fits = shape.rank() == x->rank() && index->rank() == x->rank();
  for (int i = 0; fits && i < x->rank(); ++i)
    fits = index->shape()[i] <= x->shape()[i] && (i == axis || index->shape()[i] <= shape[i]);
  if (!fits)
    fail<ShapeError>(x.where(), "{}: {} by index {} does not fit into {} along axis {}", op, x->shape(), index->shape(),
                     shape, axis);
  if (index->dtype() != int64)
    fail<TypeError>(x.where(), "{}: the index must be int64, got {}; convert with to(index, int64)", op,
                    index->dtype());
  check_entries(op, contiguous(index), shape[axis], x.where());
  Tensor from = x;
  Shape inside = index->shape();
  for (int i = 0; i < x->rank(); ++i)
    if (index->shape()[i] < x->shape()[i]) from = narrow(by(from), i, 0, index->shape()[i]);
  inside[axis] = shape[axis];
  Tensor y = apply(Ungather{axis, inside, {}}, by(from), index);
  for (int i = 0; i < x->rank(); ++i)
    if (inside[i] < shape[i]) {
      inside[i] = shape[i];
      y = detail::unslice(by(y), inside, i, 0, 1);
    }
  return y;
}

Tensor scatter_add(Operand x, int axis, Operand index, Operand source) {
  const CalledBy by(x);
  return add(x, by(detail::ungather(by(source), x->shape(), axis_of("scatter_add", x, axis), index, "scatter_add")));
}

// Where an index points, the last source that does so takes the place of x. The places are found without derivatives;
// then it is a selection, which has them.
Tensor scatter(Operand x, int axis, Operand index, Operand source) {
  const CalledBy by(x);
  axis = axis_of("scatter", x, axis);
  check_full_index("scatter", x, axis, index);
  bool fits = source->rank() == x->rank();
  for (int i = 0; fits && i < x->rank(); ++i) fits = index->shape()[i] <= source->shape()[i];
  if (!fits)
    fail<ShapeError>(x.where(), "scatter: the source {} must cover the index {}", source->shape(), index->shape());
  const Tensor at = contiguous(index);
  Tensor winner = full(x->shape(), -1, int64);
  const Shape &shape = at.shape(), to = contiguous_strides(x->shape()), from = contiguous_strides(source->shape());
  for (std::int64_t i = 0; i < at.numel(); ++i) {
    std::int64_t rest = i, place = 0, taken = 0;
    for (int k = shape.rank() - 1; k >= 0; --k) {
      const std::int64_t here = rest % shape[k];
      rest /= shape[k];
      taken += here * from[k];
      place += (k == axis ? detail::data<std::int64_t>(at)[i] : here) * to[k];
    }
    detail::fresh<std::int64_t>(winner)[place] = taken;
  }
  if (source->numel() == 0) return x;
  const Tensor hit = greater_equal(by(winner), 0), order = reshape(by(maximum(by(winner), by(scalar(0, int64)))), {-1});
  return where(by(hit), by(reshape(by(index_select(by(reshape(by(source), {-1})), 0, by(order))), x->shape())), x);
}

Tensor take_along(Operand x, int axis, Operand index) {
  const CalledBy by(x);
  axis = axis_of("take_along", x, axis);
  if (index->rank() != x->rank())
    fail<ShapeError>(x.where(), "take_along: the index {} must have the axes of {}", index->shape(), x->shape());
  Shape from = x->shape(), at = index->shape();
  for (int i = 0; i < from.rank(); ++i) {
    if (i == axis || from[i] == at[i]) continue;
    if (from[i] != 1 && at[i] != 1)
      fail<ShapeError>(x.where(), "take_along: {} and index {} do not broadcast except along axis {}", x->shape(),
                       index->shape(), axis);
    (from[i] == 1 ? from : at)[i] = from[i] == 1 ? at[i] : from[i];
  }
  return gather(by(expand(x, from)), axis, by(expand(index, at)));
}

Tensor take(Operand x, int axis, Operand index) {
  const CalledBy by(x);
  axis = axis_of("take", x, axis);
  if (index->dtype() != int64)
    fail<TypeError>(x.where(), "take: the index must be int64, got {}; convert with to(index, int64)", index->dtype());
  const std::int64_t n = x->shape()[axis];
  const Tensor flat = reshape(index, {-1}),
               from_start = where(by(less(by(flat), 0)), by(affine(by(flat), 1, double(n))), by(flat));
  Shape shape;
  for (int i = 0; i < x->rank(); ++i) {
    if (i != axis) shape.push_back(x->shape()[i]);
    else
      for (auto s : index->shape()) shape.push_back(s);
  }
  return reshape(by(index_select(x, axis, by(from_start))), shape);
}

Tensor masked_select(Operand x, Operand mask) {
  const CalledBy by(x);
  if (mask->dtype() != boolean)
    fail<TypeError>(x.where(), "masked_select: the mask must be bool, got {}; compare it with something",
                    mask->dtype());
  const Shape shape = detail::broadcast("masked_select", x, by(zeros(mask->shape(), x->dtype())));
  const Tensor m = contiguous(expand(mask, shape));
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < m.numel(); ++i)
    if (detail::data<bool>(m)[i]) chosen.push_back(i);
  const Tensor order = from(chosen, {static_cast<std::int64_t>(chosen.size())});
  return index_select(by(reshape(by(expand(x, shape)), {-1})), 0, by(order));
}

Tensor one_hot(Operand index, std::int64_t classes, DType dtype) {
  const CalledBy by(index);
  if (classes < 1) fail<ValueError>(index.where(), "one_hot: the number of classes must be >= 1, got {}", classes);
  const Tensor flat = reshape(index, {-1});
  Shape shape = index->shape();
  shape.push_back(classes);
  return reshape(by(detail::unpick(by(ones({flat.numel()}, dtype)), by(flat), classes)), shape);
}

namespace {

// The first `keep` places of every line along the axis, in order.
Tensor order_of(Operand x, int axis, std::int64_t keep, bool descending) {
  auto last = [&](const Tensor& t) { return contiguous(axis == t.rank() - 1 ? t : transpose(t, axis, -1)); };
  const Tensor rows = last(x->detach());
  Shape shape = rows.shape();
  const std::int64_t n = shape.back();
  shape[shape.rank() - 1] = keep;
  Tensor order = empty(shape, int64);
  if (order.numel())
    kernels::order_rows(x->dtype(), order.numel() / keep, n, keep, descending, Access::body(rows)->data(),
                        detail::fresh<std::int64_t>(order));
  return last(order);
}

}  // namespace

Tensor argsort(Operand x, const SortOptions& options) {
  const int axis = axis_of("argsort", x, options.axis);
  return order_of(x, axis, x->shape()[axis], options.descending);
}

Indexed sort(Operand x, const SortOptions& options) {
  const int axis = axis_of("sort", x, options.axis);
  const Tensor order = order_of(x, axis, x->shape()[axis], options.descending);
  return {gather(x, axis, order), order};
}

Indexed topk(Operand x, std::int64_t k, const TopkOptions& options) {
  const int axis = axis_of("topk", x, options.axis);
  if (k < 0) fail<ValueError>(x.where(), "topk: k must be >= 0, got {}", k);
  if (k > x->shape()[axis])
    fail<ValueError>(x.where(), "topk: k = {} exceeds axis {} of {} ({} entries)", k, axis, x->shape(),
                     x->shape()[axis]);
  const Tensor order = order_of(x, axis, k, options.largest);
  return {gather(x, axis, order), order};
}

}  // namespace wengert
