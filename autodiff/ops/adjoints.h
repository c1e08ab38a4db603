#pragma once

// Internal: adjoints of operators of ops.h, which rules are written with, and the operators that losses are made of.
// All are differentiable any number of times, like those of ops.h.

#include "wengert/autodiff/tape/tensor.h"

namespace wengert::detail {

/// x inside zeros of this shape, at start, start + step, ... of the axis: the adjoint of slice.
WENGERT_API Tensor unslice(Operand x, const Shape& shape, int axis, std::int64_t start, std::int64_t step);
/// Matrices [rows, columns] of zeros with the last axis of x on a diagonal: the adjoint of diagonal.
WENGERT_API Tensor undiagonal(Operand x, std::int64_t offset, std::int64_t rows, std::int64_t columns);
/// Zeros of this shape with x's entries added at index along the axis, in order: the adjoint of index_select.  index
/// [m]. Errors call it index_add.
WENGERT_API Tensor unselect(Operand x, const Shape& shape, int axis, Operand index);
/// Zeros of this shape with x's entries added at index along the axis, in order: the adjoint of gather. Errors call it
/// `op`.
WENGERT_API Tensor ungather(Operand x, const Shape& shape, int axis, Operand index, std::string_view op = "ungather");
/// x[i, index[i]].  x [n, k], index [n] -> [n].
WENGERT_API Tensor pick(Operand x, Operand index);
/// [n, k] with x[i] at index[i], else zero: the adjoint of pick.  x [n], index [n].
WENGERT_API Tensor unpick(Operand x, Operand index, std::int64_t k);
/// The mean over rows of -log_softmax(logits)[label], as one node.  logits [n, k], labels [n] int64 -> [].
/// vjp: (softmax(logits) - one_hot(labels)) y_bar / n.  ValueError naming row and label when one is not in [0, k).
WENGERT_API Tensor cross_entropy(Operand logits, Operand labels);

}  // namespace wengert::detail
