#pragma once

#include "wengert/autodiff/ops.h"
#include "wengert/nn/mode.h"

namespace wengert::nn {

/// In training every entry becomes 0 with probability p, and 1 / (1 - p) times itself otherwise; p = 1 gives zeros.
/// Otherwise x. The mask is not kept but drawn again for derivatives: it depends on a number of the mode's generator,
/// which moves on by one block, and on the place of the entry.  ValueError unless p is in [0, 1], and in training
/// without a generator.  Srivastava et al. 2014.
WENGERT_API Tensor dropout(Operand x, double p, Mode mode);
/// The same for whole channels: x [n, channels, ...], one decision for each of n channels.  Tompson et al. 2015.
WENGERT_API Tensor channel_dropout(Operand x, double p, Mode mode);

/// dropout as a layer.
struct WENGERT_API Dropout {
  double p = 0.5;
  Tensor operator()(Operand x, Mode) const;
};

/// channel_dropout for [n, channels, spatial...] with this many spatial axes.
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
