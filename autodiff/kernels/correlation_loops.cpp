#include "wengert/autodiff/kernels/correlation_loops.h"

#include "wengert/autodiff/base/simd.h"

#include <algorithm>
#include <utility>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

template <class L>
typename L::Mask numbers_before(std::int64_t n) {
  alignas(64) typename L::Scalar place[L::width];
  for (std::int64_t i = 0; i < L::width; ++i) place[i] = static_cast<typename L::Scalar>(i);
  return L::load(place) < L(static_cast<typename L::Scalar>(n));
}

// From the first to the last.
template <class L>
typename L::Scalar sum_of(L x) {
  alignas(64) typename L::Scalar place[L::width], sum = 0;
  x.store(place);
  for (const auto v : place) sum += v;
  return sum;
}

// --- windows of any kind ---

// R lines by W registers. Lines that overlap are next to each other in the cache, and their sums do not wait for each
// other.
template <int R, int W, class L, class T = typename L::Scalar, class Load, class Store>
void correlate_block(const T* x, std::int64_t x_step, const std::int64_t* at, const T* w, std::int64_t taps,
                     Load&& load, Store&& store) {
  L sum[R][W];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < W; ++k) sum[r][k] = load(r, k);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const L weight(w[tap]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int k = 0; k < W; ++k)
        sum[r][k] = xsimd::fma(weight.v, L::load(x + r * x_step + at[tap] + k * L::width).v, sum[r][k].v);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < W; ++k) store(r, k, sum[r][k]);
}

template <int R, class T>
void correlate_lines(const T* x, std::int64_t x_step, const std::int64_t* at, const T* w, std::int64_t taps,
                     std::int64_t n, const T* start, T* y, std::int64_t y_step) {
  using L = Lanes<T>;
  constexpr std::int64_t width = L::width;
  const L first(start ? *start : T(0));
  std::int64_t i = 0;
  const auto block = [&]<int W>(std::integral_constant<int, W>) {
    const auto place = [&](int r, int k) { return y + r * y_step + i + k * width; };
    correlate_block<R, W, L>(
        x + i, x_step, at, w, taps, [&](int r, int k) { return start ? first : L::load(place(r, k)); },
        [&](int r, int k, L sum) { sum.store(place(r, k)); });
  };
  for (; i + 2 * width <= n; i += 2 * width) block(std::integral_constant<int, 2>());
  for (; i + width <= n; i += width) block(std::integral_constant<int, 1>());
  if (i == n) return;
  const First<T> rest(n - i);
  correlate_block<R, 1, L>(
      x + i, x_step, at, w, taps, [&](int r, int) { return start ? first : L(rest.load(y + r * y_step + i, first.v)); },
      [&](int r, int, L sum) { rest.store(y + r * y_step + i, sum.v); });
}
template <class T>
void correlate(const T* x, std::int64_t x_step, const std::int64_t* at, const T* w, std::int64_t taps,
               std::int64_t lines, std::int64_t n, const T* start, T* y, std::int64_t y_step) {
  constexpr std::int64_t some = 4;
  for (; lines >= some; lines -= some, x += some * x_step, y += some * y_step)
    correlate_lines<some>(x, x_step, at, w, taps, n, start, y, y_step);
  for (; lines > 0; --lines, x += x_step, y += y_step) correlate_lines<1>(x, x_step, at, w, taps, n, start, y, y_step);
}

template <class T>
void scatter(const T* __restrict y, std::int64_t y_step, const std::int64_t* at, const T* w, std::int64_t taps,
             std::int64_t lines, std::int64_t n, T* __restrict x, std::int64_t x_step) {
  for (; lines > 0; --lines, x += x_step, y += y_step)
    for (std::int64_t k = 0; k < taps; ++k) {
      T* __restrict to = x + at[k];
      const T wk = w[k];
      for (std::int64_t i = 0; i < n; ++i) to[i] += wk * y[i];
    }
}

// `count` entries of the kernel together: their sums stay in registers. What lies beyond a line is not multiplied by
// zero but left out, since it may be infinite.
template <int count, class T>
void correlate_some(const T* x, std::int64_t x_step, const std::int64_t* at, const T* y, std::int64_t y_step,
                    std::int64_t lines, std::int64_t n, T* w) {
  using L = Lanes<T>;
  constexpr std::int64_t width = L::width;
  const std::int64_t whole = n / width * width;
  const auto inside = numbers_before<L>(n - whole);
  L sum[count];
  for (L& s : sum) s = L(T(0));
  for (; lines > 0; --lines, x += x_step, y += y_step) {
    for (std::int64_t i = 0; i < whole; i += width) {
      const L g = L::load(y + i);
      for (int k = 0; k < count; ++k) sum[k] = xsimd::fma(g.v, L::load(x + at[k] + i).v, sum[k].v);
    }
    if (whole == n) continue;
    const L g = select(inside, L::load(y + whole), L(T(0)));
    for (int k = 0; k < count; ++k)
      sum[k] = xsimd::fma(g.v, select(inside, L::load(x + at[k] + whole), L(T(0))).v, sum[k].v);
  }
  for (int k = 0; k < count; ++k) w[k] += sum_of(sum[k]);
}
template <class T>
void correlate_weights(const T* x, std::int64_t x_step, const std::int64_t* at, std::int64_t taps, const T* y,
                       std::int64_t y_step, std::int64_t lines, std::int64_t n, T* w) {
  std::int64_t k = 0;
  for (; k + 9 <= taps; k += 9) correlate_some<9>(x, x_step, at + k, y, y_step, lines, n, w + k);
  for (; k + 3 <= taps; k += 3) correlate_some<3>(x, x_step, at + k, y, y_step, lines, n, w + k);
  for (; k < taps; ++k) correlate_some<1>(x, x_step, at + k, y, y_step, lines, n, w + k);
}

// --- several results of the same numbers ---

// Each sum needs a register. Weights are laid out by registers, and no more of them are read.
#if defined(WENGERT_SIMD_AVX512) || !defined(__x86_64__)
constexpr std::int64_t most_together = 8;
#else
constexpr std::int64_t most_together = 4;
#endif
template <class T>
constexpr int together = static_cast<int>(std::min(Lanes<T>::width, most_together));

// W registers of a line, `apart` from each other.
template <int W, class T>
void correlate_together(const T* x, std::int64_t apart, const std::int64_t* at, const T* w, std::int64_t w_step,
                        std::int64_t taps, std::int64_t results, const T* start, T* y, std::int64_t y_step) {
  using L = Lanes<T>;
  L sum[together<T>][W];
#pragma GCC unroll 8
  for (int r = 0; r < together<T>; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < W; ++k) sum[r][k] = L(start[r]);
  for (std::int64_t tap = 0; tap < taps; ++tap, w += w_step) {
    L seen[W];
#pragma GCC unroll 8
    for (int k = 0; k < W; ++k) seen[k] = L::load(x + at[tap] + k * apart);
#pragma GCC unroll 8
    for (int r = 0; r < together<T>; ++r)
#pragma GCC unroll 8
      for (int k = 0; k < W; ++k) sum[r][k] = xsimd::fma(L(w[r]).v, seen[k].v, sum[r][k].v);
  }
#pragma GCC unroll 8
  for (int r = 0; r < together<T>; ++r, y += y_step) {
    if (r == results) return;
#pragma GCC unroll 8
    for (int k = 0; k < W; ++k) sum[r][k].store(y + k * apart);
  }
}
// Two registers at a time. The last one ends with the line and covers some of the one before again.
template <class T>
void correlate_each(const T* x, const std::int64_t* at, const T* w, std::int64_t w_step, std::int64_t taps,
                    std::int64_t results, std::int64_t n, const T* start, T* y, std::int64_t y_step) {
  constexpr std::int64_t width = Lanes<T>::width;
  for (std::int64_t i = 0; i < n; i += 2 * width) {
    const std::int64_t second = std::min(n - i - width, width), first = second > 0 ? i : n - width;
    for (std::int64_t r = 0; r < results; r += together<T>)
      (second > 0 ? correlate_together<2, T> : correlate_together<1, T>)(x + first, second, at, w + r, w_step, taps,
                                                                         results - r, start + r, y + r * y_step + first,
                                                                         y_step);
  }
}

// --- windows of 3 x 3, and a border of one zero ---

// Registers move by one number: `before` and `after` hold what comes from outside.
template <class L, std::size_t... I>
L moved_right(L before, L x, std::index_sequence<I...>) {
  const typename L::Batch::register_type v = before.v, w = x.v;
  return typename L::Batch(__builtin_shufflevector(v, w, (L::width - 1 + I)...));
}
template <class L, std::size_t... I>
L moved_left(L x, L after, std::index_sequence<I...>) {
  const typename L::Batch::register_type v = x.v, w = after.v;
  return typename L::Batch(__builtin_shufflevector(v, w, (1 + I)...));
}

// W registers of a line of n numbers, from the i-th on; a single one may reach beyond its end.
template <class L, int W>
class Columns {
 public:
  using T = typename L::Scalar;
  static constexpr bool part = W == 1;

  Columns(std::int64_t i, std::int64_t n)
      : first_(i),
        end_(i + W * L::width < n ? i + W * L::width : 0),
        rest_(std::min(n - i, L::width)),
        inside_(numbers_before<L>(n - i)) {}

  L load(const T* line, int k) const {
    return part ? L(rest_.load(line + first_, L(T(0)).v)) : L::load(line + first_ + k * L::width);
  }
  void store(L x, T* line, int k) const {
    if (part) rest_.store(line + first_, x.v);
    else x.store(line + first_ + k * L::width);
  }
  // What stands to the left of these columns, in them, and to the right. What lies beyond the line is zero.
  [[gnu::always_inline]] void see(const T* line, L (&seen)[3][W]) const {
    constexpr auto all = std::make_index_sequence<L::width>();
    const L before(first_ ? line[first_ - 1] : T(0)), after(end_ ? line[end_] : T(0));
    for (int k = 0; k < W; ++k) seen[1][k] = load(line, k);
    for (int k = 0; k < W; ++k) {
      seen[0][k] = moved_right(k > 0 ? seen[1][k - 1] : before, seen[1][k], all);
      seen[2][k] = moved_left(seen[1][k], k + 1 < W ? seen[1][k + 1] : after, all);
    }
    if (part) seen[0][0] = select(inside_, seen[0][0], L(T(0)));
  }

 private:
  std::int64_t first_, end_;
  First<T> rest_;
  typename L::Mask inside_;
};

// f(columns) for all of a line.
template <class L, class F>
[[gnu::always_inline]] inline void for_columns(std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + 2 * L::width <= n; i += 2 * L::width) f(Columns<L, 2>(i, n));
  for (; i < n; i += L::width) f(Columns<L, 1>(i, n));
}

// Down the columns: a line of x, read once, is the lower line of one window, the middle one of the next and the upper
// one of the third.
template <class T>
void correlate_3x3(const T* x, std::int64_t lines, std::int64_t n, const T* w, T start, T* y) {
  using L = Lanes<T>;
  L weight[9];
  for (int k = 0; k < 9; ++k) weight[k] = L(w[k]);
  for_columns<L>(n, [&]<int W>(const Columns<L, W>& columns) {
    const auto add = [&](const L(&seen)[3][W], const L* weights, L(&sum)[W]) {
      for (int j = 0; j < 3; ++j)
        for (int k = 0; k < W; ++k) sum[k] = xsimd::fma(weights[j].v, seen[j][k].v, sum[k].v);
    };
    L above[W], here[W], seen[3][W];
    for (L& sum : here) sum = L(start);
    columns.see(x, seen);
    add(seen, weight + 3, here);
    for (std::int64_t l = 1; l < lines; ++l) {
      for (int k = 0; k < W; ++k) above[k] = here[k], here[k] = L(start);
      add(seen, weight, here);
      columns.see(x + l * n, seen);
      add(seen, weight + 6, above);
      for (int k = 0; k < W; ++k) columns.store(above[k], y + (l - 1) * n, k);
      add(seen, weight + 3, here);
    }
    for (int k = 0; k < W; ++k) columns.store(here[k], y + (lines - 1) * n, k);
  });
}

template <class T>
void correlate_weights_3x3(const T* x, const T* y, std::int64_t lines, std::int64_t n, T* w) {
  using L = Lanes<T>;
  L sum[3][3];
  for (auto& line : sum)
    for (L& s : line) s = L(T(0));
  for_columns<L>(n, [&]<int W>(const Columns<L, W>& columns) {
    L g[3][W], seen[3][W];  // of y: the lines whose windows have this line of x as their upper, middle and lower one
    for (int k = 0; k < W; ++k) g[0][k] = columns.load(y, k);
    for (std::int64_t l = 0; l < lines; ++l) {
      const auto add = [&](int i) {
        for (int k = 0; k < W; ++k)
          for (int j = 0; j < 3; ++j) sum[i][j] = xsimd::fma(g[i][k].v, seen[j][k].v, sum[i][j].v);
      };
      columns.see(x + l * n, seen);
      for (int i = 2; i > 0; --i)
        for (int k = 0; k < W; ++k) g[i][k] = g[i - 1][k];
      add(1);
      if (l > 0) add(2);
      if (l + 1 == lines) break;
      for (int k = 0; k < W; ++k) g[0][k] = columns.load(y + (l + 1) * n, k);
      add(0);
    }
  });
  for (auto& line : sum)
    for (const L& s : line) *w++ += sum_of(s);
}

}  // namespace

template <class T, class Arch>
constinit const CorrelationLoops<T> CorrelationLoopsOf<T, Arch>::table = {
    correlate<T>, scatter<T>, correlate_weights<T>, correlate_each<T>, correlate_3x3<T>, correlate_weights_3x3<T>};

template struct CorrelationLoopsOf<float, Current>;
template struct CorrelationLoopsOf<double, Current>;

}  // namespace wengert::kernels
