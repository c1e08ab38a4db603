#pragma once

// Internal: batches of matrices on the last two axes.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"

namespace wengert::detail {

/// The shape without the last two axes.
inline Shape batch_before(const Shape& s) {
  return Shape(std::span(s.begin(), static_cast<std::size_t>(s.rank() - 2)));
}
/// The shape with axes added at the end.
inline Shape with(Shape batch, std::initializer_list<std::int64_t> last) {
  for (auto n : last) batch.push_back(n);
  return batch;
}

/// TypeError unless a is float, ShapeError unless it has two axes.
inline void needs_matrices(std::string_view op, Operand a) {
  needs_float(op, a);
  if (a->rank() < 2) [[unlikely]]
    fail<ShapeError>(a.where(), "{}: needs matrices [.., m, n], got {}", op, a->shape());
}
/// TypeError unless a is float, ShapeError unless its last two axes are equal.
inline void needs_square(std::string_view op, Operand a) {
  needs_matrices(op, a);
  if (a->size(-1) != a->size(-2)) [[unlikely]]
    fail<ShapeError>(a.where(), "{}: needs square matrices, got {}", op, a->shape());
}

/// For an error about matrix i of a batch: "" if there is one matrix, else " number 3 of the batch".
inline std::string which(const Shape& s, std::int64_t i) {
  return s.rank() > 2 ? fmt::format(" number {} of the batch", i) : std::string();
}

}  // namespace wengert::detail
