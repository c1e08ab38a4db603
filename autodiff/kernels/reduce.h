#pragma once

#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/kernels/fold_loops.h"

namespace wengert::kernels {

/// y[i] = reduction of row i of the row-major matrix x [rows, columns]; float32, float64, int64. A NaN wins a max or
/// min. Sums are split by a tree that depends on the shape only.
void reduce_rows(Reduction, DType, std::int64_t rows, std::int64_t columns, const void* x, void* y);
/// y[j] = reduction of column j of x [rows, columns].
void reduce_columns(Reduction, DType, std::int64_t rows, std::int64_t columns, const void* x, void* y);
/// Sums of the rows (columns) of what a loop makes of its operands, which lives in the cache only: the same bits as
/// storing it first. `shape` has rows * columns elements.
void sum_rows_made(Loop, const void* op, DType, const Shape& shape, const Operand* in, int in_count, std::int64_t rows,
                   std::int64_t columns, void* y);
void sum_columns_made(Loop, const void* op, DType, const Shape& shape, const Operand* in, int in_count,
                      std::int64_t rows, std::int64_t columns, void* y);
/// Index of the first largest (smallest) entry of each row; a NaN wins.
void index_of_extreme_rows(DType, bool largest, std::int64_t rows, std::int64_t columns, const void* x,
                           std::int64_t* y);

}  // namespace wengert::kernels
