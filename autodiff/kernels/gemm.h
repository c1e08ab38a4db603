#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// A matrix anywhere in memory, or a batch of them. Strides are in elements: element (i, j) of entry b is
/// data[i * row + j * column + sum(b * batch)]. A transposed matrix has its strides swapped.
struct Matrix {
  const void* data = nullptr;
  std::int64_t row = 0, column = 1;
  Shape batch = {};
};

/// C = A B, for each entry of a batch. float32 and float64. Rows of C are consecutive numbers, `row` apart from each
/// other.
struct Gemm {
  DType dtype = float32;
  std::int64_t m = 0, n = 0, k = 0;  // A [m, k], B [k, n], C [m, n]
  Matrix a, b;
  void* c = nullptr;
  std::int64_t row = 0;
  Shape c_batch = {};          // strides, like those of a and b
  Shape batch = {};            // how many entries
  const void* bias = nullptr;  // [n], added to every row, unless null
  bool bias_of_rows = false;   // [m], added to every column
  bool accumulate = false;     // C += A B
};

/// The bits of C depend on shapes and strides, never on the number of threads.
void gemm(const Gemm&);

/// One product, all on the calling thread: for kernels whose own parts are the threads' work. Each matrix has a stride
/// of one.
void gemm_here(const Gemm&);

}  // namespace wengert::kernels
