#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

enum class Reduction { sum, max, min };

/// One number from each row of n, and one row from many; by Reduction.
template <class T>
struct FoldLoops {
  void (*fold[3])(std::int64_t rows, std::int64_t n, const T* x, T* y);
  // Four rows that are `step` numbers apart, all at once: memory is faster where it is read at several places.
  void (*fold_apart[3])(std::int64_t step, std::int64_t n, const T* x, T* y);
  void (*join[3])(std::int64_t rows, std::int64_t n, const T* x, T* y);  // y = y with each row of x, entry by entry
};

/// Of float, double and std::int64_t, compiled for each instruction set.
template <class T, class Arch>
const FoldLoops<T>* fold_loops();

}  // namespace wengert::kernels
