// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/gemm_tiles.h"

#include "wengert/autodiff/base/simd.h"

#include <utility>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

// The sums stay in registers; a step of k loads W registers of b and multiplies them with R numbers of a. Of the last
// register of each row only `last` numbers are there, unless the rows of b are `padded`.
template <class L, int R, int W, class T = typename L::Scalar>
void tile(std::int64_t k, const T* a, std::int64_t a_row, std::int64_t a_column, const T* b, std::int64_t b_row,
          bool padded, T* c, std::int64_t c_row, std::int64_t last, bool add, typename GemmTiles<T>::Bias bias) {
  using Batch = typename L::Batch;
  const First<T> first(last);
  const bool whole = last == L::width;
  const auto load = [&](const T* p, int w, bool all) {
    return w < W - 1 || all ? Batch::load_unaligned(p + w * L::width) : first.load(p + w * L::width, Batch(T(0)));
  };
  Batch sum[R][W];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w) sum[i][w] = Batch(T(0));
  for (std::int64_t p = 0; p < k; ++p, a += a_column, b += b_row) {
    Batch row[W];
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w) row[w] = load(b, w, padded || whole);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Batch x(a[i * a_row]);
#pragma GCC unroll 16
      for (int w = 0; w < W; ++w) sum[i][w] = xsimd::fma(x, row[w], sum[i][w]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w) {
      if (add) sum[i][w] = sum[i][w] + load(c + i * c_row, w, whole);
      if (bias.numbers) sum[i][w] = sum[i][w] + (bias.of_rows ? Batch(bias.numbers[i]) : load(bias.numbers, w, whole));
      T* to = c + i * c_row + w * L::width;
      if (w < W - 1 || whole) sum[i][w].store_unaligned(to);
      else first.store(to, sum[i][w]);
    }
}

template <class L, int R, int W, class T = typename L::Scalar>
void gathered(std::int64_t k, const T* a, std::int64_t a_row, const std::int64_t* offsets, const T* b, T* c,
              const T* start, std::int64_t start_row) {
  using Batch = typename L::Batch;
  constexpr std::int64_t width = W * L::width;
  Batch sum[R][W];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w)
      sum[i][w] = start ? Batch::load_unaligned(start + i * start_row + w * L::width) : Batch(T(0));
  for (std::int64_t p = 0; p < k; ++p, b += width) {
    const T* from = a + offsets[p];
    Batch row[W];
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w) row[w] = Batch::load_unaligned(b + w * L::width);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Batch x(from[i * a_row]);
#pragma GCC unroll 16
      for (int w = 0; w < W; ++w) sum[i][w] = xsimd::fma(x, row[w], sum[i][w]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int w = 0; w < W; ++w) sum[i][w].store_unaligned(c + i * width + w * L::width);
}

// R rows of a with S rows of b. A register holds partial sums of one product, added up at the end.
template <class L, int R, int S, class T = typename L::Scalar>
void dots(std::int64_t k, const T* a, std::int64_t a_row, const T* b, std::int64_t b_row, T* c, std::int64_t c_row,
          std::int64_t c_column, bool add) {
  using Batch = typename L::Batch;
  Batch sum[R][S];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < S; ++j) sum[i][j] = Batch(T(0));
  const auto step = [&](auto&& load, std::int64_t p) {
    Batch x[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) x[i] = load(a + i * a_row + p);
#pragma GCC unroll 16
    for (int j = 0; j < S; ++j) {
      const Batch y = load(b + j * b_row + p);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) sum[i][j] = xsimd::fma(x[i], y, sum[i][j]);
    }
  };
  std::int64_t p = 0;
  for (; p + L::width <= k; p += L::width) step([](const T* q) { return Batch::load_unaligned(q); }, p);
  if (p < k) step([first = First<T>(k - p)](const T* q) { return first.load(q, Batch(T(0))); }, p);
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < S; ++j) {
      T& to = c[i * c_row + j * c_column];
      to = (add ? to : T(0)) + detail::sum_of(sum[i][j]);
    }
}

template <class L, int R, class T = typename L::Scalar>
void sweep_rows(std::int64_t n, const T* a, std::int64_t a_step, const T* b, std::int64_t b_row, T* c, bool add) {
  using Batch = typename L::Batch;
  Batch x[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) x[r] = Batch(a[r * a_step]);
  const auto step = [&](auto&& load, std::int64_t j) {
    Batch sum = add ? load(c + j) : Batch(T(0));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum = xsimd::fma(x[r], load(b + r * b_row + j), sum);
    return sum;
  };
  std::int64_t j = 0;
  for (; j + L::width <= n; j += L::width)
    step([](const T* q) { return Batch::load_unaligned(q); }, j).store_unaligned(c + j);
  if (j == n) return;
  const First<T> first(n - j);
  first.store(c + j, step([first](const T* q) { return first.load(q, Batch(T(0))); }, j));
}

template <class L, class T = typename L::Scalar>
void sweep(std::int64_t n, std::int64_t k, const T* a, std::int64_t a_step, const T* b, std::int64_t b_row, T* c,
           bool add) {
  std::int64_t p = 0;
  for (; p + 8 <= k; p += 8) sweep_rows<L, 8>(n, a + p * a_step, a_step, b + p * b_row, b_row, c, add || p);
  for (; p + 2 <= k; p += 2) sweep_rows<L, 2>(n, a + p * a_step, a_step, b + p * b_row, b_row, c, add || p);
  for (; p < k; ++p) sweep_rows<L, 1>(n, a + p * a_step, a_step, b + p * b_row, b_row, c, add || p);
}

// Each sum needs a register; one more goes to a and one to each of those loaded from b. AVX-512 and ARM have 32, the
// others 16.
#if defined(WENGERT_SIMD_AVX512) || !defined(__x86_64__)
constexpr int rows = 8, wide = 3, dot_rows = 4, gathered_rows = 14, gathered_wide = 2;
#else
constexpr int rows = 6, wide = 2, dot_rows = 3, gathered_rows = 6, gathered_wide = 2;
#endif
constexpr bool masks = !std::is_same_v<Current, Baseline>;

template <class T>
constexpr GemmTiles<T> table() {
  using L = Lanes<T>;
  GemmTiles<T> t{};
  t.lanes = int(L::width), t.rows = rows, t.wide = wide, t.dot_rows = dot_rows, t.masks = masks;
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((t.tile[I / wide][I % wide] = tile<L, I / wide + 1, I % wide + 1>), ...);
  }(std::make_integer_sequence<int, rows * wide>());
  t.gathered_rows = gathered_rows, t.gathered_wide = gathered_wide;
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((t.gathered[I / gathered_wide][I % gathered_wide] = gathered<L, I / gathered_wide + 1, I % gathered_wide + 1>),
     ...);
  }(std::make_integer_sequence<int, gathered_rows * gathered_wide>());
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((t.dots[I / 4][I % 4] = dots<L, I / 4 + 1, I % 4 + 1>), ...);
  }(std::make_integer_sequence<int, dot_rows * 4>());
  t.sweep = sweep<L>;
  return t;
}

}  // namespace

template <class T, class Arch>
const GemmTiles<T>& gemm_tiles() {
  static constexpr GemmTiles<T> tiles = table<T>();
  return tiles;
}
template const GemmTiles<float>& gemm_tiles<float, Current>();
template const GemmTiles<double>& gemm_tiles<double, Current>();

}  // namespace wengert::kernels
