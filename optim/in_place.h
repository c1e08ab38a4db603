#pragma once

// Internal: changing a parameter and what an optimizer remembers of it.

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

namespace wengert::optim::detail {

/// Numbers that may be overwritten, row-major. Those of a leaf are changed where they are; others are copied first if
/// another handle sees them.
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
