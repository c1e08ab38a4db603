#pragma once

// Convolution as matrix products: the windows of an image become the columns of a matrix, a tile that stays in the
// cache at a time.

#include "wengert/autodiff/kernels/convolution.h"

namespace wengert::kernels {

/// The image is its own matrix of columns.
bool is_pointwise(const Windows&);

// As conv, conv_input_grad and conv_weight_grad, for no empty ones.
template <class T>
void matrix(const Convolution&, const T* x, const T* w, const T* bias, T* y);
template <class T>
void matrix_input_grad(const Convolution&, const T* y_bar, const T* w, const T* bias, T* x_bar);
template <class T>
void matrix_weight_grad(const Convolution&, const T* x, const T* y_bar, T* w_bar);

/// columns [n, channels * kernel, out] of x [n, channels, in]; padding is 0.
void unfold(DType, const Windows&, std::int64_t n, std::int64_t channels, const void* x, void* columns);
/// The transpose of unfold: every entry is added where it came from.
void fold(DType, const Windows&, std::int64_t n, std::int64_t channels, const void* columns, void* x);

}  // namespace wengert::kernels
