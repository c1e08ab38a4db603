#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// The inner loops of pooling, compiled for each instruction set. n windows in a line.
template <class T>
struct PoolLoops {
  // Windows of two lines a, b and two columns; which (null in max_2x2: not wanted) counts 0, 1 in a and 2, 3 in b.
  void (*max_2x2)(const T* a, const T* b, std::int64_t n, T* y, std::uint8_t* which);
  void (*gather_2x2)(const T* a, const T* b, std::int64_t n, const std::uint8_t* which, T* y);
  void (*scatter_2x2)(const T* y, const std::uint8_t* which, std::int64_t n, T* a, T* b);
  // One entry of every window: x[i * stride] at offset + i * stride of the plane replaces y[i] where it is larger or
  // the first.
  void (*take_larger)(const T* x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* y, std::int32_t* index);
  // y[i] += x[i * stride], and the transpose x[i * stride] += y[i].
  void (*collect)(const T* x, std::int64_t stride, std::int64_t n, T* y);
  void (*spread)(const T* y, std::int64_t stride, std::int64_t n, T* x);
};

template <class T, class Arch>
struct PoolLoopsOf {
  static const PoolLoops<T> table;
};

}  // namespace wengert::kernels
