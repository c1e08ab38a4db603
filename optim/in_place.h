#pragma once

// Internal: writing to a parameter and to its optimizer state.

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

namespace wengert::optim::detail {

/// Contiguous data that may be overwritten. The data of a leaf is written in place; other data is copied first if
/// another handle refers to it.
inline void* own(Tensor& t, Where where) {
  using wengert::detail::Access;
  const auto* body = Access::body(t);
  if (!t.tracked() && (!body->unique() || body->owner || !body->contiguous())) t = clone(t);
  auto& holder = Access::body(t)->holder();
  ++holder.version;
  holder.changed = where;
  return Access::body(t)->data();
}

}  // namespace wengert::optim::detail
