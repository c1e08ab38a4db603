#pragma once

// The vocabulary. A declaration is its documentation: shapes, the derivative where it is not obvious, what is thrown.
// Every operator takes its tensors as Operand, which is made implicitly from a Tensor and carries the source location
// of the call. Tensors come first, then the axis or axes, then everything else; what has a default and no obvious
// meaning is an option with a name: sum(x, {.axes = {1}, .keep_dims = true}).
//
// Shapes broadcast as in numpy where a declaration says so: axes are aligned at the end, and an axis of size one is
// repeated. Two tensors of different dtypes are a TypeError (convert one with to()); C++ numbers take the tensor's
// dtype. Axes may be negative: -1 is the last. An axis that does not exist is a ValueError.

#include "wengert/autodiff/tape/tensor.h"

#include <optional>
#include <string_view>
#include <vector>

namespace wengert {

namespace detail {
// Axes without the name of the option. Lists between braces are taken as arrays, which options never are: GCC 12 would
// otherwise match {.axes = ...} with every class that can be made of one shape.
template <class N>
concept Axis = std::is_integral_v<N> && !std::is_same_v<N, bool>;
template <class A>
concept Axes = Axis<A> || std::is_same_v<A, Shape>;
template <Axes A> Shape axes_in(const A& axes) { return Shape(axes); }
template <Axis N, std::size_t n> Shape axes_in(const N (&axes)[n]) {
  Shape all;
  for (N a : axes) all.push_back(static_cast<std::int64_t>(a));
  return all;
}
}  // namespace detail

/// @name Arithmetic. Broadcasting; float32, float64, and int64 except for / and pow.
/// @{
WENGERT_API Tensor add(Operand x, Operand y);
WENGERT_API Tensor sub(Operand x, Operand y);
WENGERT_API Tensor mul(Operand x, Operand y);
WENGERT_API Tensor div(Operand x, Operand y);
/// x^y.  The slope in x at x = 0 is 0 for y > 1 and 1 for y = 1; the slope in y is 0 where x = 0.
WENGERT_API Tensor pow(Operand x, Operand y);
/// x^exponent with a number as exponent.
WENGERT_API Tensor pow(Operand x, double exponent);
/// base^x with a number as base.
WENGERT_API Tensor pow(double base, Operand x);
/// x - trunc(x / y) y: the remainder with the sign of x.
WENGERT_API Tensor fmod(Operand x, Operand y);
/// x - floor(x / y) y: the remainder with the sign of y.
WENGERT_API Tensor remainder(Operand x, Operand y);
/// The larger of two values. Ties share the cotangent equally; a NaN in either is the result.
WENGERT_API Tensor maximum(Operand x, Operand y);
WENGERT_API Tensor maximum(Operand x, double y);
/// The smaller of two values. Ties share the cotangent equally; a NaN in either is the result.
WENGERT_API Tensor minimum(Operand x, Operand y);
WENGERT_API Tensor minimum(Operand x, double y);
inline Tensor maximum(double x, Operand y) { return maximum(std::move(y), x); }
inline Tensor minimum(double x, Operand y) { return minimum(std::move(y), x); }
WENGERT_API Tensor neg(Operand x);
/// x + weight (end - x), all three broadcasting.
WENGERT_API Tensor lerp(Operand x, Operand end, Operand weight);
/// sqrt(x^2 + y^2) without overflow; slopes 0 at the origin.
WENGERT_API Tensor hypot(Operand x, Operand y);
/// arctan(y / x) in the quadrant of the point (x, y), in (-pi, pi]. Argument order as std::atan2.
WENGERT_API Tensor atan2(Operand y, Operand x);
/// log(exp(x) + exp(y)) without overflow.
WENGERT_API Tensor logaddexp(Operand x, Operand y);
/// x log(y); 0 where x is 0, and then with slope 0 in y.
WENGERT_API Tensor xlogy(Operand x, Operand y);
/// x y, but 0 wherever x is 0, even if y is infinite or NaN there: the product of a cotangent x and a derivative y.
WENGERT_API Tensor scale(Operand x, Operand y);
/// a x + b.
WENGERT_API Tensor affine(Operand x, double a, double b);

inline Tensor operator+(Operand x, Operand y) { return add(std::move(x), std::move(y)); }
inline Tensor operator-(Operand x, Operand y) { return sub(std::move(x), std::move(y)); }
inline Tensor operator*(Operand x, Operand y) { return mul(std::move(x), std::move(y)); }
inline Tensor operator/(Operand x, Operand y) { return div(std::move(x), std::move(y)); }
inline Tensor operator-(Operand x) { return neg(std::move(x)); }
inline Tensor operator+(Operand x, double y) { return affine(std::move(x), 1, y); }
inline Tensor operator-(Operand x, double y) { return affine(std::move(x), 1, -y); }
inline Tensor operator*(Operand x, double y) { return affine(std::move(x), y, 0); }
WENGERT_API Tensor operator/(Operand x, double y);
inline Tensor operator+(double x, Operand y) { return affine(std::move(y), 1, x); }
inline Tensor operator-(double x, Operand y) { return affine(std::move(y), -1, x); }
inline Tensor operator*(double x, Operand y) { return affine(std::move(y), x, 0); }
WENGERT_API Tensor operator/(double x, Operand y);
/// h += x means h = h + x: the handle h gets a new value; other handles to the old value keep it. The value of a Param
/// is changed in place, under no_grad (GraphError elsewhere).
inline Tensor& operator+=(Tensor& x, Operand y) { return detail::Access::change(x, add({x, y.where()}, y), y.where()); }
inline Tensor& operator-=(Tensor& x, Operand y) { return detail::Access::change(x, sub({x, y.where()}, y), y.where()); }
inline Tensor& operator*=(Tensor& x, Operand y) { return detail::Access::change(x, mul({x, y.where()}, y), y.where()); }
inline Tensor& operator/=(Tensor& x, Operand y) { return detail::Access::change(x, div({x, y.where()}, y), y.where()); }
inline Tensor& operator+=(Tensor& x, detail::NumberOperand y) {
  return detail::Access::change(x, Operand(x, y.where) + y.number, y.where);
}
inline Tensor& operator-=(Tensor& x, detail::NumberOperand y) {
  return detail::Access::change(x, Operand(x, y.where) - y.number, y.where);
}
inline Tensor& operator*=(Tensor& x, detail::NumberOperand y) {
  return detail::Access::change(x, Operand(x, y.where) * y.number, y.where);
}
inline Tensor& operator/=(Tensor& x, detail::NumberOperand y) {
  return detail::Access::change(x, Operand(x, y.where) / y.number, y.where);
}
/// @}

/// @name Functions of one tensor, elementwise. float32 and float64; abs and square also int64.
/// @{
WENGERT_API Tensor abs(Operand x);    ///< slope 0 at 0
WENGERT_API Tensor sign(Operand x);   ///< -1, 0 or 1; slope 0 everywhere
WENGERT_API Tensor floor(Operand x);  ///< slope 0 everywhere, also that of ceil, round and trunc
WENGERT_API Tensor ceil(Operand x);
WENGERT_API Tensor round(Operand x);  ///< halves go to the even neighbor
WENGERT_API Tensor trunc(Operand x);
WENGERT_API Tensor square(Operand x);
WENGERT_API Tensor reciprocal(Operand x);  ///< 1 / x
WENGERT_API Tensor sqrt(Operand x);        ///< at 0 the slope is infinite, but a cotangent of 0 stays 0
WENGERT_API Tensor rsqrt(Operand x);       ///< 1 / sqrt(x)
WENGERT_API Tensor exp(Operand x);
WENGERT_API Tensor exp2(Operand x);   ///< 2^x
WENGERT_API Tensor expm1(Operand x);  ///< exp(x) - 1, exact near 0
WENGERT_API Tensor log(Operand x);
WENGERT_API Tensor log2(Operand x);
WENGERT_API Tensor log10(Operand x);
WENGERT_API Tensor log1p(Operand x);  ///< log(1 + x), exact near 0
WENGERT_API Tensor sin(Operand x);
WENGERT_API Tensor cos(Operand x);
WENGERT_API Tensor tan(Operand x);
WENGERT_API Tensor asin(Operand x);  ///< NaN outside [-1, 1]; slope infinite at -1 and 1
WENGERT_API Tensor acos(Operand x);  ///< NaN outside [-1, 1]; slope infinite at -1 and 1
WENGERT_API Tensor atan(Operand x);
WENGERT_API Tensor sinh(Operand x);
WENGERT_API Tensor cosh(Operand x);
WENGERT_API Tensor tanh(Operand x);
WENGERT_API Tensor asinh(Operand x);
WENGERT_API Tensor acosh(Operand x);    ///< NaN below 1
WENGERT_API Tensor atanh(Operand x);    ///< NaN outside [-1, 1]
WENGERT_API Tensor erf(Operand x);      ///< float64: to 1.5e-14, relatively
WENGERT_API Tensor erfc(Operand x);     ///< 1 - erf(x), exact where it is small
WENGERT_API Tensor lgamma(Operand x);   ///< log |Gamma(x)|
WENGERT_API Tensor digamma(Operand x);  ///< the slope of lgamma; NaN at 0, -1, -2, ...
/// The n-th derivative of digamma. ValueError when n < 0.
WENGERT_API Tensor polygamma(int n, Operand x);
/// x limited to [low, high]; the cotangent passes on the closed interval. Where low > high the result is high. A bound
/// may be left out: clamp(x, {}, 1).
WENGERT_API Tensor clamp(Operand x, std::optional<double> low, std::optional<double> high);
/// x limited to bounds that broadcast; an undefined bound does not limit. A bound receives the cotangent where it is
/// the result.
WENGERT_API Tensor clamp(Operand x, Operand low, Operand high);
/// @}

/// @name Activations, elementwise. float32 and float64.
/// @{
WENGERT_API Tensor relu(Operand x);   ///< max(x, 0), slope 0 at 0
WENGERT_API Tensor relu6(Operand x);  ///< min(max(x, 0), 6), slope 0 at 0 and 6
/// x for x > 0, else negative_slope x.  Slope at 0: negative_slope.
WENGERT_API Tensor leaky_relu(Operand x, double negative_slope = 0.01);
/// x for x > 0, else slope x with a learned slope: one for all entries, or one for each entry of axis 1.  slope [] or
/// [1] or [c].  ShapeError for other slopes.
WENGERT_API Tensor prelu(Operand x, Operand slope);
WENGERT_API Tensor sigmoid(Operand x);      ///< 1 / (1 + exp(-x))
WENGERT_API Tensor log_sigmoid(Operand x);  ///< log(sigmoid(x)) for any finite x
WENGERT_API Tensor softplus(Operand x);     ///< log(1 + exp(x)) for any finite x
/// softplus(beta x) / beta, but x itself where beta x > threshold.
WENGERT_API Tensor softplus(Operand x, double beta, double threshold = 1e300);
WENGERT_API Tensor silu(Operand x);       ///< x sigmoid(x)
WENGERT_API Tensor mish(Operand x);       ///< x tanh(softplus(x))
WENGERT_API Tensor gelu(Operand x);       ///< x Phi(x), the exact form with erf
WENGERT_API Tensor gelu_tanh(Operand x);  ///< gelu approximated: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
/// x for x > 0, else alpha (exp(x) - 1).
WENGERT_API Tensor elu(Operand x, double alpha = 1);
/// x for x > 0, else alpha (exp(x / alpha) - 1).
WENGERT_API Tensor celu(Operand x, double alpha = 1);
WENGERT_API Tensor selu(Operand x);      ///< 1.0507 elu(x, 1.6733): keeps mean 0 and variance 1.  Klambauer et al. 2017
WENGERT_API Tensor softsign(Operand x);  ///< x / (1 + |x|)
WENGERT_API Tensor tanhshrink(Operand x);  ///< x - tanh(x)
/// x limited to [low, high], with slope 0 at the bounds (clamp has 1 there).
WENGERT_API Tensor hardtanh(Operand x, double low = -1, double high = 1);
WENGERT_API Tensor hardsigmoid(Operand x);  ///< relu6(x + 3) / 6
WENGERT_API Tensor hardswish(Operand x);    ///< x relu6(x + 3) / 6
/// x moved by lambda towards 0; 0, with slope 0, on [-lambda, lambda].
WENGERT_API Tensor softshrink(Operand x, double lambda = 0.5);
/// x, but 0, with slope 0, on [-lambda, lambda].
WENGERT_API Tensor hardshrink(Operand x, double lambda = 0.5);
/// The first half of an axis times the sigmoid of the second. ShapeError when its size is odd.  Dauphin et al. 2017.
WENGERT_API Tensor glu(Operand x, int axis = -1);
/// @}

/// @name Comparison: bool, broadcasting. Not differentiable.
/// @{
WENGERT_API Tensor less(Operand x, Operand y);
WENGERT_API Tensor less_equal(Operand x, Operand y);
WENGERT_API Tensor greater(Operand x, Operand y);
WENGERT_API Tensor greater_equal(Operand x, Operand y);
WENGERT_API Tensor equal(Operand x, Operand y);
WENGERT_API Tensor not_equal(Operand x, Operand y);
WENGERT_API Tensor less(Operand x, double y);
WENGERT_API Tensor less_equal(Operand x, double y);
WENGERT_API Tensor greater(Operand x, double y);
WENGERT_API Tensor greater_equal(Operand x, double y);
WENGERT_API Tensor equal(Operand x, double y);
WENGERT_API Tensor not_equal(Operand x, double y);
inline Tensor operator<(Operand x, Operand y) { return less(x, y); }
inline Tensor operator<=(Operand x, Operand y) { return less_equal(x, y); }
inline Tensor operator>(Operand x, Operand y) { return greater(x, y); }
inline Tensor operator>=(Operand x, Operand y) { return greater_equal(x, y); }
inline Tensor operator<(Operand x, double y) { return less(x, y); }
inline Tensor operator<=(Operand x, double y) { return less_equal(x, y); }
inline Tensor operator>(Operand x, double y) { return greater(x, y); }
inline Tensor operator>=(Operand x, double y) { return greater_equal(x, y); }
inline Tensor operator<(double x, Operand y) { return greater(y, x); }
inline Tensor operator<=(double x, Operand y) { return greater_equal(y, x); }
inline Tensor operator>(double x, Operand y) { return less(y, x); }
inline Tensor operator>=(double x, Operand y) { return less_equal(y, x); }
/// condition ? x : y, broadcasting all three; condition is bool. The cotangent is selected, not multiplied, so a NaN on
/// the side that is not taken does not reach the other.
WENGERT_API Tensor where(Operand condition, Operand x, Operand y);
WENGERT_API Tensor where(Operand condition, Operand x, double y);
WENGERT_API Tensor where(Operand condition, double x, Operand y);
WENGERT_API Tensor where(Operand condition, double x, double y);  ///< float32
/// @}

/// @name Conversion and copies
/// @{
/// x converted to another dtype. Between float32 and float64 the cotangent is converted back; other conversions have no
/// derivative.
WENGERT_API Tensor to(Operand x, DType dtype);
/// A row-major copy in memory of its own.
WENGERT_API Tensor clone(Operand x);
/// x itself when it is row-major already, else a row-major copy.
WENGERT_API Tensor contiguous(Operand x);
/// @}

/// @name Shape. Most return views; reshape, flatten and contiguous copy tensors that are not contiguous, and cat,
/// stack, flip, roll, repeat, tile, repeat_interleave, pad, sliding_windows, diag_embed, tril, triu and masked_fill
/// always copy.
/// @{
/// The same elements in row-major order; one size may be -1 and is computed. ShapeError when the number of elements
/// differs.
WENGERT_API Tensor reshape(Operand x, const Shape& shape);
/// Joins axes first..last into one.
WENGERT_API Tensor flatten(Operand x, int first = 0, int last = -1);
/// Axis i of the result is axis order[i] of x. ValueError unless order names every axis once.
WENGERT_API Tensor permute(Operand x, const Shape& order);
/// Swaps two axes; transpose(x) swaps the last two.
WENGERT_API Tensor transpose(Operand x, int axis1 = -2, int axis2 = -1);
/// Inserts an axis of size one, which is `axis` of the result.
WENGERT_API Tensor unsqueeze(Operand x, int axis);
/// Removes an axis of size one. ShapeError when its size is not one.
WENGERT_API Tensor squeeze(Operand x, int axis);
/// Repeats axes of size one, without a copy; new axes come first. The derivative is sum_to.
WENGERT_API Tensor expand(Operand x, const Shape& shape);
/// Elements start, start + step, ... before stop along one axis. Negative start and stop count from the end; both are
/// clipped.
WENGERT_API Tensor slice(Operand x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step = 1);
/// slice(x, axis, start, start + length). ValueError when that is not inside the axis.
WENGERT_API Tensor narrow(Operand x, int axis, std::int64_t start, std::int64_t length);
/// The entry at `index` along an axis; the result does not have that axis. A negative index counts from the end.
/// ValueError when there is no such entry.
WENGERT_API Tensor select(Operand x, int axis, std::int64_t index);
/// Joins tensors along an existing axis. ShapeError when other axes differ.
WENGERT_API Tensor cat(const std::vector<Tensor>& x, int axis = 0, Where = Where::current());
/// Joins tensors of equal shape along a new axis.
WENGERT_API Tensor stack(const std::vector<Tensor>& x, int axis = 0, Where = Where::current());
/// Axis from[k] becomes axis to[k]; the other axes keep their order.
WENGERT_API Tensor movedim(Operand x, const Shape& from, const Shape& to);
/// Parts of these sizes along an axis. ShapeError unless the sizes sum to that of the axis.
WENGERT_API std::vector<Tensor> split(Operand x, int axis, const std::vector<std::int64_t>& sizes);
/// Parts of one size along an axis; the last may be smaller.
WENGERT_API std::vector<Tensor> split(Operand x, int axis, std::int64_t size);
/// `count` parts of equal size along an axis; the last may be smaller, and there may be fewer.
WENGERT_API std::vector<Tensor> chunk(Operand x, int axis, std::int64_t count);
/// select(x, axis, i) for every i.
WENGERT_API std::vector<Tensor> unbind(Operand x, int axis = 0);
/// Entries in the opposite order along the axes; along all axes if none is named.
WENGERT_API Tensor flip(Operand x, const Shape& axes = {});
/// Entries moved by `shift` places along an axis; those that fall off the end come in at the front.
WENGERT_API Tensor roll(Operand x, int axis, std::int64_t shift);
/// The whole tensor times[i] times along axis i; times has an entry for every axis, and more of them for new axes in
/// front.
WENGERT_API Tensor repeat(Operand x, const Shape& times);
/// repeat() with times for the last axes only, where it has fewer entries than x has axes.
WENGERT_API Tensor tile(Operand x, const Shape& times);
/// Each entry along the axis `times` times in a row.
WENGERT_API Tensor repeat_interleave(Operand x, int axis, std::int64_t times);

/// How many entries pad() adds in front of an axis and behind it; negative: removes.
struct Padding {
  std::int64_t before = 0, after = 0;
};
/// What pad() puts beyond the edge.
enum class PadMode {
  constant,   ///< a fill value
  reflect,    ///< the entries mirrored; the edge is not repeated
  replicate,  ///< the edge repeated
  circular,   ///< wrapped around: the entries of the other end
};
/// Longer axes: widths are those of the last axes. Negative widths cut (constant mode). ShapeError where reflect or
/// circular would need more entries than there are.
WENGERT_API Tensor pad(Operand x, const std::vector<Padding>& widths, PadMode mode = PadMode::constant,
                       double value = 0);
/// Windows of `size` entries along an axis, `step` apart: [.., n, ..] -> [.., (n - size) / step + 1, .., size].
WENGERT_API Tensor sliding_windows(Operand x, int axis, std::int64_t size, std::int64_t step = 1);
/// Entries (i, i + offset) of the matrices on two axes, by default the last two, as a last axis.
WENGERT_API Tensor diagonal(Operand x, std::int64_t offset = 0, int axis1 = -2, int axis2 = -1);
/// Square matrices of zeros with the last axis of x on a diagonal, as small as they can be, on axes axis1 and axis2 of
/// the result.
WENGERT_API Tensor diag_embed(Operand x, std::int64_t offset = 0, int axis1 = -2, int axis2 = -1);
/// For a matrix its diagonal; for a vector the matrix that has it on its diagonal.
WENGERT_API Tensor diag(Operand x, std::int64_t offset = 0);
/// x [.., m, n] on and below a diagonal, zero above it.
WENGERT_API Tensor tril(Operand x, std::int64_t offset = 0);
/// x [.., m, n] on and above a diagonal, zero below it.
WENGERT_API Tensor triu(Operand x, std::int64_t offset = 0);
/// value where mask, else x; broadcasting.
WENGERT_API Tensor masked_fill(Operand x, Operand mask, double value);
/// @}

/// @name Indexing. Indices are int64; an index out of range is a ValueError naming it.
/// @{
/// Entries of x along an axis: result[.., i, ..] = x[.., index[i], ..].  index [m].
WENGERT_API Tensor index_select(Operand x, int axis, Operand index);
/// Entries of x along an axis by an index of any shape, which takes the place of the axis; negative indices count from
/// the end.
WENGERT_API Tensor take(Operand x, int axis, Operand index);
/// x with source's entries added at index along the axis, in order: result[.., index[i], ..] += source[.., i, ..].
/// index [m].
WENGERT_API Tensor index_add(Operand x, int axis, Operand index, Operand source);
/// result[.., j, ..] = x[.., index[.., j, ..], ..]: an index for every entry of the result. index has the axes of x,
/// and except for `axis` none is longer.
WENGERT_API Tensor gather(Operand x, int axis, Operand index);
/// gather() with x and index broadcast against each other except along `axis`.
WENGERT_API Tensor take_along(Operand x, int axis, Operand index);
/// x with source's entries added at index along the axis, in order:
/// result[.., index[.., j, ..], ..] += source[.., j, ..].
WENGERT_API Tensor scatter_add(Operand x, int axis, Operand index, Operand source);
/// x with source's entries in the place of x's at index along the axis; where several entries go to one place, the last
/// stays.
WENGERT_API Tensor scatter(Operand x, int axis, Operand index, Operand source);
/// The entries of x where mask holds, in row-major order, as a vector; x and mask broadcast.
WENGERT_API Tensor masked_select(Operand x, Operand mask);
/// 1 at index, else 0, along a new last axis.  index [..] int64 -> [.., classes].
WENGERT_API Tensor one_hot(Operand index, std::int64_t classes, DType dtype = float32);
/// @}

/// Values, and the index of each along the axis (int64). The cotangent of a value goes to the entry at its index.
struct Indexed {
  Tensor values, indices;
};

/// @name Order along an axis. Equal entries keep their order; NaN counts as largest.
/// @{
struct SortOptions {
  int axis = -1;
  bool descending = false;
};
/// The entries along an axis in ascending or descending order, and where each came from.
WENGERT_API Indexed sort(Operand x, const SortOptions& = {});
/// sort(x).indices, int64.
WENGERT_API Tensor argsort(Operand x, const SortOptions& = {});
struct TopkOptions {
  int axis = -1;
  bool largest = true;  ///< otherwise the k smallest, ascending
};
/// The k largest entries along an axis, descending. ValueError when the axis has fewer.
WENGERT_API Indexed topk(Operand x, std::int64_t k, const TopkOptions& = {});
/// @}

/// @name Reduction. Axes are given as sum(x, {0, 1}) or sum(x, {.axes = {0, 1}, .keep_dims = true}); none named means
/// all. Summation order depends on the shape only (docs/numerics.md).
/// @{
/// The axes that a reduction goes over, and whether they stay. The axes alone need no name: sum(x, 0), sum(x, {0, 2}).
struct Reduce {
  Shape axes = {};         ///< empty: all
  bool keep_dims = false;  ///< reduced axes stay, with size one
};
WENGERT_API Tensor sum(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor sum(Operand x, const A& axes) {
  return sum(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor sum(Operand x, const N (&axes)[n]) {
  return sum(std::move(x), Reduce{detail::axes_in(axes)});
}
WENGERT_API Tensor mean(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor mean(Operand x, const A& axes) {
  return mean(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor mean(Operand x, const N (&axes)[n]) {
  return mean(std::move(x), Reduce{detail::axes_in(axes)});
}
/// The sum that undoes broadcasting: x summed to `shape`. ShapeError unless `shape` broadcasts to that of x.
WENGERT_API Tensor sum_to(Operand x, const Shape& shape);
/// The largest entry; ties share the cotangent equally. ShapeError for no entries.
WENGERT_API Tensor amax(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor amax(Operand x, const A& axes) {
  return amax(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor amax(Operand x, const N (&axes)[n]) {
  return amax(std::move(x), Reduce{detail::axes_in(axes)});
}
/// The smallest entry; ties share the cotangent equally. ShapeError for no entries.
WENGERT_API Tensor amin(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor amin(Operand x, const A& axes) {
  return amin(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor amin(Operand x, const N (&axes)[n]) {
  return amin(std::move(x), Reduce{detail::axes_in(axes)});
}
/// The product. Its derivative does not divide, so zeros are exact.
WENGERT_API Tensor prod(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor prod(Operand x, const A& axes) {
  return prod(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor prod(Operand x, const N (&axes)[n]) {
  return prod(std::move(x), Reduce{detail::axes_in(axes)});
}
/// log(sum(exp(x))), with the largest entry subtracted first.
WENGERT_API Tensor logsumexp(Operand x, const Reduce& = {});
template <detail::Axes A> Tensor logsumexp(Operand x, const A& axes) {
  return logsumexp(std::move(x), Reduce{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor logsumexp(Operand x, const N (&axes)[n]) {
  return logsumexp(std::move(x), Reduce{detail::axes_in(axes)});
}

struct VarOptions {
  Shape axes = {};         ///< empty: all
  double correction = 1;   ///< the divisor is n - correction
  bool keep_dims = false;  ///< reduced axes stay, with size one
};
/// sum((x - mean)^2) / (n - correction), in two passes. NaN when n <= correction.
WENGERT_API Tensor var(Operand x, const VarOptions& = {});
template <detail::Axes A> Tensor var(Operand x, const A& axes) {
  return var(std::move(x), VarOptions{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor var(Operand x, const N (&axes)[n]) {
  return var(std::move(x), VarOptions{detail::axes_in(axes)});
}
/// The standard deviation sqrt(var); slope 0 where it is 0.
WENGERT_API Tensor stddev(Operand x, const VarOptions& = {});
template <detail::Axes A> Tensor stddev(Operand x, const A& axes) {
  return stddev(std::move(x), VarOptions{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor stddev(Operand x, const N (&axes)[n]) {
  return stddev(std::move(x), VarOptions{detail::axes_in(axes)});
}

struct NormOptions {
  Shape axes = {};         ///< empty: all
  double p = 2;            ///< the order: 0 counts the entries that are not 0; inf (-inf) is the largest (smallest) |x|
  bool keep_dims = false;  ///< reduced axes stay, with size one
};
/// (sum |x|^p)^(1/p). Slope 0 where the norm is 0, and for p < 1 where an entry is; for p = inf and -inf ties share the
/// cotangent.
WENGERT_API Tensor norm(Operand x, const NormOptions& = {});
template <detail::Axes A> Tensor norm(Operand x, const A& axes) {
  return norm(std::move(x), NormOptions{detail::axes_in(axes)});
}
template <detail::Axis N, std::size_t n> Tensor norm(Operand x, const N (&axes)[n]) {
  return norm(std::move(x), NormOptions{detail::axes_in(axes)});
}

/// The one axis that a reduction goes over.
struct ReduceAxis {
  int axis = -1;
  bool keep_dims = false;  ///< the axis stays, with size one
};
/// Index of the largest entry along an axis, the first of equal ones. int64.
WENGERT_API Tensor argmax(Operand x, const ReduceAxis& = {});
template <detail::Axis N> Tensor argmax(Operand x, N axis) {
  return argmax(std::move(x), ReduceAxis{static_cast<int>(axis)});
}
/// Index of the smallest entry along an axis, the first of equal ones. int64.
WENGERT_API Tensor argmin(Operand x, const ReduceAxis& = {});
template <detail::Axis N> Tensor argmin(Operand x, N axis) {
  return argmin(std::move(x), ReduceAxis{static_cast<int>(axis)});
}
/// The largest entry along an axis and its index: the first of equal ones, which receives the whole cotangent.
WENGERT_API Indexed max_with_index(Operand x, const ReduceAxis& = {});
template <detail::Axis N> Indexed max_with_index(Operand x, N axis) {
  return max_with_index(std::move(x), ReduceAxis{static_cast<int>(axis)});
}
/// The smallest entry along an axis and its index: the first of equal ones, which receives the whole cotangent.
WENGERT_API Indexed min_with_index(Operand x, const ReduceAxis& = {});
template <detail::Axis N> Indexed min_with_index(Operand x, N axis) {
  return min_with_index(std::move(x), ReduceAxis{static_cast<int>(axis)});
}
/// @}

/// @name Running reductions along an axis
/// @{
struct ScanOptions {
  bool reverse = false;  ///< from the last entry to the first
};
WENGERT_API Tensor cumsum(Operand x, int axis, const ScanOptions& = {});
/// Running products. The derivative does not divide, so zeros are exact.
WENGERT_API Tensor cumprod(Operand x, int axis, const ScanOptions& = {});
/// log of the running sum of exp(x), without overflow.
WENGERT_API Tensor logcumsumexp(Operand x, int axis);
/// The largest entry so far and its index, the last of equal ones.
WENGERT_API Indexed cummax(Operand x, int axis);
/// The smallest entry so far and its index, the last of equal ones.
WENGERT_API Indexed cummin(Operand x, int axis);
/// s_i = a_i s_(i-1) + b_i with s_0 = b_0: the linear recurrence of filters and state-space layers.  a and b of one
/// shape.  vjp: a linear recurrence in the opposite direction.
WENGERT_API Tensor linear_recurrence(Operand a, Operand b, int axis, const ScanOptions& = {});
/// x_i - x_(i-1), applied n times: the axis gets shorter by n.
WENGERT_API Tensor diff(Operand x, int axis = -1, int n = 1);
/// @}

/// @name Softmax, along an axis, with the largest entry subtracted first
/// @{
/// exp(x) / sum(exp(x)).  vjp: y (y_bar - sum(y_bar y)).
WENGERT_API Tensor softmax(Operand x, int axis = -1);
/// x - log(sum(exp(x))).  vjp: y_bar - exp(y) sum(y_bar).
WENGERT_API Tensor log_softmax(Operand x, int axis = -1);
/// @}

/// @name Linear algebra
/// @{
/// Matrix product: [.., m, k] x [.., k, n] -> [.., m, n], leading axes broadcast. A vector [k] on the left is a row, on
/// the right a column; the result does not have its axis.  ShapeError when the inner sizes differ.
WENGERT_API Tensor matmul(Operand x, Operand w);
/// x W^T + bias.  x [.., in], weight [out, in], bias [out] or undefined -> [.., out].
WENGERT_API Tensor linear(Operand x, Operand weight, Operand bias = {});
/// @}

/// @name Products of tensors
/// @{
/// Einstein summation: every axis has a letter, and letters missing from the result are summed: "ij,jk->ik",
/// "bij->bji", "ii->". "..." stands for leading axes that broadcast. Without "->" the result has the letters that occur
/// once, in alphabetical order. Several operands are contracted in pairs, the cheapest first, as matrix products.
/// ValueError for a formula, ShapeError for sizes that do not fit.
WENGERT_API Tensor einsum(std::string_view formula, const std::vector<Tensor>& x, Where = Where::current());
/// The product summed over pairs of axes, x_axes[k] of x with y_axes[k] of y. The result has the other axes of x, then
/// those of y.
WENGERT_API Tensor tensordot(Operand x, Operand y, const Shape& x_axes, const Shape& y_axes);
/// The sum of x_i y_i, for vectors.
WENGERT_API Tensor dot(Operand x, Operand y);
/// The matrix x_i y_j, for vectors.
WENGERT_API Tensor outer(Operand x, Operand y);
/// The Kronecker product: blocks x_ij y; x and y of equal rank.
WENGERT_API Tensor kron(Operand x, Operand y);
/// x cross y along an axis of size three; broadcasting.
WENGERT_API Tensor cross(Operand x, Operand y, int axis = -1);
/// The sum of the diagonal of the last two axes.
WENGERT_API Tensor trace(Operand x);
/// a^n for square matrices; for n < 0 the inverse to the power of -n.
WENGERT_API Tensor matrix_power(Operand a, int n);
/// The matrix product a_1 a_2 ... a_n in the cheapest order; the first may be a row vector, the last a column vector.
WENGERT_API Tensor multi_dot(const std::vector<Tensor>& a, Where = Where::current());
/// The norm of order p of x_i - y_j, for all pairs of rows.  x [.., m, d], y [.., n, d] -> [.., m, n].
WENGERT_API Tensor cdist(Operand x, Operand y, double p = 2);
/// @}

/// @name Systems of equations and decompositions: the last two axes are matrices, those before them a batch. float32
/// and float64.
/// @{
/// a x = b.  a [.., n, n], b [.., n, k]; b is a vector when it is [n] or has the shape of a without the last axis.
/// b_bar = a^-T x_bar, a_bar = -b_bar x^T.  ValueError naming the matrix of the batch that is singular.
WENGERT_API Tensor solve(Operand a, Operand b);
struct TriangularOptions {
  bool upper = false;  ///< read the upper half of a; otherwise the lower
  bool left = true;    ///< a x = b; otherwise x a = b
  bool unit = false;   ///< take the diagonal as ones
};
/// solve() for triangular a, of which only one half is read.
WENGERT_API Tensor solve_triangular(Operand a, Operand b, TriangularOptions = {});
/// a^-1. ValueError naming the matrix of the batch that is singular.
WENGERT_API Tensor inverse(Operand a);
/// Lower triangular l with a = l l^T, from the lower half of a; the gradient is symmetric.  ValueError unless a is
/// positive definite.
WENGERT_API Tensor cholesky(Operand a);
/// Determinant.  vjp: det a^-T; where a is singular, the matrix of its cofactors, from the singular values.
WENGERT_API Tensor det(Operand a);
/// A value as its sign and the logarithm of its absolute value.
struct SignedLog {
  Tensor sign, log_abs;
};
/// The sign of det a (no derivative) and log |det a|.
WENGERT_API SignedLog slogdet(Operand a);
/// log(det a); NaN where it is negative.
WENGERT_API Tensor logdet(Operand a);
struct QR {
  Tensor q, r;
};
/// a [m, n] = q r, where q [m, k] has orthonormal columns, r [k, n] is upper triangular with a diagonal >= 0, and
/// k = min(m, n).
WENGERT_API QR qr(Operand a);
struct SVD {
  Tensor u, s, vt;
};
/// a [m, n] = u diag(s) vt: u [m, k], s [k] descending, vt [k, n], k = min(m, n).  Derivatives of u and vt are finite
/// only where singular values differ.  ValueError for NaN or infinity.
WENGERT_API SVD svd(Operand a);
/// The singular values alone, descending.
WENGERT_API Tensor svdvals(Operand a);
/// Eigenvalues and, as columns, eigenvectors of a symmetric matrix.
struct EighResult {
  Tensor values, vectors;
};
/// a = v diag(w) v^T for symmetric a, from its lower half; w ascending. The gradient is symmetric.
WENGERT_API EighResult eigh(Operand a);
/// The eigenvalues alone, ascending.
WENGERT_API Tensor eigvalsh(Operand a);
/// @}

/// @name Normalization. Weights and biases may be undefined. Variances divide by n and take two passes. ShapeError
/// where sizes do not fit.
/// @{
/// (x - mean) / sqrt(var + eps), with mean and variance over the axes.  vjp: r (y_bar - mean(y_bar) - y mean(y y_bar)),
/// r = 1 / sqrt(var + eps).
WENGERT_API Tensor standardize(Operand x, const Shape& axes, double eps = 1e-5);
/// standardize over the last axes, as many as weight has (one if it is undefined), times weight, plus bias.  Ba, Kiros
/// & Hinton 2016.
WENGERT_API Tensor layer_norm(Operand x, Operand weight = {}, Operand bias = {}, double eps = 1e-5);
/// standardize over all axes except the channels, with weight and bias for each channel.  x [n, c, ...], weight [c],
/// bias [c].  Ioffe & Szegedy 2015.
WENGERT_API Tensor batch_norm(Operand x, Operand weight, Operand bias, double eps = 1e-5);
/// batch_norm with given mean and variance: (x - mean) / sqrt(var + eps) weight + bias.  mean [c], var [c].
WENGERT_API Tensor batch_norm(Operand x, Operand weight, Operand bias, Operand mean, Operand var, double eps = 1e-5);
/// standardize within each of `groups` sets of neighboring channels.  weight [c], bias [c].  Wu & He 2018.
WENGERT_API Tensor group_norm(Operand x, std::int64_t groups, Operand weight, Operand bias, double eps = 1e-5);
/// standardize each channel of each example over its spatial axes.  weight [c], bias [c].
WENGERT_API Tensor instance_norm(Operand x, Operand weight, Operand bias, double eps = 1e-5);
/// x / sqrt(mean(x^2) + eps) weight, over the last axis.  Zhang & Sennrich 2019.
WENGERT_API Tensor rms_norm(Operand x, Operand weight, double eps = 1e-6);
/// x / (k + alpha mean(x^2))^beta, the mean over `size` channels around each; channels before the first and after the
/// last are zero. Krizhevsky, Sutskever & Hinton 2012.
WENGERT_API Tensor local_response_norm(Operand x, std::int64_t size, double alpha = 1e-4, double beta = 0.75,
                                       double k = 1);
struct NormalizeOptions {
  int axis = -1;
  double p = 2;        ///< order of the norm
  double eps = 1e-12;  ///< smallest divisor
};
/// x / max(norm(x), eps), with the norm along an axis.
WENGERT_API Tensor normalize(Operand x, const NormalizeOptions& = {});
/// @}

/// @name Distance and attention
/// @{
/// x . y / (max(|x|, eps) max(|y|, eps)), summed over an axis; broadcasting.
WENGERT_API Tensor cosine_similarity(Operand x, Operand y, int axis = -1, double eps = 1e-8);
struct DistanceOptions {
  double p = 2;            ///< order of the norm
  double eps = 1e-6;       ///< added to every difference
  bool keep_dims = false;  ///< the last axis stays, with size one
};
/// The norm of x - y + eps along the last axis; broadcasting.
WENGERT_API Tensor pairwise_distance(Operand x, Operand y, const DistanceOptions& = {});
/// Rows of weight [entries, size] by an index of any shape: [..] -> [.., size].  The row padding_index receives no
/// gradient.
WENGERT_API Tensor embedding(Operand weight, Operand index, std::optional<std::int64_t> padding_index = {});
/// Channels to space: [.., c factor^2, h, w] -> [.., c, h factor, w factor].  Shi et al. 2016.
WENGERT_API Tensor pixel_shuffle(Operand x, std::int64_t factor);

struct AttentionOptions {
  Tensor mask = {};     ///< [.., m, n], broadcasting: a float mask is added to the scores; bool: true may attend
  bool causal = false;  ///< entry i attends to entries 0..i only
};
/// The result of attention() and the weights that made it.
struct Attention {
  Tensor output, weights;
};
/// weights = softmax(query key^T / sqrt(size) + mask), output = weights value.  query [.., m, size], key [.., n, size],
/// value [.., n, k] -> output [.., m, k], weights [.., m, n].  Vaswani et al. 2017, eq. 1.
WENGERT_API Attention attention(Operand query, Operand key, Operand value, const AttentionOptions& = {});
/// @}

/// @name Images: [n, channels, spatial...] with one, two or three spatial axes; without n, a single image
/// @{
/// One entry for each spatial axis; a single entry serves all of them.
struct ConvOptions {
  Shape stride = {1}, padding = {0}, dilation = {1};
  std::int64_t groups = 1;
};
/// Cross-correlation.  x [n, c, spatial...], weight [o, c / groups, kernel...], bias [o] or undefined -> [n, o, out...]
/// with
///   y[i, q, p...] = bias[q] + sum over r, k... of weight[q, r, k...] x[i, r, p stride - padding + k dilation],
///   out = floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1,
/// where x is 0 outside and channels r are those of q's group. vjp: conv_transpose for x; for weight, a correlation of
/// x with y_bar. ShapeError when channels or bias do not fit, groups do not divide them, or the kernel is larger than
/// the padded input; ValueError for a stride or dilation below 1 or a padding below 0.
WENGERT_API Tensor conv(Operand x, Operand weight, Operand bias = {}, const ConvOptions& = {});

/// One entry for each spatial axis; a single entry serves all of them.
struct ConvTransposeOptions {
  Shape stride = {1}, padding = {0}, output_padding = {0}, dilation = {1};
  std::int64_t groups = 1;
};
/// The adjoint of conv in its x: every entry of x adds a kernel, scaled by it, to the result.
/// x [n, c, spatial...], weight [c, o / groups, kernel...], bias [o] or undefined -> [n, o, out...] with
///   out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.
/// output_padding lengthens the end of the result, to choose among the sizes that conv maps to the same one. ValueError
/// unless it is smaller than the stride or the dilation; ShapeError as for conv.
WENGERT_API Tensor conv_transpose(Operand x, Operand weight, Operand bias = {}, const ConvTransposeOptions& = {});

/// One entry for each spatial axis; a single entry serves all of them.
struct UnfoldOptions {
  Shape stride = {1}, padding = {0}, dilation = {1};
};
/// The matrix that conv multiplies by: for each of `out...` positions, in row-major order, the entries under a kernel
/// there. x [n, c, spatial...] -> [n, c kernel, out], with the sizes of kernel and of out each multiplied together;
/// also for a single image without n.
WENGERT_API Tensor unfold(Operand x, const Shape& kernel, const UnfoldOptions& = {});
/// The adjoint of unfold: every entry is added where it came from.  x [n, c kernel, out] -> [n, c, size...].
/// ShapeError when unfold does not make the shape of x of such an image.
WENGERT_API Tensor fold(Operand x, const Shape& size, const Shape& kernel, const UnfoldOptions& = {});
/// @}

/// @name Pooling and resampling, over the last one to three axes: [.., spatial...]
/// @{
/// One entry for each spatial axis; a single entry serves all of them.
struct MaxPoolOptions {
  Shape stride = {}, padding = {0}, dilation = {1};  ///< stride empty: the kernel
  bool ceil_mode = false;                            ///< a last window may reach beyond the input, if it begins inside
};
/// The largest entry of each window. kernel has one size for each spatial axis; padding counts as -inf; a NaN in a
/// window is its result. The first of equal entries receives the cotangent.  x [.., spatial...] -> [.., out...], out as
/// for conv. ShapeError when a window is larger than the padded input, ValueError when padding is larger than half of
/// the kernel.
WENGERT_API Tensor max_pool(Operand x, const Shape& kernel, const MaxPoolOptions& = {});
/// One entry for each spatial axis; a single entry serves all of them.
struct AvgPoolOptions {
  Shape stride = {}, padding = {0};  ///< stride empty: the kernel
  bool ceil_mode = false;            ///< a last window may reach beyond the input, if it begins inside
  bool count_padding = true;  ///< zeros of the padding count in the mean; entries that ceil_mode adds beyond it do not
};
/// The mean of each window; shapes and errors as for max_pool.
WENGERT_API Tensor avg_pool(Operand x, const Shape& kernel, const AvgPoolOptions& = {});

/// The largest entry of windows chosen so that the result has this size: on each axis, window o goes from
/// floor(o in / out) to ceil((o + 1) in / out).  x [.., spatial...] -> [.., size...].
WENGERT_API Tensor adaptive_max_pool(Operand x, const Shape& size);
/// The mean of the windows of adaptive_max_pool.
WENGERT_API Tensor adaptive_avg_pool(Operand x, const Shape& size);

/// How interpolate() makes entry o of an axis.
enum class Interpolation {
  nearest,  ///< entry floor(o in / out)
  linear,   ///< a straight line between the two nearest entries on each axis: bilinear, trilinear
  cubic,    ///< Keys' polynomial with a = -3/4 through four entries on each axis: bicubic
  area,     ///< adaptive_avg_pool
};
struct InterpolateOptions {
  Interpolation mode = Interpolation::nearest;
  /// The centers of the first and last entries keep their places; otherwise the outer edges of the image do.
  bool align_corners = false;
};
/// Resamples x [.., spatial...] -> [.., size...], one axis after the other. Beyond the edge the last entry repeats.
/// ValueError for a size below 1, and for aligned corners with nearest or area.
WENGERT_API Tensor interpolate(Operand x, const Shape& size, InterpolateOptions = {});
/// interpolate() to size floor(in factor), with steps of 1 / factor where that is not a whole number.
WENGERT_API Tensor interpolate_by(Operand x, const std::vector<double>& factors, InterpolateOptions = {});
/// @}

}  // namespace wengert
