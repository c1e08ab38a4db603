#include "wengert/nn/dropout.h"

#include "wengert/autodiff/kernels/dropout.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/nn/checked.h"

namespace wengert::nn {

using wengert::detail::needs_float;

// y = m x with the mask m of a seed; one element of m applies to `inner` consecutive elements of x. The rule is linear
// and its own transpose, so vjp and jvp apply it again and draw the mask again.
struct Drop {
  static constexpr std::string_view name = "dropout";
  std::uint64_t seed = 0;
  double p = 0;
  std::int64_t inner = 1;

  Tensor forward(const Tensor& x) const {
    const double keep = (1 - p) * 0x1p32;  // number of 32-bit words that keep
    if (keep < 1) return zeros(x.shape(), x.dtype());
    const Tensor a = contiguous(x.detach());
    Tensor y = empty(x.shape(), x.dtype());
    const kernels::DropoutMask mask{seed, static_cast<std::uint32_t>(keep - 1), inner, 1 / (1 - p)};
    if (x.numel()) {
      auto numbers = [](const Tensor& t) { return detail::Access::body(t)->data(); };
      kernels::dropout(x.dtype(), mask, x.numel() / inner, numbers(a), numbers(y));
    }
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return apply(*this, Operand(y_bar)); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return apply(*this, Operand(x_dot)); }
};

namespace {

Tensor dropped(const char* what, Operand x, double p, Mode mode, std::int64_t inner) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>(x.where(), "{}: p must be in [0, 1], got {}", what, p);
  if (!mode.training || p == 0) return x;
  needs_float(what, x);
  return apply(Drop{mode.generator(what, x.where()).bits(), p, inner}, x);
}

}  // namespace

Tensor dropout(Operand x, double p, Mode mode) { return dropped("dropout", x, p, mode, 1); }

Tensor channel_dropout(Operand x, double p, Mode mode) {
  if (x->rank() < 2) fail<ShapeError>(x.where(), "channel_dropout: needs [n, channels, ...], got {}", x->shape());
  std::int64_t inner = 1;
  for (int i = 2; i < x->rank(); ++i) inner *= x->shape()[i];
  return dropped("channel_dropout", x, p, mode, inner);
}

Tensor Dropout::operator()(Operand x, Mode mode) const { return dropped("Dropout", x, p, mode, 1); }

template <int rank>
Tensor ChannelDropout<rank>::operator()(Operand x, Mode mode) const {
  if (x->rank() != rank + 2)
    fail<ShapeError>(x.where(), "{}: needs [n, channels] and {} spatial axes, got {}",
                     name_of<rank>("Dropout1d", "Dropout2d", "Dropout3d"), rank, x->shape());
  return channel_dropout(x, p, mode);
}

template struct ChannelDropout<1>;
template struct ChannelDropout<2>;
template struct ChannelDropout<3>;

}  // namespace wengert::nn
