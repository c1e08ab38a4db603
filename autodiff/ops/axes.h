#pragma once

// Internal: axes as users write them, and the place of their call.

#include "wengert/autodiff/tape/tensor.h"

#include <string_view>

namespace wengert {

/// Files the operators inside a composite one under the user's call: `by(sub(by(y), by(x)))`.
struct CalledBy {
  Where where;
  explicit CalledBy(const Operand& x) : where(x.where()) {}
  explicit CalledBy(Where w) : where(w) {}
  Operand operator()(const Tensor& t) const { return Operand(t, where); }
};

/// 0 <= axis < rank; negative axes count from the end. ValueError naming the operator.
int axis_of(std::string_view op, Operand x, int axis);

/// Which axes are meant: a bit for each; none named means all. Naming one twice is a ValueError.
std::uint32_t axes_of(std::string_view op, Operand x, const Shape& axes);

/// The shape without (or with size one at) the axes of the mask.
Shape reduced_shape(const Shape& shape, std::uint32_t axes, bool keep_dims);

/// A reduction as that of one matrix: of rows [outer, inner] once the axes are in `order` (kept ones first), or, where
/// the reduced ones lead in a row-major tensor, of the columns of [inner, outer], without moving anything.
struct ReductionPlan {
  Shape order;
  bool leading;
  std::int64_t outer, inner;
};
ReductionPlan plan_reduction(const Shape& shape, bool row_major, std::uint32_t axes);

/// Sizes before and after an axis, multiplied up: row-major numbers seen as [outer, n, inner].
struct Around {
  std::int64_t outer = 1, n = 1, inner = 1;
  Around(const Shape& s, int axis) {
    for (int i = 0; i < s.rank(); ++i) (i < axis ? outer : i == axis ? n : inner) *= s[i];
  }
};

/// TypeError unless x is float32 or float64.
void needs_float(std::string_view op, Operand x);

/// For every entry of the last axis the product of all others, without a division.
Tensor product_of_others(const Tensor& x);

namespace detail {
/// The common shape of two operands of equal dtype. ShapeError, TypeError.
Shape broadcast(std::string_view op, Operand x, Operand y);
}  // namespace detail

}  // namespace wengert
