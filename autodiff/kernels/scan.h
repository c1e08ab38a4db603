#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// Row-major arrays seen as [outer, n, inner], walked along the middle axis, from its end when `reverse`.
struct Walked {
  std::int64_t outer = 1, n = 1, inner = 1;
  bool reverse = false;
};

/// Running sums of x: float32 and float64 (added up in double), int64.
void running_sum(DType, Walked, const void* x, void* y);
/// y[j] = a[j] y[j - 1] + b[j]; a of the first entry is not looked at. float32 and float64 (carried in double).
void recurrence(DType, Walked, const void* a, const void* b, void* y);
/// Running products of x. float32, float64 (carried in double), int64.
void running_product(DType, Walked, const void* x, void* y);
/// log of the running sums of exp(x), with the largest so far taken out. float32 and float64.
void running_logsumexp(DType, Walked, const void* x, void* y);
/// Index of the largest (smallest) entry so far; of equal ones the last; a NaN stays. float32, float64, int64.
void running_extreme(DType, Walked, bool largest, const void* x, std::int64_t* index);

}  // namespace wengert::kernels
