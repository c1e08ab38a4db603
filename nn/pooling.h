#pragma once

// Pooling and resampling over the last one to three axes, [.., spatial...]. These layers have no parameters.

#include "wengert/autodiff/ops.h"
#include "wengert/nn/extent.h"

namespace wengert::nn {

/// The maximum of each window. Padding counts as -inf. The first of several equal maxima receives the cotangent.  [..,
/// spatial...] -> [.., spatial'...] as for Conv.  A stride of 0 stands for the kernel size.  Errors as for
/// max_pool.
template <int rank>
struct WENGERT_API MaxPool {
  Extent<rank> kernel = 2, stride = 0, padding = 0, dilation = 1;
  bool ceil_mode = false;
  Tensor operator()(Operand x) const;
};
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;

/// The mean of each window. The zeros of the padding are part of the mean unless count_padding is false.
template <int rank>
struct WENGERT_API AvgPool {
  Extent<rank> kernel = 2, stride = 0, padding = 0;
  bool ceil_mode = false, count_padding = true;
  Tensor operator()(Operand x) const;
};
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;
using AvgPool3d = AvgPool<3>;

/// (sum of x^p over each window)^(1/p).  NaN where the sum is negative, for odd p.
template <int rank>
struct WENGERT_API LpPool {
  double p = 2;
  Extent<rank> kernel = 2, stride = 0;
  bool ceil_mode = false;
  Tensor operator()(Operand x) const;
};
using LpPool1d = LpPool<1>;
using LpPool2d = LpPool<2>;
using LpPool3d = LpPool<3>;

/// The maximum (mean) of windows whose sizes follow from the size of the result: [.., spatial...] -> [..,
/// output_size...].  Window o of an axis covers the indices from floor(o in / out) up to ceil((o + 1) in / out).
template <int rank>
struct WENGERT_API AdaptiveMaxPool {
  Extent<rank> output_size = 1;
  Tensor operator()(Operand x) const;
};
using AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
using AdaptiveMaxPool3d = AdaptiveMaxPool<3>;
template <int rank>
struct WENGERT_API AdaptiveAvgPool {
  Extent<rank> output_size = 1;
  Tensor operator()(Operand x) const;
};
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

/// Resamples [n, channels, spatial...] to `size`, or to floor(in scale_factor).  See interpolate().
struct WENGERT_API Upsample {
  double scale_factor = 2;
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  Shape size = {};  ///< one number for each spatial axis; empty: scale_factor decides
  Tensor operator()(Operand x) const;
};

/// Channels to space with r = upscale_factor: [.., c r^2, h, w] -> [.., c, h r, w r].  PixelUnshuffle is the inverse.
/// ShapeError unless the channels are a multiple of r^2 (PixelUnshuffle: height and width are multiples of r).  Shi et
/// al. 2016.
struct WENGERT_API PixelShuffle {
  std::int64_t upscale_factor = 2;
  Tensor operator()(Operand x) const;
};
struct WENGERT_API PixelUnshuffle {
  std::int64_t downscale_factor = 2;
  Tensor operator()(Operand x) const;
};

#define WENGERT_RANKS(Layer)       \
  extern template struct Layer<1>; \
  extern template struct Layer<2>; \
  extern template struct Layer<3>;
WENGERT_RANKS(MaxPool)
WENGERT_RANKS(AvgPool)
WENGERT_RANKS(LpPool)
WENGERT_RANKS(AdaptiveMaxPool)
WENGERT_RANKS(AdaptiveAvgPool)
#undef WENGERT_RANKS

}  // namespace wengert::nn
