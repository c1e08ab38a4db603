#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/windows.h"

namespace wengert::kernels {

/// What takes part in a convolution: images x [n, groups, c, in], weights w [groups, o, c, kernel], results y [n,
/// groups, o, out].
struct Convolution : Windows {
  std::int64_t n = 0, groups = 1, c = 0, o = 0;

  std::int64_t x_size() const { return n * groups * c * in_size(); }
  std::int64_t w_size() const { return groups * o * c * kernel_size(); }
  std::int64_t y_size() const { return n * groups * o * out_size(); }

  friend bool operator==(const Convolution&, const Convolution&) = default;
};

// The three maps are linear in each of their operands, and each derivative of one is another one. float32 and float64,
// all row-major. Work is split by shapes only, so results do not depend on the number of threads.

/// y = w * x (+ bias [groups * o], unless null).
void conv(DType, const Convolution&, const void* x, const void* w, const void* bias, void* y);
/// x_bar for y_bar: the transposed convolution (+ bias [groups * c], unless null).
void conv_input_grad(DType, const Convolution&, const void* y_bar, const void* w, const void* bias, void* x_bar);
/// w_bar for y_bar.
void conv_weight_grad(DType, const Convolution&, const void* x, const void* y_bar, void* w_bar);
/// Is it faster to have both for one y_bar together?
bool gains_together(DType, const Convolution&);
/// Both, where that holds.
void conv_grads(DType, const Convolution&, const void* x, const void* w, const void* y_bar, void* x_bar, void* w_bar);

}  // namespace wengert::kernels
