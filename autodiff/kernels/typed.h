#pragma once

// Internal: from a dtype to a type.

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// Calls f(T()) with the floating-point type T of the dtype.
template <class F>
void with_type(DType dtype, F&& f) {
  if (dtype == float32) f(float());
  else f(double());
}
template <class T>
const T* in_as(const void* p) {
  return static_cast<const T*>(p);
}

}  // namespace wengert::kernels
