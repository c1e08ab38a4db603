#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// Products so small that the result stays in registers, compiled for each instruction set.
template <class T>
struct GemmTiles {
  static constexpr int max_rows = 8, max_wide = 3, max_dots = 4;

  int lanes;       // numbers in a register
  int rows, wide;  // the largest tile: rows times registers
  bool masks;      // can part of a register be read as fast as all of it?
  int dot_rows;    // the largest block of dot products: dot_rows times max_dots

  // A number for each row of c or, along a row, for each column; or none.
  struct Bias {
    const T* numbers = nullptr;
    bool of_rows = false;
  };

  // c [r, n] = a [r, k] b [k, n], plus c if `add`, plus the bias, for the n = (w - 1) lanes + last columns that take w
  // registers. The rows of b and c are consecutive numbers; those of b are `padded` when w lanes of each may be read.
  using Tile = void (*)(std::int64_t k, const T* a, std::int64_t a_row, std::int64_t a_column, const T* b,
                        std::int64_t b_row, bool padded, T* c, std::int64_t c_row, std::int64_t last, bool add,
                        Bias bias);
  Tile tile[max_rows][max_wide];  // [r - 1][w - 1]

  // The same for whole registers, with the numbers of step p at a[i a_row + offsets[p]]; the rows of b and c follow
  // each other, and sums begin with those of `start`, unless null, whose rows are start_row apart. Such a tile is high
  // rather than wide: b comes from the second cache, a from the first.
  static constexpr int max_gathered_rows = 14, max_gathered_wide = 2;
  int gathered_rows, gathered_wide;
  using Gathered = void (*)(std::int64_t k, const T* a, std::int64_t a_row, const std::int64_t* offsets, const T* b,
                            T* c, const T* start, std::int64_t start_row);
  Gathered gathered[max_gathered_rows][max_gathered_wide];  // [r - 1][w - 1]

  // c[i, j] = <row i of a, row j of b>, plus c if `add`.  The rows, of length k, are consecutive numbers.
  using Dots = void (*)(std::int64_t k, const T* a, std::int64_t a_row, const T* b, std::int64_t b_row, T* c,
                        std::int64_t c_row, std::int64_t c_column, bool add);
  Dots dots[max_dots][max_dots];  // [rows of a - 1][rows of b - 1]

  // c [n] = a [k] b [k, n], plus c if `add`, a few rows of b at a time.
  void (*sweep)(std::int64_t n, std::int64_t k, const T* a, std::int64_t a_step, const T* b, std::int64_t b_row, T* c,
                bool add);
};

template <class T, class Arch>
const GemmTiles<T>& gemm_tiles();

/// Those for the instruction set in use.
template <class T>
const GemmTiles<T>& best_tiles() {
  static const GemmTiles<T>& best = dispatch([]<class Arch>() -> const GemmTiles<T>& { return gemm_tiles<T, Arch>(); });
  return best;
}

}  // namespace wengert::kernels
