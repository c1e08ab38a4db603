#include "wengert/autodiff/kernels/indexing.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/pointwise.h"
#include "wengert/autodiff/tape/rows.h"

namespace wengert {

using detail::Access;
using detail::Around;
using detail::axis_of;
using detail::operand_shape;
using detail::result_shape;

namespace {

void check_index(std::string_view op, Operand index, std::int64_t size, Where where) {
  if (index->dtype() != int64) [[unlikely]]
    fail<TypeError>(where, "{}: the index must be int64, got {}; convert with to(index, int64)", op, index->dtype());
  if (index->rank() != 1) [[unlikely]]
    fail<ShapeError>(where, "{}: the index must have one axis, got {}", op, index->shape());
  const std::int64_t *at = detail::data<std::int64_t>(index), n = index->shape()[0], step = index->strides()[0];
  const auto outside = [&](std::int64_t place) {
    return static_cast<std::uint64_t>(at[place]) >= static_cast<std::uint64_t>(size);
  };
  bool any = false;  // which one is asked later: these loops have no branches
  if (step == 1)
    for (std::int64_t i = 0; i < n; ++i) any |= outside(i);
  else
    for (std::int64_t i = 0; i < n; ++i) any |= outside(i * step);
  for (std::int64_t i = 0; any && i < n; ++i)
    if (outside(i * step))
      fail<ValueError>(where, "{}: index {} at position {} is outside of an axis of size {}", op, at[i * step], i,
                       size);
}

}  // namespace

namespace {

// sum[.., index[i], ..] += x[.., i, ..]
void add_entries(Tensor& sum, int axis, const Tensor& index, const Tensor& x) {
  const Tensor from = contiguous(x.detach()), order = contiguous(index.detach());
  if (!from.numel()) return;
  const std::span at(detail::data<std::int64_t>(order), static_cast<std::size_t>(order.numel()));
  if (axis == 0) return detail::add_rows(sum, at, from);
  const Around a(sum.shape(), axis);
  kernels::index_add(x.dtype(), a.outer, sum.shape()[axis], order.numel(), a.inner, at.data(),
                     Access::body(from)->data(), Access::body(sum)->data());
}

}  // namespace

// y[.., i, ..] = x[.., index[i], ..]; its transpose is index_add.
struct IndexSelect {
  static constexpr std::string_view name = "index_select";
  int axis = 0;
  Saved index;
  void describe(detail::Attributes& a) const { a.add("axis", axis); }
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    Shape shape = x.shape();
    shape[axis] = at.shape()[0];
    Tensor y = empty(shape, x.dtype());
    const Around a(shape, axis);
    const Tensor from = contiguous(x.detach()), order = contiguous(at.detach());
    if (y.numel())
      kernels::index_select(size_of(x.dtype()), a.outer, x.shape()[axis], shape[axis], a.inner,
                            detail::data<std::int64_t>(order), Access::body(from)->data(), Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const;
  // Of many lookups in one table each costs what it holds, not what the table does.
  bool add_vjp(arg<0>, const Tensor& y_bar, Tensor& sum) const {
    if (y_bar.dtype() != sum.dtype()) return false;
    add_entries(sum, axis, index, y_bar);
    return true;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return index_select(x_dot, axis, index); }
};
Tensor index_select(Operand x, int axis, Operand index) {
  axis = axis_of("index_select", x, axis);
  check_index("index_select", index, x->shape()[axis], x.where());
  return apply(IndexSelect{axis, {}}, x, index);
}

// The transpose of index_select: entries that fall on the same place are added in the order of the index.
struct IndexAdd {
  static constexpr std::string_view name = "index_add";
  int axis = 0;
  Shape shape;
  Saved index;
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    Tensor y = axis == 0 ? detail::zeros_for_rows(shape, x.dtype(), at.numel()) : zeros(shape, x.dtype());
    add_entries(y, axis, at, x);
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return index_select(y_bar, axis, index); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::unselect(x_dot, result_shape(), axis, index); }
};
Tensor IndexSelect::vjp(arg<0>, const Tensor& y_bar) const {
  return apply(IndexAdd{axis, operand_shape(0), {}}, Operand(y_bar), Operand(index));
}
Tensor detail::unselect(Operand x, const Shape& shape, int axis, Operand index) {
  axis = axis_of("index_add", x, axis);
  if (x->dtype() == boolean) [[unlikely]]
    fail<TypeError>(x.where(), "index_add: not defined for bool; convert with to(x, int64)");
  bool fits = shape.rank() == x->rank();
  for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis ? shape[i] >= 0 : shape[i] == x->shape()[i];
  if (!fits) [[unlikely]]
    fail<ShapeError>(x.where(), "index_add: {} and {} differ in an axis other than {}", x->shape(), shape, axis);
  check_index("index_add", index, shape[axis], x.where());
  if (index->shape()[0] != x->shape()[axis]) [[unlikely]]
    fail<ShapeError>(x.where(), "index_add: needs one index for each entry of axis {} of {}, got {}", axis, x->shape(),
                     index->shape()[0]);
  return apply(IndexAdd{axis, shape, {}}, x, index);
}

Tensor index_add(Operand x, int axis, Operand index, Operand source) {
  return add(x, Operand(detail::unselect(Operand(source, x.where()), x->shape(), axis, index), x.where()));
}

namespace {

// One entry of each row, read or written.
template <class F>
void each_row(DType dtype, F&& f) {
  if (size_of(dtype) == 4) f(std::uint32_t());
  else if (size_of(dtype) == 8) f(std::uint64_t());
  else f(std::uint8_t());
}

}  // namespace

// y[i] = x[i, index[i]]; its transpose is unpick.
struct Pick {
  static constexpr std::string_view name = "pick";
  Saved index;
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    Tensor y = empty({x.shape()[0]}, x.dtype());
    each_row(x.dtype(), [&]<class T>(T) {
      const std::int64_t* k = detail::data<std::int64_t>(at);
      for (std::int64_t i = 0; i < y.numel(); ++i)
        detail::fresh<T>(y)[i] = detail::data<T>(x)[i * x.strides()[0] + k[i * at.strides()[0]] * x.strides()[1]];
    });
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return detail::unpick(y_bar, index, operand_shape(0)[1]); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::pick(x_dot, index); }
};
Tensor detail::pick(Operand x, Operand index) {
  if (x->rank() != 2) [[unlikely]]
    fail<ShapeError>(x.where(), "pick: x must be [n, k], got {}", x->shape());
  check_index("pick", index, x->shape()[1], x.where());
  if (index->shape()[0] != x->shape()[0]) [[unlikely]]
    fail<ShapeError>(x.where(), "pick: x is {}, so {} indices are needed, got {}", x->shape(), x->shape()[0],
                     index->shape()[0]);
  return apply(Pick{}, x, index);
}

// y[i, index[i]] = x[i], the rest zero; the transpose of pick.
struct Unpick {
  static constexpr std::string_view name = "unpick";
  std::int64_t k = 0;
  Saved index;
  Tensor forward(const Tensor& x, const Tensor& at) {
    index = at;
    Tensor y = zeros({x.shape()[0], k}, x.dtype());
    each_row(x.dtype(), [&]<class T>(T) {
      const std::int64_t* j = detail::data<std::int64_t>(at);
      for (std::int64_t i = 0; i < x.shape()[0]; ++i)
        detail::fresh<T>(y)[i * k + j[i * at.strides()[0]]] = detail::data<T>(x)[i * x.strides()[0]];
    });
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return detail::pick(y_bar, index); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::unpick(x_dot, index, k); }
};
Tensor detail::unpick(Operand x, Operand index, std::int64_t k) {
  if (x->rank() != 1) [[unlikely]]
    fail<ShapeError>(x.where(), "unpick: x must be [n], got {}", x->shape());
  if (k < 0) [[unlikely]]
    fail<ValueError>(x.where(), "unpick: k must be >= 0, got {}", k);
  check_index("unpick", index, k, x.where());
  if (index->shape()[0] != x->shape()[0]) [[unlikely]]
    fail<ShapeError>(x.where(), "unpick: x is {}, so {} indices are needed, got {}", x->shape(), x->shape()[0],
                     index->shape()[0]);
  return apply(Unpick{k, {}}, x, index);
}

}  // namespace wengert
