#pragma once

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/kernels/convolution.h"

namespace wengert::kernels {

// Winograd's minimal filtering (Lavin and Gray 2016) multiplies 36 times for a tile of 4 by 4 results of windows of 3
// by 3, or of 2 by 2 results of windows of 5 by 5, where the plain sum multiplies 144 or 100 times; but it brings 6 by
// 6 numbers of every channel there and back. Its errors are larger (docs/numerics.md); WENGERT_WINOGRAD=0 in the
// environment asks for plain sums everywhere.

/// Is this a convolution that it can do?
bool allows_winograd(DType, const Convolution&);
/// And is it likely to be faster?
bool suits_winograd(DType, const Convolution&);
/// Tiles of one image.
inline std::int64_t winograd_tiles(const Convolution& g) {
  const std::int64_t step = 7 - g.kernel[2];
  return parts(g.out[1], step) * parts(g.out[2], step);
}

// As conv, conv_input_grad and conv_weight_grad, for those.
void winograd(const Convolution&, const float* x, const float* w, const float* bias, float* y);
void winograd_input_grad(const Convolution&, const float* y_bar, const float* w, const float* bias, float* x_bar);
void winograd_weight_grad(const Convolution&, const float* x, const float* y_bar, float* w_bar);

}  // namespace wengert::kernels
