#include "wengert/autodiff/ops/axes.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"

namespace wengert::detail {

int axis_of(std::string_view op, Operand x, int axis) {
  const int i = axis < 0 ? axis + x->rank() : axis;
  if (x->rank() == 0) [[unlikely]]
    fail<ValueError>(x.where(), "{}: axis {} is out of range: a scalar has no axes", op, axis);
  if (i < 0 || i >= x->rank()) [[unlikely]]
    fail<ValueError>(x.where(), "{}: axis {} is out of range [{}, {}] for shape {}", op, axis, -x->rank(),
                     x->rank() - 1, x->shape());
  return i;
}

std::uint32_t axes_of(std::string_view op, Operand x, const Shape& axes) {
  if (axes.empty()) return (1u << x->rank()) - 1;
  std::uint32_t mask = 0;
  for (auto a : axes) {
    const std::uint32_t bit = 1u << axis_of(op, x, int(a));
    if (mask & bit) fail<ValueError>(x.where(), "{}: axis {} is named twice in {}", op, a, axes);
    mask |= bit;
  }
  return mask;
}

Shape reduced_shape(const Shape& shape, std::uint32_t axes, bool keep_dims) {
  Shape r;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!(axes >> i & 1)) r.push_back(shape[i]);
    else if (keep_dims) r.push_back(1);
  }
  return r;
}

void needs_float(std::string_view op, Operand x) {
  if (!is_float(x->dtype())) [[unlikely]]
    fail<TypeError>(x.where(), "{}: needs float32 or float64, got {}; convert with to(x, float32)", op, x->dtype());
}

ReductionPlan plan_reduction(const Shape& shape, bool row_major, std::uint32_t axes) {
  ReductionPlan p{{}, row_major, 1, 1};
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < shape.rank(); ++i)
      if (int(axes >> i & 1) == pass) {
        p.order.push_back(i);
        (pass ? p.inner : p.outer) *= shape[i];
      }
  bool kept = false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    if (axes >> i & 1) p.leading = p.leading && !kept;
    else kept = true;
  }
  return p;
}

Tensor joined(const Tensor& x, std::uint32_t axes, const CalledBy& by) {
  const ReductionPlan plan = plan_reduction(x.shape(), false, axes);
  Shape shape = reduced_shape(x.shape(), axes, false);
  shape.push_back(plan.inner);
  return reshape(by(permute(by(x), plan.order)), shape);
}

Tensor product_of_others(const Tensor& x) {
  const std::int64_t n = x.size(-1);
  if (n == 0) return x;
  Shape one = x.shape();
  one[one.rank() - 1] = 1;
  const Tensor start = ones(one, x.dtype());
  const Tensor before = cat({start, narrow(cumprod(x, -1), -1, 0, n - 1)}, -1);
  const Tensor after = cat({narrow(cumprod(x, -1, {.reverse = true}), -1, 1, n - 1), start}, -1);
  return before * after;
}

Shape broadcast(std::string_view op, Operand x, Operand y) {
  const Shape &a = x->shape(), &b = y->shape();
  if (x->dtype() != y->dtype()) [[unlikely]]
    fail<TypeError>(x.where(), "{}: dtypes differ: {} and {}; convert one with to()", op, x->dtype(), y->dtype());
  if (a == b) return a;
  Shape r;
  const int rank = std::max(a.rank(), b.rank());
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const std::int64_t na = ia < 0 ? 1 : a[ia], nb = ib < 0 ? 1 : b[ib];
    if (na != nb && na != 1 && nb != 1)
      fail<ShapeError>(x.where(), "{}: shapes {} and {} do not broadcast: axis {} has {} and {} entries", op, a, b,
                       i - rank, na, nb);
    r.push_back(na == 1 ? nb : na);
  }
  return r;
}

}  // namespace wengert::detail
