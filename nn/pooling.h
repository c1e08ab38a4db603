#pragma once

// Pooling and resampling, over the last one to three axes: [.., spatial...]. No parameters.

#include "wengert/autodiff/ops.h"
#include "wengert/nn/extent.h"

namespace wengert::nn {

/// Largest of each window; padding counts as -inf, and the first of equal entries receives the cotangent.  [..,
/// spatial...] -> [.., spatial'...] as for Conv.  A stride of 0 means the kernel.  Errors are those of max_pool.
template <int rank>
struct WENGERT_API MaxPool {
  Extent<rank> kernel = 2, stride = 0, padding = 0, dilation = 1;
  bool ceil_mode = false;
  Tensor operator()(Operand x) const;
};
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;

/// Mean of each window; the padding's zeros count unless told otherwise.
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

/// Largest (mean) of windows chosen so that the result has this size: [.., spatial...] -> [.., size...].  Entry o of an
/// axis is made of those from floor(o in / out) to ceil((o + 1) in / out).
template <int rank>
struct WENGERT_API AdaptiveMaxPool {
  Extent<rank> size = 1;
  Tensor operator()(Operand x) const;
};
using AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
using AdaptiveMaxPool3d = AdaptiveMaxPool<3>;
template <int rank>
struct WENGERT_API AdaptiveAvgPool {
  Extent<rank> size = 1;
  Tensor operator()(Operand x) const;
};
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

/// Resampling of [n, channels, spatial...] to `size`, or to floor(in factor).  See interpolate.
struct WENGERT_API Upsample {
  double factor = 2;
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  Shape size = {};  ///< a number for each spatial axis; if given, the factor does not matter
  Tensor operator()(Operand x) const;
};

/// Channels to space: [.., c factor^2, h, w] -> [.., c, h factor, w factor], and back.  ShapeError when the channels
/// (height and width) cannot be divided.  Shi et al. 2016.
struct WENGERT_API PixelShuffle {
  std::int64_t factor = 2;
  Tensor operator()(Operand x) const;
};
struct WENGERT_API PixelUnshuffle {
  std::int64_t factor = 2;
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
