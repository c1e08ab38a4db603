#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// Row-major arrays seen as [outer, n, inner]: y[o, i, :] = x[o, index[i], :].  x has n entries along the axis, y has
/// m.
void index_select(std::size_t element, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                  const std::int64_t* index, const void* x, void* y);
/// y[o, index[i], :] += x[o, i, :], in the order of i.  x has m entries along the axis, y has n. float32, float64,
/// int64.
void index_add(DType, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner, const std::int64_t* index,
               const void* x, void* y);

}  // namespace wengert::kernels
