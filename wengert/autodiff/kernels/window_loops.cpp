#include "wengert/autodiff/kernels/window_loops.h"

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
  if (stride == 1)
    take(x, 1, offset, n, y, index);
  else if (stride == 2)
    take(x, 2, offset, n, y, index);
  else
    take(x, stride, offset, n, y, index);
}

template <class T>
void collect(const T* x, std::int64_t stride, std::int64_t n, T* y) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += from[i * step];
  };
  if (stride == 1)
    loop(x, 1, y);
  else if (stride == 2)
    loop(x, 2, y);
  else
    loop(x, stride, y);
}
template <class T>
void spread(const T* y, std::int64_t stride, std::int64_t n, T* x) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i * step] += from[i];
  };
  if (stride == 1)
    loop(y, 1, x);
  else if (stride == 2)
    loop(y, 2, x);
  else
    loop(y, stride, x);
}

}  // namespace

template <class T, class Arch>
constinit const WindowLoops<T> WindowLoopsOf<T, Arch>::table = {max_2x2<T>, gather_2x2<T>,  scatter_2x2<T>, narrow<T>,
                                                                widen<T>,   take_larger<T>, collect<T>,     spread<T>};

template struct WindowLoopsOf<float, Current>;
template struct WindowLoopsOf<double, Current>;

}  // namespace wengert::kernels
