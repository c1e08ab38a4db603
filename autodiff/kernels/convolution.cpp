#include "wengert/autodiff/kernels/convolution.h"

#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/kernels/depthwise.h"
#include "wengert/autodiff/kernels/direct.h"
#include "wengert/autodiff/kernels/im2col.h"
#include "wengert/autodiff/kernels/onednn.h"
#include "wengert/autodiff/kernels/typed.h"
#include "wengert/autodiff/kernels/winograd.h"

#include <algorithm>

namespace wengert::kernels {
namespace {

// Registers are filled by the channels of the result, so there have to be some; and where the image is a matrix
// already, a product reads it faster.
bool is_direct(const Windows& g, std::int64_t channels) { return channels >= 8 && !is_pointwise(g); }

// oneDNN has Winograd's filtering for AVX-512.
bool filters_itself(DType d, const Convolution& g) {
  return suits_winograd(d, g) && !(has_onednn && level() == Level::avx512 && suits_onednn(d, g));
}

// Without entries to sum over, the result is the bias.
template <class T>
void only_bias(std::int64_t n, std::int64_t channels, std::int64_t positions, const T* bias, T* y) {
  for (std::int64_t i = 0; i < n * channels; ++i)
    std::fill_n(y + i * positions, positions, bias ? bias[i % channels] : T(0));
}

}  // namespace

void conv(DType d, const Convolution& g, const void* x, const void* w, const void* bias, void* y) {
  if (g.y_size() == 0) return;
  if (filters_itself(d, g))
    return winograd(g, in_as<float>(x), in_as<float>(w), in_as<float>(bias), static_cast<float*>(y));
  if constexpr (has_onednn)
    if (suits_onednn(d, g)) return onednn_conv(g, x, w, bias, y);
  with_type(d, [&]<class T>(T) {
    if (g.c == 0 || g.kernel_size() == 0)
      only_bias(g.n, g.groups * g.o, g.out_size(), in_as<T>(bias), static_cast<T*>(y));
    else if (is_depthwise(g)) depthwise(g, in_as<T>(x), in_as<T>(w), in_as<T>(bias), static_cast<T*>(y));
    else if (is_direct(g, g.o)) direct(g, in_as<T>(x), in_as<T>(w), in_as<T>(bias), static_cast<T*>(y));
    else matrix(g, in_as<T>(x), in_as<T>(w), in_as<T>(bias), static_cast<T*>(y));
  });
}

void conv_input_grad(DType d, const Convolution& g, const void* y_bar, const void* w, const void* bias, void* x_bar) {
  if (g.x_size() == 0) return;
  if (filters_itself(d, g))
    return winograd_input_grad(g, in_as<float>(y_bar), in_as<float>(w), in_as<float>(bias), static_cast<float*>(x_bar));
  if constexpr (has_onednn)
    if (!bias && suits_onednn(d, g)) return onednn_input_grad(g, y_bar, w, x_bar);
  with_type(d, [&]<class T>(T) {
    if (g.o == 0 || g.kernel_size() == 0 || g.out_size() == 0)
      only_bias(g.n, g.groups * g.c, g.in_size(), in_as<T>(bias), static_cast<T*>(x_bar));
    else if (is_depthwise(g))
      depthwise_input_grad(g, in_as<T>(y_bar), in_as<T>(w), in_as<T>(bias), static_cast<T*>(x_bar));
    else if (is_direct(g, g.c))
      direct_input_grad(g, in_as<T>(y_bar), in_as<T>(w), in_as<T>(bias), static_cast<T*>(x_bar));
    else matrix_input_grad(g, in_as<T>(y_bar), in_as<T>(w), in_as<T>(bias), static_cast<T*>(x_bar));
  });
}

void conv_weight_grad(DType d, const Convolution& g, const void* x, const void* y_bar, void* w_bar) {
  if (g.w_size() == 0) return;
  if (filters_itself(d, g))
    return winograd_weight_grad(g, in_as<float>(x), in_as<float>(y_bar), static_cast<float*>(w_bar));
  if constexpr (has_onednn)
    if (suits_onednn(d, g)) return onednn_weight_grad(g, x, y_bar, w_bar);
  with_type(d, [&]<class T>(T) {
    if (g.n == 0 || g.out_size() == 0) std::fill_n(static_cast<T*>(w_bar), g.w_size(), T(0));
    else if (is_depthwise(g))
      depthwise_grads<T>(g, in_as<T>(x), nullptr, in_as<T>(y_bar), nullptr, static_cast<T*>(w_bar));
    else if (is_direct(g, g.o)) direct_weight_grad(g, in_as<T>(x), in_as<T>(y_bar), static_cast<T*>(w_bar));
    else matrix_weight_grad(g, in_as<T>(x), in_as<T>(y_bar), static_cast<T*>(w_bar));
  });
}

// What is large is read once.
bool gains_together(DType d, const Convolution& g) {
  return is_depthwise(g) && is_far(g.y_size() * static_cast<std::int64_t>(size_of(d)));
}

void conv_grads(DType d, const Convolution& g, const void* x, const void* w, const void* y_bar, void* x_bar,
                void* w_bar) {
  with_type(d, [&]<class T>(T) {
    depthwise_grads(g, in_as<T>(x), in_as<T>(w), in_as<T>(y_bar), static_cast<T*>(x_bar), static_cast<T*>(w_bar));
  });
}

}  // namespace wengert::kernels
