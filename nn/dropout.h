#pragma once

#include "wengert/autodiff/ops.h"
#include "wengert/nn/mode.h"

namespace wengert::nn {

/// In training each element becomes 0 with probability p and is multiplied by 1 / (1 - p) otherwise; p = 1 gives zeros.
/// In evaluation the result is x. The mask is not stored. Derivatives draw it again: it depends on one block of the
/// generator in `mode` and on the index of the element.  ValueError unless p is in [0, 1], and in training without a
/// generator.  Srivastava et al. 2014.
WENGERT_API Tensor dropout(Operand x, double p, Mode mode);
/// Dropout of whole channels: x [n, channels, ...], with one random decision for each channel of each example.  Tompson
/// et al. 2015.
WENGERT_API Tensor channel_dropout(Operand x, double p, Mode mode);

/// dropout() as a layer.
struct WENGERT_API Dropout {
  double p = 0.5;
  Tensor operator()(Operand x, Mode) const;
};

/// channel_dropout() as a layer, for [n, channels, spatial...] with `rank` spatial axes.
template <int rank>
struct WENGERT_API ChannelDropout {
  double p = 0.5;
  Tensor operator()(Operand x, Mode) const;
};
using Dropout1d = ChannelDropout<1>;
using Dropout2d = ChannelDropout<2>;
using Dropout3d = ChannelDropout<3>;
extern template struct ChannelDropout<1>;
extern template struct ChannelDropout<2>;
extern template struct ChannelDropout<3>;

}  // namespace wengert::nn
