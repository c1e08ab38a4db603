#pragma once

// Internal: reads the axes that users write, and passes on the source location of their call.

#include "wengert/autodiff/tape/tensor.h"

#include <string_view>

namespace wengert::detail {

/// Gives operators inside a composite operator the source location of the user's call: `by(sub(by(y), by(x)))`.
struct CalledBy {
  Where where;
  explicit CalledBy(const Operand& x) : where(x.where()) {}
  explicit CalledBy(Where w) : where(w) {}
  Operand operator()(const Tensor& t) const { return Operand(t, where); }
};

/// The axis as 0 <= axis < rank; negative axes count from the end. ValueError naming the operator and the range.
int axis_of(std::string_view op, Operand x, int axis);

/// A bit for each axis in the list; an empty list means all. ValueError when an axis is named twice.
std::uint32_t axes_of(std::string_view op, Operand x, const Shape& axes);

/// The shape without (or with size one at) the axes of the mask.
Shape reduced_shape(const Shape& shape, std::uint32_t axes, bool keep_dims);

/// The axes outside the mask first, those of the mask joined to one at the end: [kept..., n].
Tensor joined(const Tensor& x, std::uint32_t axes, const CalledBy& by);

/// A reduction as that of one matrix. Permuted to `order` (kept axes first) it reduces the rows of [outer, inner].
/// Where the reduced axes lead in a row-major tensor, it reduces the columns of [inner, outer], without a permuted
/// copy.
struct ReductionPlan {
  Shape order;
  bool leading;
  std::int64_t outer, inner;
};
ReductionPlan plan_reduction(const Shape& shape, bool row_major, std::uint32_t axes);

/// The products of the sizes before and after an axis: a row-major tensor seen as [outer, n, inner].
struct Around {
  std::int64_t outer = 1, n = 1, inner = 1;
  Around(const Shape& s, int axis) {
    for (int i = 0; i < s.rank(); ++i) (i < axis ? outer : i == axis ? n : inner) *= s[i];
  }
};

/// TypeError unless x is float32 or float64.
void needs_float(std::string_view op, Operand x);

/// For every entry of the last axis the product of all other entries, without a division.
Tensor product_of_others(const Tensor& x);

/// The common shape of two operands of equal dtype. ShapeError, TypeError.
Shape broadcast(std::string_view op, Operand x, Operand y);

}  // namespace wengert::detail
