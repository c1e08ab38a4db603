#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/accumulate.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/pointwise.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace wengert {

using detail::Access;
using detail::Around;
using detail::axis_of;
using detail::operand_shape;

namespace {

Tensor view(const Tensor& x, const Shape& shape, const Shape& strides, std::int64_t offset = 0) {
  return Access::make(detail::new_view(*Access::body(x), shape, strides, offset));
}

// Strides of a view of x with another shape; none when its elements are not in such an order. Axes of x and of the
// shape are gone through side by side: each group of axes with equal products must be one that a single stride walks.
std::optional<Shape> strides_as(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous() || !x.numel()) return contiguous_strides(shape);
  Shape strides = shape;
  int i = x.rank() - 1, j = shape.rank() - 1;
  while (j >= 0) {
    while (i >= 0 && x.shape()[i] == 1) --i;
    if (shape[j] == 1) {
      strides[j--] = 1;
      continue;
    }
    const std::int64_t step = x.strides()[i];
    std::int64_t have = x.shape()[i], want = 1;
    while (i > 0 && (x.shape()[i - 1] == 1 || x.strides()[i - 1] == have * step)) have *= x.shape()[--i];
    --i;
    while (j >= 0 && (shape[j] == 1 || want * shape[j] <= have) && want < have)
      strides[j] = want * step, want *= shape[j--];
    if (want != have) return std::nullopt;
  }
  return strides;
}

}  // namespace

struct Clone {
  static constexpr std::string_view name = "clone";
  Tensor forward(const Tensor& x) { return detail::packed_copy(x); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar; }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return x_dot; }
};
Tensor clone(Operand x) { return apply(Clone{}, x); }
Tensor contiguous(Operand x) {
  if (!x->is_contiguous()) return clone(x);
  return x.dies() ? std::move(const_cast<Tensor&>(x.tensor())) : x.tensor();
}

// The elements keep their row-major order; out of order they are copied first.
struct Reshape {
  static constexpr std::string_view name = "reshape";
  Shape shape;
  Tensor forward(const Tensor& x) {
    if (const auto strides = strides_as(x, shape)) return view(x, shape, *strides);
    return view(detail::packed_copy(x), shape, contiguous_strides(shape));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return reshape(y_bar, operand_shape(0)); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return reshape(x_dot, detail::result_shape()); }
};
Tensor reshape(Operand x, const Shape& wanted) {
  Shape shape = wanted;
  std::int64_t known = 1;
  int open = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != -1) known *= shape[i];
    else if (open < 0) open = i;
    else fail<ShapeError>(x.where(), "reshape: only one size may be -1, got {}", wanted);
  }
  if (open >= 0 && known > 0 && x->numel() % known == 0) shape[open] = x->numel() / known;
  if ((open >= 0 && known <= 0) || shape.numel() != x->numel() ||
      std::ranges::any_of(shape, [](auto s) { return s < 0; }))
    fail<ShapeError>(x.where(), "reshape: {} has {} elements and cannot become {}", x->shape(), x->numel(), wanted);
  if (shape == x->shape()) return x.tensor();
  return apply(Reshape{shape}, x);
}

Tensor flatten(Operand x, int first, int last) {
  if (x->rank() == 0) return reshape(x, {1});
  first = axis_of("flatten", x, first), last = axis_of("flatten", x, last);
  if (first > last)
    fail<ValueError>(x.where(), "flatten: the first axis must not come after the last, got {} and {}", first, last);
  Shape shape;
  for (int i = 0; i < x->rank(); ++i) {
    if (i > first && i <= last) shape[shape.rank() - 1] *= x->shape()[i];
    else shape.push_back(x->shape()[i]);
  }
  return reshape(x, shape);
}

struct Permute {
  static constexpr std::string_view name = "permute";
  Shape order;
  void describe(detail::Attributes& a) const { a.add("order", order); }
  Tensor forward(const Tensor& x) {
    Shape shape, strides;
    for (auto i : order) shape.push_back(x.shape()[int(i)]), strides.push_back(x.strides()[int(i)]);
    return view(x, shape, strides);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    Shape back = order;
    for (int i = 0; i < order.rank(); ++i) back[int(order[i])] = i;
    return permute(y_bar, back);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return permute(x_dot, order); }
};
Tensor permute(Operand x, const Shape& order) {
  Shape axes;
  for (auto i : order) axes.push_back(axis_of("permute", x, int(i)));
  bool each_once = axes.rank() == x->rank();
  for (int i = 0; i < x->rank(); ++i) each_once = each_once && axes.contains(i);
  if (!each_once) fail<ValueError>(x.where(), "permute: {} must name every axis of {} once", order, x->shape());
  return apply(Permute{axes}, x);
}

Tensor transpose(Operand x, int a, int b) {
  if (x->rank() < 2) fail<ShapeError>(x.where(), "transpose: needs at least two axes, got {}", x->shape());
  a = axis_of("transpose", x, a), b = axis_of("transpose", x, b);
  Shape order;
  for (int i = 0; i < x->rank(); ++i) order.push_back(i == a ? b : i == b ? a : i);
  return apply(Permute{order}, x);
}

Tensor unsqueeze(Operand x, int axis) {
  const int at = axis < 0 ? axis + x->rank() + 1 : axis;
  if (at < 0 || at > x->rank())
    fail<ValueError>(x.where(), "unsqueeze: axis {} is out of range [{}, {}] for shape {}", axis, -x->rank() - 1,
                     x->rank(), x->shape());
  Shape shape = x->shape();
  shape.insert(at, 1);
  return reshape(x, shape);
}

Tensor squeeze(Operand x, int axis) {
  const int at = axis_of("squeeze", x, axis);
  if (x->shape()[at] != 1)
    fail<ShapeError>(x.where(), "squeeze: axis {} of {} must have one entry, not {}", axis, x->shape(), x->shape()[at]);
  Shape shape = x->shape();
  shape.erase(at);
  return reshape(x, shape);
}

struct Expand {
  static constexpr std::string_view name = "expand";
  Shape shape;
  Tensor forward(const Tensor& x) { return view(x, shape, detail::strides_over(x, shape)); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return sum_to(y_bar, operand_shape(0)); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return expand(x_dot, shape); }
};
Tensor expand(Operand x, const Shape& shape) {
  if (shape == x->shape()) return x.tensor();
  const int before = shape.rank() - x->rank();
  bool fits = before >= 0;
  for (int i = 0; fits && i < x->rank(); ++i) fits = x->shape()[i] == 1 || x->shape()[i] == shape[i + before];
  if (!fits) fail<ShapeError>(x.where(), "expand: {} does not broadcast to {}", x->shape(), shape);
  return apply(Expand{shape}, x);
}

struct Slice {
  static constexpr std::string_view name = "slice";
  int axis;
  std::int64_t start, count, step;
  void describe(detail::Attributes& a) const {
    a.add("axis", axis), a.add("start", double(start)), a.add("step", double(step));
  }
  Tensor forward(const Tensor& x) {
    Shape shape = x.shape(), strides = x.strides();
    shape[axis] = count;
    const std::int64_t offset = count ? start * strides[axis] : 0;
    strides[axis] *= step;
    return view(x, shape, strides, offset);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return detail::unslice(y_bar, operand_shape(0), axis, start, step); }
  // Of many slices of one tensor each costs what it holds, not what the tensor does.
  bool add_vjp(arg<0>, const Tensor& y_bar, Tensor& sum) const {
    if (step != 1 || !y_bar.is_contiguous() || y_bar.dtype() != sum.dtype()) return false;
    const Around a(sum.shape(), axis);
    const std::int64_t n = count * a.inner, whole = sum.shape()[axis] * a.inner;
    const std::size_t size = size_of(sum.dtype());
    auto* to = static_cast<std::byte*>(Access::body(sum)->data()) + static_cast<std::size_t>(start * a.inner) * size;
    const auto* from = static_cast<const std::byte*>(Access::body(y_bar)->data());
    for (std::int64_t i = 0; n && i < a.outer;
         ++i, to += static_cast<std::size_t>(whole) * size, from += static_cast<std::size_t>(n) * size)
      kernels::accumulate(sum.dtype(), n, to, from);
    return true;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return slice(x_dot, axis, start, start + count * step, step); }
};
Tensor slice(Operand x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step) {
  axis = axis_of("slice", x, axis);
  if (step < 1) fail<ValueError>(x.where(), "slice: the step must be >= 1, got {}", step);
  const std::int64_t n = x->shape()[axis];
  auto clip = [n](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + n : i, 0, n); };
  start = clip(start), stop = clip(stop);
  return apply(Slice{axis, start, std::max<std::int64_t>(0, (stop - start + step - 1) / step), step}, x);
}
Tensor narrow(Operand x, int axis, std::int64_t start, std::int64_t length) {
  axis = axis_of("narrow", x, axis);
  if (start < 0 || length < 0 || start + length > x->shape()[axis])
    fail<ValueError>(x.where(), "narrow: entries [{}, {}) exceed axis {} of {}, which has {}", start, start + length,
                     axis, x->shape(), x->shape()[axis]);
  return apply(Slice{axis, start, length, 1}, x);
}
Tensor select(Operand x, int axis, std::int64_t i) {
  axis = axis_of("select", x, axis);
  const std::int64_t n = x->shape()[axis], at = i < 0 ? i + n : i;
  if (at < 0 || at >= n)
    fail<ValueError>(x.where(), "select: index {} is out of range for axis {} of {} ({} entries)", i, axis, x->shape(),
                     n);
  return squeeze(apply(Slice{axis, at, 1, 1}, x), axis);
}

// Zeros but for the slice, which is x: the transpose of slice.
struct Unslice {
  static constexpr std::string_view name = "unslice";
  Shape shape;
  int axis;
  std::int64_t start, step;
  void describe(detail::Attributes& a) const {
    a.add("axis", axis), a.add("start", double(start)), a.add("step", double(step));
  }
  Tensor forward(const Tensor& x) {
    if (step == 1 && x.numel() && x.is_contiguous()) return between_zeros(x);
    Tensor y = zeros(shape, x.dtype());
    if (!x.numel()) return y;
    const Tensor from = detail::packed(x);
    Shape strides = y.strides();
    auto* at = static_cast<std::byte*>(Access::body(y)->data()) +
               start * strides[axis] * static_cast<std::int64_t>(size_of(x.dtype()));
    strides[axis] *= step;
    kernels::scatter(Access::body(from)->data(), at, size_of(x.dtype()), x.shape(), strides);
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    return slice(y_bar, axis, start, start + operand_shape(0)[axis] * step, step);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::unslice(x_dot, shape, axis, start, step); }

 private:
  // Writes every number once.
  Tensor between_zeros(const Tensor& x) const {
    Tensor y = empty(shape, x.dtype());
    const Around a(shape, axis);
    const std::size_t unit = static_cast<std::size_t>(a.inner) * size_of(x.dtype());
    const std::size_t before = static_cast<std::size_t>(start) * unit,
                      held = static_cast<std::size_t>(x.shape()[axis]) * unit,
                      behind = static_cast<std::size_t>(shape[axis]) * unit - before - held;
    auto* to = static_cast<std::byte*>(Access::body(y)->data());
    const auto* from = static_cast<const std::byte*>(Access::body(x)->data());
    for (std::int64_t i = 0; i < a.outer; ++i, from += held) {
      std::memset(to, 0, before);
      std::memcpy(to + before, from, held);
      std::memset(to + before + held, 0, behind);
      to += before + held + behind;
    }
    return y;
  }
};
Tensor detail::unslice(Operand x, const Shape& shape, int axis, std::int64_t start, std::int64_t step) {
  axis = axis_of("unslice", x, axis);
  bool fits = shape.rank() == x->rank() && start >= 0 && step >= 1 &&
              (x->shape()[axis] == 0 || start + (x->shape()[axis] - 1) * step < shape[axis]);
  for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || shape[i] == x->shape()[i];
  if (!fits)
    fail<ShapeError>(x.where(), "unslice: {} does not fit into {} along axis {}, starting at {}", x->shape(), shape,
                     axis, start);
  return apply(Unslice{shape, axis, start, step}, x);
}

struct Cat {
  static constexpr std::string_view name = "cat";
  int axis;
  std::vector<std::int64_t> starts;
  Shape shape;
  void describe(detail::Attributes& a) const { a.add("axis", axis); }
  Tensor forward(std::span<const Tensor> x) {
    Tensor y = empty(shape, x[0].dtype());
    const Shape& strides = y.strides();
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x[i].numel()) continue;
      const Tensor from = detail::packed(x[i]);
      auto* at = static_cast<std::byte*>(Access::body(y)->data()) +
                 starts[i] * strides[axis] * static_cast<std::int64_t>(size_of(from.dtype()));
      kernels::scatter(Access::body(from)->data(), at, size_of(from.dtype()), from.shape(), strides);
    }
    return y;
  }
  Tensor vjp(int i, const Tensor& y_bar) const {
    return slice(y_bar, axis, starts[std::size_t(i)], starts[std::size_t(i) + 1]);
  }
  Tensor jvp(int i, const Tensor& x_dot) const {
    return detail::unslice(x_dot, shape, axis, starts[std::size_t(i)], 1);
  }
};
Tensor cat(const std::vector<Tensor>& x, int axis, Where where) {
  if (x.empty()) fail<ValueError>(where, "cat: needs at least one tensor");
  axis = axis_of("cat", Operand(x[0], where), axis);
  Cat rule{axis, {0}, x[0].shape()};
  for (const Tensor& t : x) {
    bool fits = t.rank() == x[0].rank();
    for (int i = 0; fits && i < t.rank(); ++i) fits = i == axis || t.shape()[i] == x[0].shape()[i];
    if (!fits) fail<ShapeError>(where, "cat: {} and {} differ in an axis other than {}", x[0].shape(), t.shape(), axis);
    if (t.dtype() != x[0].dtype())
      fail<TypeError>(where, "cat: dtypes differ: {} and {}; convert one with to()", x[0].dtype(), t.dtype());
    rule.starts.push_back(rule.starts.back() + t.shape()[axis]);
  }
  rule.shape[axis] = rule.starts.back();
  return apply(std::move(rule), std::span(x), where);
}

Tensor stack(const std::vector<Tensor>& x, int axis, Where where) {
  if (x.empty()) fail<ValueError>(where, "stack: needs at least one tensor");
  std::vector<Tensor> rows;
  for (const Tensor& t : x) {
    if (!(t.shape() == x[0].shape()))
      fail<ShapeError>(where, "stack: shapes differ: {} and {}", x[0].shape(), t.shape());
    rows.push_back(unsqueeze(Operand(t, where), axis));
  }
  return cat(rows, axis < 0 ? axis + rows[0].rank() : axis, where);
}

}  // namespace wengert
