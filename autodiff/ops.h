#pragma once

// The vocabulary. A declaration is its documentation: shapes, the derivative where it is not obvious, what is thrown.
//
// Every operator takes its tensors as Operand, which is made implicitly from a Tensor and carries the place of the
// call. Shapes broadcast as in numpy where a declaration says so: axes are aligned at the end, and an axis of size one
// is repeated. Two tensors of different dtypes are a TypeError (convert one with to()); C++ numbers take the tensor's
// dtype. Axes may be negative: -1 is the last.

#include "wengert/autodiff/tape/tensor.h"

#include <optional>
#include <string_view>
#include <vector>

namespace wengert {

/// @name Arithmetic. Broadcasting; float32, float64, and int64 except for / and pow.
/// @{
WENGERT_API Tensor add(Operand x, Operand y);
WENGERT_API Tensor sub(Operand x, Operand y);
WENGERT_API Tensor mul(Operand x, Operand y);
WENGERT_API Tensor div(Operand x, Operand y);
/// x^y.  The slope in x at x = 0 is 0 for y > 1 and 1 for y = 1; the slope in y is 0 where x = 0.
WENGERT_API Tensor pow(Operand x, Operand y);
WENGERT_API Tensor pow(Operand x, double exponent);
/// base^x with a number as base.
WENGERT_API Tensor pow(double base, Operand x);
/// x - trunc(x / y) y, with the sign of x; x - floor(x / y) y, with the sign of y.
WENGERT_API Tensor fmod(Operand x, Operand y);
WENGERT_API Tensor remainder(Operand x, Operand y);
/// The larger (smaller) of two; ties share the cotangent equally; NaN wins.
WENGERT_API Tensor maximum(Operand x, Operand y);
WENGERT_API Tensor minimum(Operand x, Operand y);
WENGERT_API Tensor maximum(Operand x, double y);
WENGERT_API Tensor minimum(Operand x, double y);
inline Tensor maximum(double x, Operand y) { return maximum(std::move(y), x); }
inline Tensor minimum(double x, Operand y) { return minimum(std::move(y), x); }
WENGERT_API Tensor max(Operand x, double y);
WENGERT_API Tensor min(Operand x, double y);
WENGERT_API Tensor neg(Operand x);
/// x + weight (end - x), all three broadcasting.
WENGERT_API Tensor lerp(Operand x, Operand end, Operand weight);
/// sqrt(x^2 + y^2) without overflow; slopes 0 at the origin.
WENGERT_API Tensor hypot(Operand x, Operand y);
/// The angle of the point (x, y) in (-pi, pi]; as in C the ordinate comes first.
WENGERT_API Tensor atan2(Operand y, Operand x);
/// log(exp(x) + exp(y)) without overflow.
WENGERT_API Tensor logaddexp(Operand x, Operand y);
/// x log(y); 0 where x is 0, and then with slope 0 in y.
WENGERT_API Tensor xlogy(Operand x, Operand y);
/// x y, but 0 wherever x is 0, even if y is infinite or NaN there: how a cotangent meets a slope.
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
/// h += x means h = h + x: the handle gets a new value, the old one stays as it is for whoever else holds it. That of a
/// Param is changed in place, under no_grad (GraphError elsewhere).
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
WENGERT_API Tensor abs(Operand x);   ///< slope 0 at 0
WENGERT_API Tensor sign(Operand x);  ///< -1, 0 or 1; like the next four it has slope 0 everywhere
WENGERT_API Tensor floor(Operand x);
WENGERT_API Tensor ceil(Operand x);
WENGERT_API Tensor round(Operand x);  ///< halves go to the even neighbour
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
WENGERT_API Tensor asin(Operand x);  ///< NaN outside [-1, 1], slope infinite at the ends; so is acos
WENGERT_API Tensor acos(Operand x);
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
/// The same with bounds that broadcast, either of which may be undefined (no bound); a bound receives the cotangent
/// where it is the result.
WENGERT_API Tensor clamp(Operand x, Operand low, Operand high);
/// @}

/// @name Activations, elementwise. float32 and float64.
/// @{
WENGERT_API Tensor relu(Operand x);   ///< max(x, 0), slope 0 at 0
WENGERT_API Tensor relu6(Operand x);  ///< min(max(x, 0), 6), slope 0 at 0 and 6
/// x for x > 0, else negative_slope x.  Slope at 0: negative_slope.
WENGERT_API Tensor leaky_relu(Operand x, double negative_slope = 0.01);
/// The same with slopes to be learnt: one for all, or one for each entry of axis 1.  slope [] or [1] or [c].
WENGERT_API Tensor prelu(Operand x, Operand slope);
WENGERT_API Tensor sigmoid(Operand x);      ///< 1 / (1 + exp(-x))
WENGERT_API Tensor log_sigmoid(Operand x);  ///< log(sigmoid(x)) for any finite x
WENGERT_API Tensor softplus(Operand x);     ///< log(1 + exp(x)) for any finite x
/// softplus(beta x) / beta; x itself where beta x > threshold (never, if left out).
WENGERT_API Tensor softplus(Operand x, double beta, double threshold = 1e300);
WENGERT_API Tensor silu(Operand x);       ///< x sigmoid(x)
WENGERT_API Tensor mish(Operand x);       ///< x tanh(softplus(x))
WENGERT_API Tensor gelu(Operand x);       ///< x Phi(x), the exact form with erf
WENGERT_API Tensor gelu_tanh(Operand x);  ///< its approximation x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
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
/// condition ? x : y, broadcasting all three; condition is bool. The cotangent is selected, not multiplied: a NaN on
/// the side not taken stays there.
WENGERT_API Tensor where(Operand condition, Operand x, Operand y);
WENGERT_API Tensor where(Operand condition, Operand x, double y);
WENGERT_API Tensor where(Operand condition, double x, Operand y);
WENGERT_API Tensor where(Operand condition, double x, double y);  ///< float32
/// @}

/// @name Conversion and copies
/// @{
/// Same values in another dtype; between float32 and float64 the cotangent is converted back, other conversions have no
/// derivative.
WENGERT_API Tensor to(Operand x, DType dtype);
/// Row-major copy on fresh memory.
WENGERT_API Tensor clone(Operand x);
/// x itself when it is row-major already, else a row-major copy.
WENGERT_API Tensor contiguous(Operand x);
/// @}

/// @name Shape. Views where possible: nothing is copied but by reshape of a tensor whose axes are not in order.
/// @{
/// The same elements in row-major order; one size may be -1 and is computed.
WENGERT_API Tensor reshape(Operand x, const Shape& shape);
/// Joins axes first..last.
WENGERT_API Tensor flatten(Operand x, int first = 0, int last = -1);
/// Axis i of the result is axis order[i] of x.
WENGERT_API Tensor permute(Operand x, const Shape& order);
/// Swaps two axes; transpose(x) swaps the last two.
WENGERT_API Tensor transpose(Operand x, int a = -2, int b = -1);
/// Inserts (removes) an axis of size one.
WENGERT_API Tensor unsqueeze(Operand x, int axis);
WENGERT_API Tensor squeeze(Operand x, int axis);
/// Repeats axes of size one, without a copy; new axes come first. The derivative is sum_to.
WENGERT_API Tensor expand(Operand x, const Shape& shape);
/// Elements start, start + step, ... before stop along one axis. Negative start and stop count from the end; both are
/// clipped.
WENGERT_API Tensor slice(Operand x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step = 1);
/// slice(x, axis, start, start + length), with the range checked: ValueError.
WENGERT_API Tensor narrow(Operand x, int axis, std::int64_t start, std::int64_t length);
/// The i-th entry along an axis, which disappears. ValueError when there is none.
WENGERT_API Tensor select(Operand x, int axis, std::int64_t i);
/// x inside zeros of this shape: the transpose of slice.
WENGERT_API Tensor unslice(Operand x, const Shape& shape, int axis, std::int64_t start, std::int64_t step);
/// Joins along an existing (new) axis.
WENGERT_API Tensor cat(const std::vector<Tensor>& x, int axis = 0, Where = Where::current());
WENGERT_API Tensor stack(const std::vector<Tensor>& x, int axis = 0, Where = Where::current());
/// Axis from[k] becomes axis to[k]; the others keep their order.
WENGERT_API Tensor movedim(Operand x, const Shape& from, const Shape& to);
/// Parts of these sizes along an axis; of one size (the last may be smaller); `count` parts of equal size (fewer, if
/// they do not come out even); every entry for itself, without the axis.
WENGERT_API std::vector<Tensor> split(Operand x, const std::vector<std::int64_t>& sizes, int axis = 0);
WENGERT_API std::vector<Tensor> split(Operand x, std::int64_t size, int axis = 0);
WENGERT_API std::vector<Tensor> chunk(Operand x, std::int64_t count, int axis = 0);
WENGERT_API std::vector<Tensor> unbind(Operand x, int axis = 0);
/// Entries in the opposite order along the axes; none named: all.
WENGERT_API Tensor flip(Operand x, const Shape& axes = {});
/// Entries moved by `shift` places along an axis; those that fall off the end come in at the front.
WENGERT_API Tensor roll(Operand x, std::int64_t shift, int axis);
/// The whole tensor times[i] times along axis i; times has an entry for every axis, and more of them for new axes in
/// front. tile() takes fewer entries, too: they are those of the last axes.
WENGERT_API Tensor repeat(Operand x, const Shape& times);
WENGERT_API Tensor tile(Operand x, const Shape& times);
/// Each entry along the axis `times` times in a row.
WENGERT_API Tensor repeat_interleave(Operand x, std::int64_t times, int axis);

struct Padding {
  std::int64_t before = 0, after = 0;
};
/// What stands beyond the border: a value; the entries mirrored at the border, which is not repeated; the border; the
/// other end.
enum class PadMode { constant, reflect, replicate, circular };
/// Longer axes: widths are those of the last axes. Negative widths cut (constant mode). ShapeError where reflect or
/// circular would need more entries than there are.
WENGERT_API Tensor pad(Operand x, const std::vector<Padding>& widths, PadMode mode = PadMode::constant,
                       double value = 0);
/// Windows of `size` entries along an axis, `step` apart: [.., n, ..] -> [.., (n - size) / step + 1, .., size].
WENGERT_API Tensor sliding_windows(Operand x, int axis, std::int64_t size, std::int64_t step = 1);
/// Entries (i, i + offset) of the matrices on two axes, as a last axis. A view.
WENGERT_API Tensor diagonal(Operand x, std::int64_t offset = 0, int axis1 = 0, int axis2 = 1);
/// Matrices [rows, columns] of zeros with the last axis of x on a diagonal: the transpose of diagonal.
WENGERT_API Tensor undiagonal(Operand x, std::int64_t offset, std::int64_t rows, std::int64_t columns);
/// The same as square matrices, as small as may be, on axes axis1 and axis2 of the result.
WENGERT_API Tensor diag_embed(Operand x, std::int64_t offset = 0, int axis1 = -2, int axis2 = -1);
/// The diagonal of a matrix; a matrix with a vector on its diagonal.
WENGERT_API Tensor diag(Operand x, std::int64_t offset = 0);
/// x [.., m, n] on and below (above) a diagonal, zero elsewhere.
WENGERT_API Tensor tril(Operand x, std::int64_t offset = 0);
WENGERT_API Tensor triu(Operand x, std::int64_t offset = 0);
/// value where mask, else x; broadcasting.
WENGERT_API Tensor masked_fill(Operand x, Operand mask, double value);
/// @}

/// @name Indexing. Indices are int64; out of range is a ValueError naming the index.
/// @{
/// Rows of x along an axis: result[.., i, ..] = x[.., index[i], ..].  index [m].
WENGERT_API Tensor index_select(Operand x, int axis, Operand index);
/// Entries of x along an axis by an index of any shape, which takes the place of the axis; negative ones count from the
/// end.
WENGERT_API Tensor take(Operand x, Operand index, int axis = 0);
/// zeros(shape) with x's entries added at index along the axis, duplicates summed in order: the transpose of
/// index_select.
WENGERT_API Tensor index_add(const Shape& shape, int axis, Operand index, Operand x);
/// x [n, k], index [n] -> [n]: x[i, index[i]].
WENGERT_API Tensor pick(Operand x, Operand index);
/// x [n], index [n] -> [n, k] with x[i] at index[i], else zero: the transpose of pick.
WENGERT_API Tensor unpick(Operand x, Operand index, std::int64_t k);
/// result[.., j, ..] = x[.., index[.., j, ..], ..]: an index for every result. It has the axes of x and may be shorter
/// beside `axis`.
WENGERT_API Tensor gather(Operand x, int axis, Operand index);
/// The same with x and index broadcast against each other beside `axis`.
WENGERT_API Tensor take_along(Operand x, int axis, Operand index);
/// zeros(shape) with x's entries added at index along the axis, in order: the transpose of gather.
WENGERT_API Tensor ungather(Operand x, const Shape& shape, int axis, Operand index);
/// x with source's entries added (put in the place of x's) at index; where several meet in scatter, the last stays.
WENGERT_API Tensor scatter_add(Operand x, int axis, Operand index, Operand source);
WENGERT_API Tensor scatter(Operand x, int axis, Operand index, Operand source);
/// The entries of x where mask holds, in row-major order, as a vector; x and mask broadcast.
WENGERT_API Tensor masked_select(Operand x, Operand mask);
/// 1 at index, else 0, along a new last axis.  index [..] int64 -> [.., classes].
WENGERT_API Tensor one_hot(Operand index, std::int64_t classes, DType dtype = float32);
/// @}

/// Entries, and where along the axis they came from: int64. Entries receive their cotangent where they came from.
struct Indexed {
  Tensor values, indices;
};

/// @name Order along an axis. Equal entries stay in their order; NaN counts as largest.
/// @{
WENGERT_API Indexed sort(Operand x, int axis = -1, bool descending = false);
WENGERT_API Tensor argsort(Operand x, int axis = -1, bool descending = false);
/// The k largest (smallest), in order.
WENGERT_API Indexed topk(Operand x, std::int64_t k, int axis = -1, bool largest = true);
/// @}

/// @name Reduction. `axes` empty: all of them. Summation order depends on the shape only (docs/numerics.md).
/// @{
WENGERT_API Tensor sum(Operand x, const Shape& axes = {}, bool keep_dims = false);
WENGERT_API Tensor mean(Operand x, const Shape& axes = {}, bool keep_dims = false);
/// The sum that undoes broadcasting: x added up to `shape`.
WENGERT_API Tensor sum_to(Operand x, const Shape& shape);
/// Largest (smallest) along axes; the cotangent is shared evenly among ties.
WENGERT_API Tensor amax(Operand x, const Shape& axes = {}, bool keep_dims = false);
WENGERT_API Tensor amin(Operand x, const Shape& axes = {}, bool keep_dims = false);
/// Index of the first largest (smallest) along an axis, int64.
WENGERT_API Tensor argmax(Operand x, int axis = -1, bool keep_dims = false);
WENGERT_API Tensor argmin(Operand x, int axis = -1, bool keep_dims = false);
/// Largest (smallest) along one axis and where it is: the first of equal ones, which receives the whole cotangent.
WENGERT_API Indexed max_along(Operand x, int axis = -1, bool keep_dims = false);
WENGERT_API Indexed min_along(Operand x, int axis = -1, bool keep_dims = false);
/// sum((x - mean)^2) / (n - correction), in two passes. NaN when n <= correction.
WENGERT_API Tensor var(Operand x, const Shape& axes = {}, double correction = 1, bool keep_dims = false);
/// Its root; slope 0 where it is 0.
WENGERT_API Tensor stddev(Operand x, const Shape& axes = {}, double correction = 1, bool keep_dims = false);
/// Product. The derivative divides nothing: zeros are exact.
WENGERT_API Tensor prod(Operand x, const Shape& axes = {}, bool keep_dims = false);
/// (sum |x|^p)^(1/p). p = 0 counts what is not 0; p = inf (-inf) is the largest (smallest) |x|, with ties sharing the
/// cotangent. Slope 0 where the norm is 0, and for p < 1 where an entry is.
WENGERT_API Tensor norm(Operand x, double p = 2, const Shape& axes = {}, bool keep_dims = false);
/// @}

/// @name Running reductions along an axis; from its end when `reverse`
/// @{
WENGERT_API Tensor cumsum(Operand x, int axis, bool reverse = false);
/// The derivative divides nothing: zeros are exact.
WENGERT_API Tensor cumprod(Operand x, int axis, bool reverse = false);
/// log of the running sum of exp(x), without overflow.
WENGERT_API Tensor logcumsumexp(Operand x, int axis);
/// Largest (smallest) so far and where it was; of equal ones the last.
WENGERT_API Indexed cummax(Operand x, int axis);
WENGERT_API Indexed cummin(Operand x, int axis);
/// s_i = a_i s_(i-1) + b_i with s_0 = b_0: the linear recurrence that filters, running products and state-space layers
/// share. a and b of one shape.  vjp: a recurrence in the opposite direction.
WENGERT_API Tensor recurrence(Operand a, Operand b, int axis, bool reverse = false);
/// x_i - x_(i-1), n times over: the axis gets shorter by n.
WENGERT_API Tensor diff(Operand x, int n = 1, int axis = -1);
/// @}

/// @name Softmax, over one axis, with the largest entry subtracted first
/// @{
/// exp(x) / sum(exp(x)).  vjp: y (y_bar - sum(y_bar y)).
WENGERT_API Tensor softmax(Operand x, int axis = -1);
/// x - log(sum(exp(x))).  vjp: y_bar - exp(y) sum(y_bar).
WENGERT_API Tensor log_softmax(Operand x, int axis = -1);
/// log(sum(exp(x))).
WENGERT_API Tensor logsumexp(Operand x, int axis = -1, bool keep_dims = false);
WENGERT_API Tensor logsumexp(Operand x, const Shape& axes, bool keep_dims = false);
/// Mean over rows of -log_softmax(logits)[label], as one node.  logits [n, k], labels [n] int64 -> [].
/// vjp: (softmax(logits) - one_hot(labels)) y_bar / n.  ValueError naming row and label when one is not in [0, k).
WENGERT_API Tensor softmax_cross_entropy(Operand logits, Operand labels);
/// @}

/// @name Linear algebra
/// @{
/// Matrix product: [.., m, k] x [.., k, n] -> [.., m, n], leading axes broadcast; a vector [k] on either side is a row
/// or column that disappears.  ShapeError when the inner sizes differ.
WENGERT_API Tensor matmul(Operand x, Operand w);
/// x W^T + bias.  x [.., in], weight [out, in], bias [out] or undefined -> [.., out].
WENGERT_API Tensor linear(Operand x, Operand weight, Operand bias = {});
/// @}

/// @name Products of tensors
/// @{
/// Einstein's sum: operands' axes carry letters, and those that the result does not have are summed over: "ij,jk->ik",
/// "bij->bji", "ii->".
/// "..." stands for leading axes that broadcast. Without "->" the result has the letters that occur once, in
/// alphabetical order. Contracted two by two, the cheapest first, as matrix products.  ValueError for a formula,
/// ShapeError for sizes that do not fit.
WENGERT_API Tensor einsum(std::string_view formula, const std::vector<Tensor>& x, Where = Where::current());
/// Sum over pairs of axes: x's axes[k] with y's other_axes[k]; the axes left over of x, then those of y.
WENGERT_API Tensor tensordot(Operand x, Operand y, const Shape& axes, const Shape& other_axes);
/// x_i y_i summed, for vectors; x_i y_j.
WENGERT_API Tensor dot(Operand x, Operand y);
WENGERT_API Tensor outer(Operand x, Operand y);
/// Kronecker's product: blocks x_ij y; of any equal rank.
WENGERT_API Tensor kron(Operand x, Operand y);
/// x cross y along an axis of size three; broadcasting.
WENGERT_API Tensor cross(Operand x, Operand y, int axis = -1);
/// Sum of the diagonals of the last two axes.
WENGERT_API Tensor trace(Operand x);
/// a^n for square matrices; n < 0 inverts first.
WENGERT_API Tensor matrix_power(Operand a, int n);
/// a_1 a_2 ... a_n in the cheapest order; the first may be a row, the last a column vector.
WENGERT_API Tensor multi_dot(const std::vector<Tensor>& a, Where = Where::current());
/// norm(x_i - y_j, p) for all pairs of rows.  x [.., m, d], y [.., n, d] -> [.., m, n].
WENGERT_API Tensor cdist(Operand x, Operand y, double p = 2);
/// @}

/// @name Systems of equations and decompositions: the last two axes are matrices, those before them a batch. float32
/// and float64.
/// @{
/// a x = b.  a [.., n, n], b [.., n, k]; b is a vector when it is [n] or has the shape of a without the last axis.
/// b_bar = a^-T x_bar, a_bar = -b_bar x^T.  ValueError naming the matrix of the batch that is singular.
WENGERT_API Tensor solve(Operand a, Operand b);
struct TriangularOptions {
  bool upper = false;  ///< which half of a counts; the other is not looked at
  bool left = true;    ///< a x = b; otherwise x a = b
  bool unit = false;   ///< the diagonal counts as ones
};
WENGERT_API Tensor solve_triangular(Operand a, Operand b, TriangularOptions = {});
/// ValueError naming the matrix that is singular.
WENGERT_API Tensor inverse(Operand a);
/// Lower triangular l with a = l l^T, from the lower half of a; the gradient is symmetric.  ValueError unless a is
/// positive definite.
WENGERT_API Tensor cholesky(Operand a);
/// vjp: det a^-T; where a is singular its matrix of cofactors, from the singular values.
WENGERT_API Tensor det(Operand a);
struct SignedLog {
  Tensor sign, log_abs;
};
/// Sign (no derivative) and logarithm of |det a|.
WENGERT_API SignedLog slogdet(Operand a);
/// log(det a); NaN where it is negative.
WENGERT_API Tensor logdet(Operand a);
struct QR {
  Tensor q, r;
};
/// a [m, n] = q r with orthonormal columns of q [m, k] and r [k, n] upper triangular with a diagonal >= 0, k = min(m,
/// n).
WENGERT_API QR qr(Operand a);
struct SVD {
  Tensor u, s, vt;
};
/// a [m, n] = u diag(s) vt: u [m, k], s [k] descending, vt [k, n], k = min(m, n).  Derivatives of u and vt are finite
/// only where singular values differ.  ValueError for NaN or infinity.
WENGERT_API SVD svd(Operand a);
WENGERT_API Tensor svdvals(Operand a);
struct Eigen {
  Tensor values, vectors;
};
/// a = v diag(w) v^T for symmetric a, from its lower half; w ascending. The gradient is symmetric.
WENGERT_API Eigen eigh(Operand a);
WENGERT_API Tensor eigvalsh(Operand a);
/// @}

/// @name Normalisation. Gains and biases may be undefined. Variances divide by n and take two passes. ShapeError where
/// sizes do not fit.
/// @{
/// (x - mean) / sqrt(var + eps), with mean and variance over the axes.  vjp: r (y_bar - mean(y_bar) - y mean(y y_bar)),
/// r = 1 / sqrt(var + eps).
WENGERT_API Tensor standardize(Operand x, const Shape& axes, double eps = 1e-5);
/// standardize over the last axes, as many as gain has (one, if there is none), times gain, plus bias.  Ba, Kiros &
/// Hinton 2016.
WENGERT_API Tensor layer_norm(Operand x, Operand gain = {}, Operand bias = {}, double eps = 1e-5);
/// standardize over all axes but the channels, with gain and bias for each of them.  x [n, c, ...], gain [c], bias [c].
/// Ioffe & Szegedy 2015.
WENGERT_API Tensor batch_norm(Operand x, Operand gain, Operand bias, double eps = 1e-5);
/// The same with a mean and variance that were found before: (x - mean) / sqrt(var + eps) gain + bias.  mean [c], var
/// [c].
WENGERT_API Tensor batch_norm(Operand x, Operand gain, Operand bias, Operand mean, Operand var, double eps = 1e-5);
/// standardize within each of `groups` sets of neighbouring channels.  Wu & He 2018.
WENGERT_API Tensor group_norm(Operand x, std::int64_t groups, Operand gain, Operand bias, double eps = 1e-5);
/// standardize each channel of each entry over its spatial axes.
WENGERT_API Tensor instance_norm(Operand x, Operand gain, Operand bias, double eps = 1e-5);
/// x / sqrt(mean(x^2) + eps) gain, over the last axis.  Zhang & Sennrich 2019.
WENGERT_API Tensor rms_norm(Operand x, Operand gain, double eps = 1e-6);
/// x / (k + alpha mean(x^2))^beta, the mean over `size` channels around each, beyond the first and last of which there
/// are zeros. Krizhevsky, Sutskever & Hinton 2012.
WENGERT_API Tensor local_response_norm(Operand x, std::int64_t size, double alpha = 1e-4, double beta = 0.75,
                                       double k = 1);
/// x / max(norm(x, p), eps) along an axis.
WENGERT_API Tensor normalize(Operand x, double p = 2, int axis = -1, double eps = 1e-12);
/// @}

/// @name Distance and attention
/// @{
/// x . y / (max(|x|, eps) max(|y|, eps)) along an axis, which disappears; broadcasting.
WENGERT_API Tensor cosine_similarity(Operand x, Operand y, int axis = -1, double eps = 1e-8);
/// norm(x - y + eps, p) along the last axis; broadcasting.
WENGERT_API Tensor pairwise_distance(Operand x, Operand y, double p = 2, double eps = 1e-6, bool keep_dims = false);
/// Rows of weight [entries, size] by an index of any shape: [..] -> [.., size].  The row `padding` receives no
/// gradient.
WENGERT_API Tensor embedding(Operand weight, Operand index, std::optional<std::int64_t> padding = {});
/// Channels to space: [.., c factor^2, h, w] -> [.., c, h factor, w factor].  Shi et al. 2016.
WENGERT_API Tensor pixel_shuffle(Operand x, std::int64_t factor);

struct Attention {
  Tensor output, weights;
};
/// weights = softmax(query key^T / sqrt(size) + mask), output = weights value.  query [.., m, size], key [.., n, size],
/// value [.., n, k], mask [.., m, n] or undefined: numbers that are added, or bool (true: look). causal: entry i sees
/// entries 0..i only. Vaswani et al. 2017, eq. 1.
WENGERT_API Attention attention(Operand query, Operand key, Operand value, Operand mask = Tensor(),
                                bool causal = false);
/// @}

/// @name Images: [n, channels, spatial...] with one, two or three spatial axes; without n, a single image
/// @{
/// One entry for each spatial axis; a single entry is meant for all of them.
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

struct ConvTransposeOptions {
  Shape stride = {1}, padding = {0}, output_padding = {0}, dilation = {1};
  std::int64_t groups = 1;
};
/// The vjp of conv for its x, as an operator: every entry of x spreads a kernel over the result.
/// x [n, c, spatial...], weight [c, o / groups, kernel...], bias [o] or undefined -> [n, o, out...] with
///   out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.
/// output_padding lengthens the end of the result, to choose among the sizes that conv maps to the same one; it must be
/// smaller than the stride or the dilation: ValueError. ShapeError as for conv.
WENGERT_API Tensor conv_transpose(Operand x, Operand weight, Operand bias = {}, const ConvTransposeOptions& = {});

struct Conv2dOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
};
/// conv for images [n, c, h, w], with the same numbers for both axes.
WENGERT_API Tensor conv2d(Operand x, Operand weight, Operand bias = {}, Conv2dOptions = {});

/// The matrix that conv multiplies by: for each of `out...` positions, in row-major order, the entries that a kernel
/// sees there. x [n, c, spatial...] -> [n, c kernel, out], kernel and out multiplied together; a single image without n
/// as well.
struct UnfoldOptions {
  Shape stride = {1}, padding = {0}, dilation = {1};
};
WENGERT_API Tensor unfold(Operand x, const Shape& kernel, const UnfoldOptions& = {});
/// The transpose of unfold: every entry is added where it came from.  x [n, c kernel, out] -> [n, c, size...].
/// ShapeError when x is not what unfold makes of such an image.
WENGERT_API Tensor fold(Operand x, const Shape& size, const Shape& kernel, const UnfoldOptions& = {});
/// @}

/// @name Pooling and resampling, over the last one to three axes: [.., spatial...]
/// @{
struct MaxPoolOptions {
  Shape stride = {}, padding = {0}, dilation = {1};  ///< stride empty: the kernel
  bool ceil_mode = false;                            ///< a last window may reach beyond the input, if it begins inside
};
/// Largest of each window, one kernel size for each spatial axis; padding counts as -inf; NaN wins. The first of equal
/// entries receives the cotangent.  x [.., spatial...] -> [.., out...], out as for conv. ShapeError when a window is
/// larger than the padded input, ValueError when padding is larger than half of the kernel.
WENGERT_API Tensor max_pool(Operand x, const Shape& kernel, const MaxPoolOptions& = {});
/// max_pool for images [.., h, w] with the same numbers for both axes; stride 0 means kernel.
WENGERT_API Tensor max_pool2d(Operand x, std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0);

struct AvgPoolOptions {
  Shape stride = {}, padding = {0};
  bool ceil_mode = false;
  bool count_padding = true;  ///< the padding's zeros count in the mean; what ceil_mode adds beyond it does not
};
/// Mean of each window; shapes and errors as for max_pool.
WENGERT_API Tensor avg_pool(Operand x, const Shape& kernel, const AvgPoolOptions& = {});

/// Largest (mean) of windows chosen so that the result has this size: on each axis, entry o is made of those from
/// floor(o in / out) to ceil((o + 1) in / out).  x [.., spatial...] -> [.., size...].
WENGERT_API Tensor adaptive_max_pool(Operand x, const Shape& size);
WENGERT_API Tensor adaptive_avg_pool(Operand x, const Shape& size);

/// nearest: entry floor(o in / out). linear (bilinear, trilinear): straight lines between the nearest entries. cubic
/// (bicubic): Keys' polynomials with a = -3/4 through four. area: adaptive_avg_pool.
enum class Interpolation { nearest, linear, cubic, area };
struct InterpolateOptions {
  Interpolation mode = Interpolation::nearest;
  /// Entries are points, and the first and last keep their places; otherwise they are cells, and the corners of the
  /// image do.
  bool align_corners = false;
};
/// x [.., spatial...] -> [.., size...], each axis after the other. Beyond the edge the last entry repeats.
/// ValueError for a size below 1, and for aligned corners with nearest or area.
WENGERT_API Tensor interpolate(Operand x, const Shape& size, InterpolateOptions = {});
/// The same to size floor(in factor), with steps of 1 / factor where that is not a whole number.
WENGERT_API Tensor interpolate_by(Operand x, std::initializer_list<double> factors, InterpolateOptions = {});
WENGERT_API Tensor interpolate_by(Operand x, std::span<const double> factors, InterpolateOptions = {});
/// @}

}  // namespace wengert
