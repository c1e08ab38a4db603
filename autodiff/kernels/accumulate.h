#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// into[i] += more[i], both row-major, for float32, float64 and int64.
void accumulate(DType, std::int64_t n, void* into, const void* more);

}  // namespace wengert::kernels
