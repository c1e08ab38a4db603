#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// Inner loops of convolutions whose registers lie along the lines of the image, as those of depthwise ones do,
/// compiled for each instruction set.
template <class T>
struct CorrelationLoops {
  // For `lines` lines, steps apart: y[i] = start + sum over k of w[k] x[at[k] + i]; without a start, y[i] += it. A
  // register may read beyond the end of x.
  void (*correlate)(const T* x, std::int64_t x_step, const std::int64_t* at, const T* w, std::int64_t taps,
                    std::int64_t lines, std::int64_t n, const T* start, T* y, std::int64_t y_step);
  // x[at[k] + i] += w[k] y[i].
  void (*scatter)(const T* y, std::int64_t y_step, const std::int64_t* at, const T* w, std::int64_t taps,
                  std::int64_t lines, std::int64_t n, T* x, std::int64_t x_step);
  // w[k] += sum over i of x[at[k] + i] y[i]. A register may read beyond the ends of x and y.
  void (*correlate_weights)(const T* x, std::int64_t x_step, const std::int64_t* at, std::int64_t taps, const T* y,
                            std::int64_t y_step, std::int64_t lines, std::int64_t n, T* w);

  // One line of several results of the same numbers, that fills a register at least: y[r, i] = start[r] + sum over k of
  // w[k, r] x[at[k] + i]. Weights and starts are as many as fill registers.
  void (*correlate_each)(const T* x, const std::int64_t* at, const T* w, std::int64_t w_step, std::int64_t taps,
                         std::int64_t results, std::int64_t n, const T* start, T* y, std::int64_t y_step);

  // The first and the third for windows of 3 x 3 with strides of one over planes [lines, n] with a border of one zero,
  // which need not be laid out: y[l, i] = start + sum of w[j, k] x[l + j - 1, i + k - 1], and w[j, k] += their products
  // with y.
  void (*correlate_3x3)(const T* x, std::int64_t lines, std::int64_t n, const T* w, T start, T* y);
  void (*correlate_weights_3x3)(const T* x, const T* y, std::int64_t lines, std::int64_t n, T* w);
};

template <class T, class Arch>
struct CorrelationLoopsOf {
  static const CorrelationLoops<T> table;
};

/// Those for this machine.
template <class T>
const CorrelationLoops<T>& correlation_loops() {
  return *dispatch([]<class Arch>() { return &CorrelationLoopsOf<T, Arch>::table; });
}

}  // namespace wengert::kernels
