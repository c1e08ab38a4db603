#include "wengert/autodiff/kernels/window_loops.h"

#include "wengert/autodiff/simd.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace wengert::kernels {
namespace {

template <class T>
using Which = typename WindowLoops<T>::Which;

// Written without branches, so that the compiler makes registers of it.
template <class T>
struct Best {
  T value;
  Which<T> which;

  void meet(T x, Which<T> at) {
    const bool better = (x > value) | (x != x);
    value = better ? x : value;
    which = better ? at : which;
  }
};

// Windows are taken as many at a time as a register holds. Where lines are short, some of them are first laid one after
// the other, so that registers are full.
template <class T>
constexpr std::int64_t block = Lanes<T>::width;

template <class T>
class Pairs {  // of lines, next to each other
 public:
  static constexpr std::int64_t windows = 256;
  alignas(64) T a[2 * (windows + block<T>)], b[2 * (windows + block<T>)];

  void take(const T* x, std::int64_t line, std::int64_t pairs, std::int64_t n) {
    for (std::int64_t k = 0; k < pairs; ++k, x += 2 * line)
      copy(x, a + 2 * k * n, 2 * n), copy(x + line, b + 2 * k * n, 2 * n);
  }
  void put(T* x, std::int64_t line, std::int64_t pairs, std::int64_t n) const {
    for (std::int64_t k = 0; k < pairs; ++k, x += 2 * line)
      copy(a + 2 * k * n, x, 2 * n), copy(b + 2 * k * n, x + line, 2 * n);
  }

 private:
  static void copy(const T* from, T* to, std::int64_t n) {
    using Batch = typename Lanes<T>::Batch;
    std::int64_t i = 0;
    for (; i + block<T> <= n; i += block<T>) Batch::load_unaligned(from + i).store_unaligned(to + i);
    if (i == n) return;
    const First<T> rest(n - i);
    rest.store(to + i, rest.load(from + i, Batch(T(0))));
  }
};

// f(a, b, first, count): windows `first` to `first + count` of `lines` pairs of lines, n in each, in whole registers.
template <bool puts, class X, class T = std::remove_const_t<X>, class F>
void by_pairs(X* x, std::int64_t line, std::int64_t lines, std::int64_t n, F&& f) {
  Pairs<T> pairs;
  const auto some = [&](X* from, std::int64_t count, std::int64_t wide, std::int64_t first) {
    if constexpr (!puts) pairs.take(from, line, count, wide);
    f(pairs.a, pairs.b, first, count * wide);
    if constexpr (puts) pairs.put(from, line, count, wide);
  };
  if (n < 2 * block<T>) {
    for (std::int64_t l = 0, count; l < lines; l += count)
      count = std::min(Pairs<T>::windows / n, lines - l), some(x + 2 * l * line, count, n, l * n);
    return;
  }
  const std::int64_t whole = n / block<T> * block<T>;
  for (std::int64_t l = 0; l < lines; ++l, x += 2 * line) {
    f(x, x + line, l * n, whole);
    if (whole < n) some(x + 2 * whole, 1, n - whole, l * n + whole);
  }
}

template <bool keeps, class T>
void max_block(const T* __restrict a, const T* __restrict b, T* __restrict y, Which<T>* __restrict which) {
  for (std::int64_t i = 0; i < block<T>; ++i) {
    Best<T> m{a[2 * i], 0};
    m.meet(a[2 * i + 1], 1), m.meet(b[2 * i], 2), m.meet(b[2 * i + 1], 3);
    y[i] = m.value;
    if constexpr (keeps) which[i] = m.which;
  }
}
template <bool keeps, class T>
void max_lines(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, T* y, Which<T>* which) {
  by_pairs<false>(x, line, lines, n, [&](const T* a, const T* b, std::int64_t first, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + block<T> <= count; i += block<T>)
      max_block<keeps>(a + 2 * i, b + 2 * i, y + first + i, keeps ? which + first + i : nullptr);
    if (i == count) return;
    alignas(64) T best[block<T>];
    Which<T> some[block<T>];
    max_block<keeps>(a + 2 * i, b + 2 * i, best, some);
    First<T>(count - i).store(y + first + i, Lanes<T>::Batch::load_aligned(best));
    if constexpr (keeps) std::memcpy(which + first + i, some, static_cast<std::size_t>(count - i) * sizeof(T));
  });
}
template <class T>
void max_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, T* y, Which<T>* which) {
  if (which) max_lines<true>(x, line, lines, n, y, which);
  else max_lines<false>(x, line, lines, n, y, which);
}

template <class T>
void gather_block(const T* __restrict a, const T* __restrict b, const Which<T>* __restrict which, T* __restrict y) {
  for (std::int64_t i = 0; i < block<T>; ++i) {
    const T a0 = a[2 * i], a1 = a[2 * i + 1], b0 = b[2 * i], b1 = b[2 * i + 1];
    const Which<T> w = which[i];
    const T in_a = w == 0 ? a0 : a1, in_b = w == 2 ? b0 : b1;
    y[i] = w < 2 ? in_a : in_b;
  }
}
template <class T>
void gather_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, const Which<T>* which, T* y) {
  by_pairs<false>(x, line, lines, n, [&](const T* a, const T* b, std::int64_t first, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + block<T> <= count; i += block<T>) gather_block(a + 2 * i, b + 2 * i, which + first + i, y + first + i);
    if (i == count) return;
    alignas(64) T some[block<T>];
    Which<T> places[block<T>] = {};
    std::memcpy(places, which + first + i, static_cast<std::size_t>(count - i) * sizeof(T));
    gather_block(a + 2 * i, b + 2 * i, places, some);
    First<T>(count - i).store(y + first + i, Lanes<T>::Batch::load_aligned(some));
  });
}

template <class T>
void scatter_block(const T* __restrict y, const Which<T>* __restrict which, T* __restrict a, T* __restrict b) {
  for (std::int64_t i = 0; i < block<T>; ++i) {
    const auto g = std::bit_cast<Which<T>>(y[i]), w = which[i];
    const auto at = [&](Which<T> k) {
      return std::bit_cast<T>(g & -Which<T>(w == k));
    };  // a mask: `?:` would become branches
    a[2 * i] = at(0), a[2 * i + 1] = at(1);
    b[2 * i] = at(2), b[2 * i + 1] = at(3);
  }
}
template <class T>
void scatter_2x2(const T* y, const Which<T>* which, std::int64_t n, std::int64_t lines, T* x, std::int64_t line) {
  by_pairs<true>(x, line, lines, n, [&](T* a, T* b, std::int64_t first, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + block<T> <= count; i += block<T>) scatter_block(y + first + i, which + first + i, a + 2 * i, b + 2 * i);
    if (i == count) return;
    alignas(64) T some[block<T>];
    Which<T> places[block<T>] = {};
    First<T>(count - i).load(y + first + i, typename Lanes<T>::Batch(T(0))).store_aligned(some);
    std::memcpy(places, which + first + i, static_cast<std::size_t>(count - i) * sizeof(T));
    scatter_block(some, places, a + 2 * i, b + 2 * i);
  });
}

template <class T>
void narrow(const Which<T>* __restrict which, std::int64_t n, std::uint8_t* __restrict kept) {
  for (std::int64_t i = 0; i < n; ++i) kept[i] = static_cast<std::uint8_t>(which[i]);
}
template <class T>
void widen(const std::uint8_t* __restrict kept, std::int64_t n, Which<T>* __restrict which) {
  for (std::int64_t i = 0; i < n; ++i) which[i] = kept[i];
}

// stride is passed as a constant for the usual ones.
template <class T>
void take(const T* __restrict x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* __restrict y,
          std::int32_t* __restrict index) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T v = x[i * stride], m = y[i];
    const std::int32_t before = index[i];
    const bool better = (v > m) | (v != v) | (before < 0);
    y[i] = better ? v : m;
    index[i] = better ? offset + static_cast<std::int32_t>(i) * static_cast<std::int32_t>(stride) : before;
  }
}
template <class T>
void take_larger(const T* x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* y, std::int32_t* index) {
  if (stride == 1) take(x, 1, offset, n, y, index);
  else if (stride == 2) take(x, 2, offset, n, y, index);
  else take(x, stride, offset, n, y, index);
}

template <class T>
void collect(const T* x, std::int64_t stride, std::int64_t n, T* y) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += from[i * step];
  };
  if (stride == 1) loop(x, 1, y);
  else if (stride == 2) loop(x, 2, y);
  else loop(x, stride, y);
}
template <class T>
void spread(const T* y, std::int64_t stride, std::int64_t n, T* x) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i * step] += from[i];
  };
  if (stride == 1) loop(y, 1, x);
  else if (stride == 2) loop(y, 2, x);
  else loop(y, stride, x);
}

template <class T>
void correlate(const T* x, std::int64_t x_step, const std::int64_t* at, const T* w, std::int64_t taps,
               std::int64_t lines, std::int64_t n, T* y, std::int64_t y_step) {
  using L = Lanes<T>;
  constexpr std::int64_t width = L::width;
  for (; lines > 0; --lines, x += x_step, y += y_step) {
    std::int64_t i = 0;
    for (; i + 2 * width <= n; i += 2 * width) {
      L a = L::load(y + i), b = L::load(y + i + width);
      for (std::int64_t k = 0; k < taps; ++k) {
        const T* from = x + at[k] + i;
        a = xsimd::fma(L(w[k]).v, L::load(from).v, a.v), b = xsimd::fma(L(w[k]).v, L::load(from + width).v, b.v);
      }
      a.store(y + i), b.store(y + i + width);
    }
    for (; i < n; i += width) {
      const bool whole = i + width <= n;
      L a = whole ? L::load(y + i) : L::load_some(y + i, n - i);
      for (std::int64_t k = 0; k < taps; ++k) a = xsimd::fma(L(w[k]).v, L::load(x + at[k] + i).v, a.v);
      if (whole) a.store(y + i);
      else a.store_some(y + i, n - i);
    }
  }
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
  alignas(64) T place[width];
  for (std::int64_t i = 0; i < width; ++i) place[i] = static_cast<T>(i);
  const std::int64_t whole = n / width * width;
  const auto inside = L::load(place) < L(static_cast<T>(n - whole));
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
  for (int k = 0; k < count; ++k) {
    sum[k].store(place);
    for (T s : place) w[k] += s;
  }
}
template <class T>
void correlate_weights(const T* x, std::int64_t x_step, const std::int64_t* at, std::int64_t taps, const T* y,
                       std::int64_t y_step, std::int64_t lines, std::int64_t n, T* w) {
  std::int64_t k = 0;
  for (; k + 9 <= taps; k += 9) correlate_some<9>(x, x_step, at + k, y, y_step, lines, n, w + k);
  for (; k + 3 <= taps; k += 3) correlate_some<3>(x, x_step, at + k, y, y_step, lines, n, w + k);
  for (; k < taps; ++k) correlate_some<1>(x, x_step, at + k, y, y_step, lines, n, w + k);
}

}  // namespace

template <class T, class Arch>
constinit const WindowLoops<T> WindowLoopsOf<T, Arch>::table = {
    max_2x2<T>, gather_2x2<T>, scatter_2x2<T>, narrow<T>,           widen<T>, take_larger<T>, collect<T>,
    spread<T>,  correlate<T>,  scatter<T>,     correlate_weights<T>};

template struct WindowLoopsOf<float, Current>;
template struct WindowLoopsOf<double, Current>;

}  // namespace wengert::kernels
