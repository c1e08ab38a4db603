#include "wengert/autodiff/kernels/reduce.h"

#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/parallel.h"

#include <algorithm>
#include <limits>
#include <memory>

namespace wengert::kernels {
namespace {

template <class T>
struct Plus {
  static constexpr T start = 0;
  static T join(T a, T b) { return a + b; }
};
template <class T>
struct Largest {
  static constexpr T start =
      std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  static T join(T a, T b) { return a > b || a != a ? a : b; }
};
template <class T>
struct Smallest {
  static constexpr T start =
      std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  static T join(T a, T b) { return a < b || a != a ? a : b; }
};

// Sixteen running values hide the latency of the additions; above `leaf` entries halves are joined, so that the error
// of a sum grows with the logarithm of its length (pairwise summation).
constexpr std::int64_t leaf = 1024;

template <class R, class T>
T fold(const T* x, std::int64_t n) {
  if (n > leaf) {
    const std::int64_t half = (n / 2 + 15) / 16 * 16;
    return R::join(fold<R>(x, half), fold<R>(x + half, n - half));
  }
  T lane[16];
  std::fill_n(lane, 16, R::start);
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 16; ++k) lane[k] = R::join(lane[k], x[i + k]);
  for (int k = 0; i < n; ++i, ++k) lane[k] = R::join(lane[k], x[i]);
  for (int width = 8; width; width /= 2)
    for (int k = 0; k < width; ++k) lane[k] = R::join(lane[k], lane[k + width]);
  return lane[0];
}

template <class R, class T>
void rows_as(std::int64_t rows, std::int64_t columns, const T* x, T* y) {
  if (rows == 1 && columns > 2 * grain_elements) {  // one long row: its pieces in parallel, then joined in order
    const std::int64_t pieces = (columns + grain_elements - 1) / grain_elements;
    const Scratch<T> part(pieces);
    parallel_for(columns, grain_elements,
                 [&](std::int64_t b, std::int64_t e) { part[b / grain_elements] = fold<R>(x + b, e - b); });
    *y = fold<R>(static_cast<const T*>(part), pieces);
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, columns));
  parallel_for(rows, grain, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t i = b; i < e; ++i) y[i] = fold<R>(x + i * columns, columns);
  });
}

// Rows of one band are added one after the other into a row of results; bands are joined in order.
template <class R, class T>
void columns_as(std::int64_t rows, std::int64_t columns, const T* x, T* y) {
  if (columns == 1) return rows_as<R>(1, rows, x, y);
  constexpr std::int64_t band = 256;
  const std::int64_t bands = std::max<std::int64_t>(1, (rows + band - 1) / band);
  const Scratch<T> part(bands > 1 ? bands * columns : 1);
  T* sums = bands > 1 ? static_cast<T*>(part) : y;
  auto one_band = [&](std::int64_t k) {
    T* __restrict to = sums + k * columns;
    std::fill_n(to, columns, R::start);
    for (std::int64_t i = k * band; i < std::min(rows, (k + 1) * band); ++i) {
      const T* __restrict row = x + i * columns;
      for (std::int64_t j = 0; j < columns; ++j) to[j] = R::join(to[j], row[j]);
    }
  };
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / (band * columns));
  parallel_for(bands, grain, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t k = b; k < e; ++k) one_band(k);
  });
  if (bands == 1) return;
  std::copy_n(sums, columns, y);
  for (std::int64_t k = 1; k < bands; ++k)
    for (std::int64_t j = 0; j < columns; ++j) y[j] = R::join(y[j], sums[k * columns + j]);
}

template <template <class> class R, class T>
void run(bool by_rows, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  if (by_rows) rows_as<R<T>>(rows, columns, static_cast<const T*>(x), static_cast<T*>(y));
  else columns_as<R<T>>(rows, columns, static_cast<const T*>(x), static_cast<T*>(y));
}
template <template <class> class R>
void run(DType dtype, bool by_rows, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  if (dtype == float32) run<R, float>(by_rows, rows, columns, x, y);
  else if (dtype == float64) run<R, double>(by_rows, rows, columns, x, y);
  else run<R, std::int64_t>(by_rows, rows, columns, x, y);
}
void run(Reduction what, DType dtype, bool by_rows, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  if (what == Reduction::sum) run<Plus>(dtype, by_rows, rows, columns, x, y);
  else if (what == Reduction::max) run<Largest>(dtype, by_rows, rows, columns, x, y);
  else run<Smallest>(dtype, by_rows, rows, columns, x, y);
}

template <class T>
void extreme_as(bool largest, std::int64_t rows, std::int64_t columns, const void* from, std::int64_t* y) {
  const T* x = static_cast<const T*>(from);
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, columns));
  parallel_for(rows, grain, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t i = b; i < e; ++i) {
      const T* row = x + i * columns;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < columns; ++j)
        if ((largest ? row[j] > row[best] : row[j] < row[best]) || (row[j] != row[j] && row[best] == row[best]))
          best = j;
      y[i] = best;
    }
  });
}

}  // namespace

void reduce_rows(Reduction what, DType dtype, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  run(what, dtype, true, rows, columns, x, y);
}
void reduce_columns(Reduction what, DType dtype, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  run(what, dtype, false, rows, columns, x, y);
}
void index_of_extreme_rows(DType dtype, bool largest, std::int64_t rows, std::int64_t columns, const void* x,
                           std::int64_t* y) {
  if (dtype == float32) extreme_as<float>(largest, rows, columns, x, y);
  else if (dtype == float64) extreme_as<double>(largest, rows, columns, x, y);
  else if (dtype == int64) extreme_as<std::int64_t>(largest, rows, columns, x, y);
  else extreme_as<bool>(largest, rows, columns, x, y);
}

}  // namespace wengert::kernels
