#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// Row i of `order` lists the columns of row i of x [rows, columns] in ascending (descending) order, `keep` of them.
/// Equal entries stay in their order; NaN counts as larger than every number.
void order_rows(DType, std::int64_t rows, std::int64_t columns, std::int64_t keep, bool descending, const void* x,
                std::int64_t* order);

/// y[o, j, i] = x[o, index[o, j, i], i] for index [outer, m, inner] into x [outer, n, inner].
void gather_along(std::size_t element, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                  const std::int64_t* index, const void* x, void* y);
/// y[o, index[o, j, i], i] += x[o, j, i], in the order of j. float32, float64, int64.
void scatter_along(DType, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                   const std::int64_t* index, const void* x, void* y);

}  // namespace wengert::kernels
