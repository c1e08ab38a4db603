#pragma once

#include "wengert/autodiff/kernels/convolution.h"

namespace wengert::kernels {

/// Groups of one input channel and few output channels: matrices so narrow that sums by hand are faster.
bool is_depthwise(const Convolution&);

// As conv, conv_input_grad and conv_grads, for those and no empty ones.
template <class T>
void depthwise(const Convolution&, const T* x, const T* w, const T* bias, T* y);
template <class T>
void depthwise_input_grad(const Convolution&, const T* y_bar, const T* w, const T* bias, T* x_bar);
/// With x_bar null only the gradient of w, for which w itself is not needed.
template <class T>
void depthwise_grads(const Convolution&, const T* x, const T* w, const T* y_bar, T* x_bar, T* w_bar);

}  // namespace wengert::kernels
