#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/windows.h"

namespace wengert::kernels {

/// Where the maxima were: opaque to callers, who only keep so many bytes. One for each window of 2 x 2 without padding
/// or overlap (which of the four), else an int32 (the offset in the plane; -1 where a window lies in the padding
/// altogether).
std::size_t index_bytes(const Windows&);

// For each of `planes`, row-major [in] and [out]; float32 and float64.

/// y = largest of each window. The first of equal ones wins, NaN wins. index may be null.
void max_pool(DType, const Windows&, std::int64_t planes, const void* x, void* y, void* index);
/// The same for windows from floor(o in / out) to ceil((o + 1) in / out) on each axis.
void adaptive_max_pool(DType, const Windows&, std::int64_t planes, const void* x, void* y, std::int32_t* index);
/// y[p, i] = x[p, index[p, i]].
void pool_gather(DType, const Windows&, std::int64_t planes, const void* index, const void* x, void* y);
/// Its transpose: x is zero but for the sums of y over the windows that name an entry.
void pool_scatter(DType, const Windows&, std::int64_t planes, const void* index, const void* y, void* x);

}  // namespace wengert::kernels
