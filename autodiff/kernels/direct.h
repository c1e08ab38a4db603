#pragma once

#include "wengert/autodiff/kernels/convolution.h"

namespace wengert::kernels {

// Convolution without a matrix of columns: a padded image is read where it lies, through a table of offsets, and the
// channels of the result fill the registers.

// As conv, conv_input_grad and conv_weight_grad, for no empty ones.
template <class T>
void direct(const Convolution&, const T* x, const T* w, const T* bias, T* y);
template <class T>
void direct_input_grad(const Convolution&, const T* y_bar, const T* w, const T* bias, T* x_bar);
template <class T>
void direct_weight_grad(const Convolution&, const T* x, const T* y_bar, T* w_bar);

}  // namespace wengert::kernels
