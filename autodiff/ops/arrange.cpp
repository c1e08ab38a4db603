// Entries put elsewhere: mirrored, rolled, repeated, padded, on diagonals.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>

namespace wengert {

using detail::Access;
using detail::Around;
using detail::axes_of;
using detail::axis_of;
using detail::CalledBy;

Tensor movedim(Operand x, const Shape& from, const Shape& to) {
  if (from.rank() != to.rank())
    fail<ValueError>(x.where(), "movedim: needs a new place for each axis, got axes {} and places {}", from, to);
  const std::uint32_t taken = from.empty() ? 0 : axes_of("movedim", x, from),
                      filled = to.empty() ? 0 : axes_of("movedim", x, to);
  Shape order = x->shape();
  for (int k = 0; k < from.rank(); ++k) order[axis_of("movedim", x, int(to[k]))] = axis_of("movedim", x, int(from[k]));
  int next = 0;
  for (int i = 0; i < x->rank(); ++i) {
    if (filled >> i & 1) continue;
    while (taken >> next & 1) ++next;
    order[i] = next++;
  }
  return permute(x, order);
}

std::vector<Tensor> split(Operand x, int axis, const std::vector<std::int64_t>& sizes) {
  axis = axis_of("split", x, axis);
  std::int64_t total = 0;
  for (auto s : sizes) total += s;
  if (total != x->shape()[axis])
    fail<ShapeError>(x.where(), "split: sizes sum to {}, but axis {} of {} has {} entries", total, axis, x->shape(),
                     x->shape()[axis]);
  std::vector<Tensor> parts;
  std::int64_t at = 0;
  for (auto s : sizes) parts.push_back(narrow(x, axis, at, s)), at += s;
  return parts;
}
std::vector<Tensor> split(Operand x, int axis, std::int64_t size) {
  axis = axis_of("split", x, axis);
  if (size < 1) fail<ValueError>(x.where(), "split: the size of a part must be >= 1, got {}", size);
  std::vector<std::int64_t> sizes;
  for (std::int64_t left = x->shape()[axis]; left > 0 || sizes.empty(); left -= size)
    sizes.push_back(std::min(size, left));
  return split(x, axis, sizes);
}
std::vector<Tensor> chunk(Operand x, int axis, std::int64_t count) {
  axis = axis_of("chunk", x, axis);
  if (count < 1) fail<ValueError>(x.where(), "chunk: the number of parts must be >= 1, got {}", count);
  return split(x, axis, std::max<std::int64_t>(1, (x->shape()[axis] + count - 1) / count));
}
std::vector<Tensor> unbind(Operand x, int axis) {
  axis = axis_of("unbind", x, axis);
  std::vector<Tensor> parts;
  for (std::int64_t i = 0; i < x->shape()[axis]; ++i) parts.push_back(select(x, axis, i));
  return parts;
}

// Entries in the opposite order along axes: its own transpose.
struct Flip {
  static constexpr std::string_view name = "flip";
  std::uint32_t axes = 0;
  void describe(detail::Attributes& a) const { a.add("axes", axes); }
  Tensor forward(const Tensor& x) {
    Tensor y = empty(x.shape(), x.dtype());
    if (!y.numel()) return y;
    Shape strides = x.strides();
    std::int64_t last = 0;
    for (int i = 0; i < x.rank(); ++i)
      if (axes >> i & 1) last += (x.shape()[i] - 1) * strides[i], strides[i] = -strides[i];
    const auto* from =
        static_cast<const std::byte*>(Access::body(x)->data()) + last * static_cast<std::int64_t>(size_of(x.dtype()));
    kernels::gather({from, size_of(x.dtype()), false, strides}, x.shape(), 0, y.numel(), Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return apply(Flip{axes}, Operand(y_bar)); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(Flip{axes}, Operand(x_dot)); }
};
Tensor flip(Operand x, const Shape& axes) { return apply(Flip{axes_of("flip", x, axes)}, x); }

Tensor roll(Operand x, int axis, std::int64_t shift) {
  const CalledBy by(x);
  axis = axis_of("roll", x, axis);
  const std::int64_t n = x->shape()[axis];
  const std::int64_t by_how_much = n ? (shift % n + n) % n : 0;
  if (by_how_much == 0) return x;
  return cat({narrow(x, axis, n - by_how_much, by_how_much), narrow(x, axis, 0, n - by_how_much)}, axis, x.where());
}

namespace {

// Each run of `inner` entries, `times` times in a row.
Tensor repeat_runs(const Tensor& x, std::int64_t inner, std::int64_t times, const Shape& shape, const CalledBy& by) {
  const std::int64_t outer = inner ? x.numel() / inner : 0;
  return reshape(by(expand(by(reshape(by(x), {outer, 1, inner})), {outer, times, inner})), shape);
}

}  // namespace

Tensor repeat(Operand x, const Shape& times) {
  const CalledBy by(x);
  Tensor y = x;
  Shape shape = x->shape();
  if (times.rank() < shape.rank())
    fail<ShapeError>(x.where(), "repeat: got {} counts for {}, which has {} axes; tile() adds the missing ones",
                     times.rank(), shape, shape.rank());
  while (shape.rank() < times.rank()) shape.insert(0, 1);
  y = reshape(by(y), shape);
  for (int i = 0; i < times.rank(); ++i) {
    if (times[i] < 0) fail<ValueError>(x.where(), "repeat: counts must be >= 0, got {}", times[i]);
    if (times[i] == 1) continue;
    std::int64_t inner = 1;
    for (int k = i; k < shape.rank(); ++k) inner *= shape[k];
    shape[i] *= times[i];
    y = y.numel() ? repeat_runs(y, inner, times[i], shape, by)
                  : reshape(by(expand(by(reshape(by(y), {0})), {0})), shape);
  }
  return y;
}
Tensor tile(Operand x, const Shape& times) {
  Shape all = times;
  while (all.rank() < x->rank()) all.insert(0, 1);
  return repeat(x, all);
}
Tensor repeat_interleave(Operand x, int axis, std::int64_t times) {
  const CalledBy by(x);
  axis = axis_of("repeat_interleave", x, axis);
  if (times < 0) fail<ValueError>(x.where(), "repeat_interleave: times must be >= 0, got {}", times);
  Shape shape = x->shape();
  shape[axis] *= times;
  const Around a(x->shape(), axis);
  return repeat_runs(x, a.inner, times, shape, by);
}

namespace {

// Where entry i of a padded axis comes from; -1: from nowhere.
std::int64_t source_of(std::int64_t i, std::int64_t n, PadMode mode) {
  if (i >= 0 && i < n) return i;
  if (mode == PadMode::replicate) return i < 0 ? 0 : n - 1;
  if (mode == PadMode::circular) return (i % n + n) % n;
  return i < 0 ? -i : 2 * (n - 1) - i;
}

Tensor pad_by_index(const Tensor& x, int axis, Padding p, PadMode mode, const CalledBy& by) {
  const std::int64_t n = x.size(axis), longest = mode == PadMode::reflect    ? n - 1
                                                 : mode == PadMode::circular ? n
                                                 : n > 0                     ? INT64_MAX
                                                                             : 0;
  if (p.before > longest || p.after > longest)
    fail<ShapeError>(by.where, "pad: axis {} of {} has too few entries for widths {} and {} in this mode", axis,
                     x.shape(), p.before, p.after);
  std::vector<std::int64_t> order;
  for (std::int64_t i = -p.before; i < n + p.after; ++i) order.push_back(source_of(i, n, mode));
  const Tensor index = from(order, {static_cast<std::int64_t>(order.size())});
  return index_select(by(x), axis, by(index));
}

Tensor pad_by_value(const Tensor& x, int axis, Padding p, double value, const CalledBy& by) {
  const std::int64_t n = x.size(axis), first = std::max<std::int64_t>(0, -p.before),
                     last = n - std::max<std::int64_t>(0, -p.after);
  const Tensor kept = first == 0 && last == n ? x : narrow(by(x), axis, first, std::max<std::int64_t>(0, last - first));
  Shape shape = kept.shape();
  shape[axis] += std::max<std::int64_t>(0, p.before) + std::max<std::int64_t>(0, p.after);
  if (value == 0)
    return shape == kept.shape() ? kept
                                 : detail::unslice(by(kept), shape, axis, std::max<std::int64_t>(0, p.before), 1);
  std::vector<Tensor> parts;
  auto border = [&](std::int64_t width) {
    shape[axis] = width;
    if (width > 0) parts.push_back(full(shape, value, x.dtype()));
  };
  border(p.before), parts.push_back(kept), border(p.after);
  return cat(parts, axis, by.where);
}

}  // namespace

Tensor pad(Operand x, const std::vector<Padding>& widths, PadMode mode, double value) {
  const CalledBy by(x);
  if (std::ssize(widths) > x->rank())
    fail<ShapeError>(x.where(), "pad: got {} widths for {}, which has {} axes", widths.size(), x->shape(), x->rank());
  Tensor y = x;
  for (std::size_t k = 0; k < widths.size(); ++k) {
    const int axis = x->rank() - static_cast<int>(widths.size() - k);
    const Padding p = widths[k];
    if (p.before == 0 && p.after == 0) continue;
    if (x->shape()[axis] + std::min(p.before, p.after) < 0 || x->shape()[axis] + p.before + p.after < 0)
      fail<ShapeError>(x.where(), "pad: widths {} and {} remove more entries than axis {} of {} has", p.before, p.after,
                       axis, x->shape());
    y = mode == PadMode::constant ? pad_by_value(y, axis, p, value, by) : pad_by_index(y, axis, p, mode, by);
  }
  return y;
}

Tensor sliding_windows(Operand x, int axis, std::int64_t size, std::int64_t step) {
  const CalledBy by(x);
  axis = axis_of("sliding_windows", x, axis);
  const std::int64_t n = x->shape()[axis];
  if (step < 1 || size < 0)
    fail<ValueError>(x.where(), "sliding_windows: needs size >= 0 and step >= 1, got {} and {}", size, step);
  if (size > n)
    fail<ShapeError>(x.where(), "sliding_windows: size {} exceeds axis {} of {} ({} entries)", size, axis, x->shape(),
                     n);
  const std::int64_t windows = (n - size) / step + 1;
  std::vector<std::int64_t> order;
  for (std::int64_t w = 0; w < windows; ++w)
    for (std::int64_t k = 0; k < size; ++k) order.push_back(w * step + k);
  const Tensor index = from(order, {windows * size});
  Shape shape = x->shape();
  shape[axis] = windows;
  shape.insert(axis + 1, size);
  return movedim(by(reshape(by(index_select(x, axis, by(index))), shape)), {axis + 1}, {-1});
}

// Entries (i, i + offset) of the matrices on two axes, as a last axis.
struct Diagonal {
  static constexpr std::string_view name = "diagonal";
  std::int64_t offset = 0;
  Tensor forward(const Tensor& x) {  // the matrices are the last two axes
    const int r = x.rank();
    const std::int64_t rows = x.shape()[r - 2], columns = x.shape()[r - 1];
    const std::int64_t n =
        std::max<std::int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
    Shape shape = x.shape(), strides = x.strides();
    const std::int64_t start = n == 0 ? 0 : offset >= 0 ? offset * strides[r - 1] : -offset * strides[r - 2];
    shape[r - 2] = n, strides[r - 2] += strides[r - 1];
    shape.erase(r - 1), strides.erase(r - 1);
    return Access::make(detail::new_view(*Access::body(x), shape, strides, start));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Shape& s = detail::operand_shape(0);
    return detail::undiagonal(y_bar, offset, s[s.rank() - 2], s.back());
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return diagonal(x_dot, offset, -2, -1); }
};
Tensor diagonal(Operand x, std::int64_t offset, int axis1, int axis2) {
  if (x->rank() < 2) fail<ShapeError>(x.where(), "diagonal: needs at least two axes, got {}", x->shape());
  const CalledBy by(x);
  const int a = axis_of("diagonal", x, axis1), b = axis_of("diagonal", x, axis2);
  if (a == b) fail<ValueError>(x.where(), "diagonal: the two axes must differ, got {} and {}", axis1, axis2);
  return apply(Diagonal{offset}, by(movedim(x, {a, b}, {-2, -1})));
}

// Zeros but for a diagonal: the transpose of diagonal.
struct Undiagonal {
  static constexpr std::string_view name = "undiagonal";
  std::int64_t offset = 0, rows = 0, columns = 0;
  Tensor forward(const Tensor& x) {
    Shape shape = x.shape();
    shape[shape.rank() - 1] = rows, shape.push_back(columns);
    Tensor y = zeros(shape, x.dtype());
    if (!x.numel()) return y;
    const Tensor from = contiguous(x.detach());
    Shape strides = y.strides();
    const std::int64_t start = offset >= 0 ? offset : -offset * columns;
    strides.erase(strides.rank() - 1);
    strides[strides.rank() - 1] = columns + 1;
    auto* to = static_cast<std::byte*>(Access::body(y)->data()) + start * static_cast<std::int64_t>(size_of(x.dtype()));
    kernels::scatter(Access::body(from)->data(), to, size_of(x.dtype()), x.shape(), strides);
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return diagonal(y_bar, offset, -2, -1); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return detail::undiagonal(x_dot, offset, rows, columns); }
};
Tensor detail::undiagonal(Operand x, std::int64_t offset, std::int64_t rows, std::int64_t columns) {
  if (x->rank() < 1) fail<ShapeError>(x.where(), "undiagonal: needs at least one axis, got {}", x->shape());
  const std::int64_t n =
      std::max<std::int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  if (rows < 0 || columns < 0 || n != x->shape().back())
    fail<ShapeError>(x.where(), "undiagonal: diagonal {} of a [{}, {}] matrix has {} entries, got {}", offset, rows,
                     columns, n, x->shape());
  return apply(Undiagonal{offset, rows, columns}, x);
}

Tensor diag_embed(Operand x, std::int64_t offset, int axis1, int axis2) {
  if (x->rank() < 1) fail<ShapeError>(x.where(), "diag_embed: needs at least one axis, got {}", x->shape());
  const CalledBy by(x);
  const std::int64_t n = x->shape().back() + std::abs(offset);
  const Tensor y = detail::undiagonal(x, offset, n, n);
  return movedim(by(y), {-2, -1}, {axis1, axis2});
}
Tensor diag(Operand x, std::int64_t offset) {
  if (x->rank() == 1) return diag_embed(x, offset);
  if (x->rank() == 2) return diagonal(x, offset, 0, 1);
  fail<ShapeError>(x.where(), "diag: takes a vector or a matrix, got {}; diagonal() and diag_embed() take batches",
                   x->shape());
}

namespace {

// x where column - row <= offset (below), or >= offset, else zero.
Tensor triangle(std::string_view op, Operand x, std::int64_t offset, bool below) {
  if (x->rank() < 2) fail<ShapeError>(x.where(), "{}: needs at least two axes, got {}", op, x->shape());
  const CalledBy by(x);
  const std::int64_t rows = x->size(-2), columns = x->size(-1);
  Tensor keep = empty({rows, columns}, boolean);
  bool* k = detail::fresh<bool>(keep);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) k[i * columns + j] = below ? j - i <= offset : j - i >= offset;
  return where(by(keep), x, by(scalar(0, x->dtype())));
}

}  // namespace

Tensor tril(Operand x, std::int64_t offset) { return triangle("tril", x, offset, true); }
Tensor triu(Operand x, std::int64_t offset) { return triangle("triu", x, offset, false); }

Tensor masked_fill(Operand x, Operand mask, double value) {
  const CalledBy by(x);
  return where(by(mask), by(scalar(value, x->dtype())), x);
}

}  // namespace wengert
