#pragma once

#include "wengert/autodiff/kernels/convolution.h"
#include "wengert/autodiff/kernels/cut.h"

namespace wengert::kernels {

// Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016) multiplies a quarter as often as the plain sum, but
// brings 6 by 6 numbers of every channel there and back for each tile of 4 by 4 results. Its errors are larger
// (docs/numerics.md); WENGERT_WINOGRAD=0 in the environment asks for plain sums everywhere.

/// Is this a convolution that it can do?
bool allows_winograd(DType, const Convolution&);
/// And is it likely to be faster?
bool suits_winograd(DType, const Convolution&);
/// Tiles of one image.
inline std::int64_t winograd_tiles(const Convolution& g) { return parts(g.out[1], 4) * parts(g.out[2], 4); }

// As conv, conv_input_grad and conv_weight_grad, for those.
void winograd(const Convolution&, const float* x, const float* w, const float* bias, float* y);
void winograd_input_grad(const Convolution&, const float* y_bar, const float* w, const float* bias, float* x_bar);
void winograd_weight_grad(const Convolution&, const float* x, const float* y_bar, float* w_bar);

}  // namespace wengert::kernels
