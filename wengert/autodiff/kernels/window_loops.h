#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>
#include <type_traits>

namespace wengert::kernels {

/// Inner loops over windows, compiled for each instruction set. n windows in a line.
template <class T>
struct WindowLoops {
  /// An integer as wide as T, so that one register of each goes with the other.
  using Which = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

  // Windows of two lines a, b and two columns; which (null in max_2x2: not wanted) counts 0, 1 in a and 2, 3 in b.
  void (*max_2x2)(const T* a, const T* b, std::int64_t n, T* y, Which* which);
  void (*gather_2x2)(const T* a, const T* b, std::int64_t n, const Which* which, T* y);
  void (*scatter_2x2)(const T* y, const Which* which, std::int64_t n, T* a, T* b);
  // which is kept in bytes.
  void (*narrow)(const Which* which, std::int64_t n, std::uint8_t* kept);
  void (*widen)(const std::uint8_t* kept, std::int64_t n, Which* which);
  // One entry of every window: x[i * stride] at offset + i * stride of the plane replaces y[i] where it is larger or
  // the first.
  void (*take_larger)(const T* x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* y, std::int32_t* index);
  // y[i] += x[i * stride], and the transpose x[i * stride] += y[i].
  void (*collect)(const T* x, std::int64_t stride, std::int64_t n, T* y);
  void (*spread)(const T* y, std::int64_t stride, std::int64_t n, T* x);
};

template <class T, class Arch>
struct WindowLoopsOf {
  static const WindowLoops<T> table;
};

/// Those for this machine.
template <class T>
const WindowLoops<T>& window_loops() {
  return *dispatch([]<class Arch>() { return &WindowLoopsOf<T, Arch>::table; });
}

}  // namespace wengert::kernels
