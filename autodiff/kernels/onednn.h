#pragma once

#include "wengert/autodiff/kernels/convolution.h"

namespace wengert::kernels {

// Convolutions by oneDNN, which compiles loops for a shape when it first sees it (Meson option `onednn`). They run on
// one thread each, over a few images, so that results keep their bits on any number of threads.

#ifdef WENGERT_ONEDNN
inline constexpr bool has_onednn = true;
#else
inline constexpr bool has_onednn = false;
#endif

/// Is it likely to be faster than the plain sums of our own? Never where nothing is to be done, nor with
/// WENGERT_ONEDNN=0 in the environment.
bool suits_onednn(DType, const Convolution&);

// As conv, conv_input_grad and conv_weight_grad, for those.
void onednn_conv(const Convolution&, const void* x, const void* w, const void* bias, void* y);
void onednn_input_grad(const Convolution&, const void* y_bar, const void* w, void* x_bar);
void onednn_weight_grad(const Convolution&, const void* x, const void* y_bar, void* w_bar);

}  // namespace wengert::kernels
