#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// Inner loops over windows, compiled for each instruction set. n windows in a line.
template <class T>
struct WindowLoops {
  // Windows of two lines and two columns, n in each of `lines` pairs of lines; which (null in max_2x2: not wanted)
  // counts 0, 1 in the upper line and 2, 3 in the lower. `which_slack` bytes behind are read and written, too.
  static constexpr std::int64_t which_slack = 64;
  void (*max_2x2)(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, T* y, std::uint8_t* which);
  void (*gather_2x2)(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, const std::uint8_t* which,
                     T* y);
  void (*scatter_2x2)(const T* y, const std::uint8_t* which, std::int64_t n, std::int64_t lines, T* x,
                      std::int64_t line);
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
