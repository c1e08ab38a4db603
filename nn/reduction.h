#pragma once

// Internal: checks and reductions common to all losses.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/nn/losses.h"

#include <algorithm>

namespace wengert::nn {

using wengert::detail::CalledBy;
using wengert::detail::needs_float;

/// ShapeError unless both have the same shape, TypeError unless both have the same floating dtype.
inline void same_shape(std::string_view loss, Operand x, Operand target) {
  needs_float(loss, x);
  if (!(x->shape() == target->shape()))
    fail<ShapeError>(x.where(), "{}: shapes differ: {} and {}; losses do not broadcast: reshape or expand one of them",
                     loss, x->shape(), target->shape());
  if (x->dtype() != target->dtype())
    fail<TypeError>(x.where(), "{}: dtypes differ: {} and {}; convert one with to()", loss, x->dtype(),
                    target->dtype());
}

/// ShapeError, TypeError unless logits are [n, classes] and labels int64 [n].
inline void check_rows(const char* what, Operand logits, Operand labels) {
  if (logits->rank() != 2 || labels->rank() != 1 || logits->shape()[0] != labels->shape()[0])
    fail<ShapeError>(logits.where(), "{}: needs logits [n, classes] and labels [n], got {} and {}", what,
                     logits->shape(), labels->shape());
  if (labels->dtype() != int64)
    fail<TypeError>(logits.where(), "{}: labels must be int64 class indices, got {}; convert with to(labels, int64)",
                    what, labels->dtype());
}

/// Reduces `each`. ShapeError for a mean over no elements.
inline Tensor reduced(std::string_view loss, const Tensor& each, Reduction how, const CalledBy& by) {
  if (how == Reduction::none) return each;
  if (how == Reduction::sum) return sum(by(each));
  if (!each.numel())
    fail<ShapeError>(by.where, "{}: there is no mean over no elements, in shape {}", loss, each.shape());
  if (how == Reduction::mean || each.rank() == 0) return mean(by(each));
  return affine(by(sum(by(each))), 1.0 / static_cast<double>(each.shape()[0]), 0);
}

/// max(x, 0).
inline Tensor positive(const Tensor& x, const CalledBy& by) { return relu(by(x)); }

}  // namespace wengert::nn
