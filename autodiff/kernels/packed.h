#pragma once

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/kernels/gemm_tiles.h"
#include "wengert/autodiff/kernels/scratch.h"

namespace wengert::kernels {

/// A matrix B [k, n] in the order that tiles read, for many products of a few rows each. float and double.
template <class T>
class Packed {
 public:
  /// Element (i, j) is b[i * row + j * column]; one of the strides is 1.
  Packed(std::int64_t k, std::int64_t n, const T* b, std::int64_t row, std::int64_t column);
  /// c [m, n] = a [m, k] B, plus c if `add`, on the calling thread. Rows of a and c are consecutive numbers.
  void multiply(std::int64_t m, const T* a, std::int64_t a_row, T* c, std::int64_t c_row, bool add) const;

 private:
  std::int64_t k_, n_;
  const GemmTiles<T>& t_ = best_tiles<T>();
  Cut slivers_;
  Scratch<T> b_;
};

}  // namespace wengert::kernels
