#include "wengert/autodiff/kernels/window_loops.h"

#include "wengert/autodiff/simd.h"

#include <bit>

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

template <class T>
void max_2x2(const T* __restrict a, const T* __restrict b, std::int64_t n, T* __restrict y,
             Which<T>* __restrict which) {
  const auto best_of = [&](std::int64_t i) {
    Best<T> m{a[2 * i], 0};
    m.meet(a[2 * i + 1], 1), m.meet(b[2 * i], 2), m.meet(b[2 * i + 1], 3);
    return m;
  };
  if (which)
    for (std::int64_t i = 0; i < n; ++i) {
      const auto m = best_of(i);
      y[i] = m.value, which[i] = m.which;
    }
  else
    for (std::int64_t i = 0; i < n; ++i) y[i] = best_of(i).value;
}

template <class T>
void gather_2x2(const T* __restrict a, const T* __restrict b, std::int64_t n, const Which<T>* __restrict which,
                T* __restrict y) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T a0 = a[2 * i], a1 = a[2 * i + 1], b0 = b[2 * i], b1 = b[2 * i + 1];
    const Which<T> w = which[i];
    const T in_a = w == 0 ? a0 : a1, in_b = w == 2 ? b0 : b1;
    y[i] = w < 2 ? in_a : in_b;
  }
}

template <class T>
void scatter_2x2(const T* __restrict y, const Which<T>* __restrict which, std::int64_t n, T* __restrict a,
                 T* __restrict b) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto g = std::bit_cast<Which<T>>(y[i]), w = which[i];
    const auto at = [&](Which<T> k) {
      return std::bit_cast<T>(g & -Which<T>(w == k));
    };  // a mask: `?:` would become branches
    a[2 * i] = at(0), a[2 * i + 1] = at(1);
    b[2 * i] = at(2), b[2 * i + 1] = at(3);
  }
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
