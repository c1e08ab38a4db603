#include "wengert/nn/pooling.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"

namespace wengert::nn {
namespace {

// Replaces each stride of 0 by the kernel size of that axis.
template <int rank>
Shape stride_or_kernel(Extent<rank> stride, Extent<rank> kernel) {
  Shape s = stride;
  for (int i = 0; i < rank; ++i)
    if (s[i] == 0) s[i] = kernel[i];
  return s;
}

}  // namespace

template <int rank>
Tensor MaxPool<rank>::operator()(Operand x) const {
  const At at(x.where());
  return max_pool(
      x, kernel,
      {.stride = stride_or_kernel(stride, kernel), .padding = padding, .dilation = dilation, .ceil_mode = ceil_mode});
}

template <int rank>
Tensor AvgPool<rank>::operator()(Operand x) const {
  const At at(x.where());
  return avg_pool(x, kernel,
                  {.stride = stride_or_kernel(stride, kernel),
                   .padding = padding,
                   .ceil_mode = ceil_mode,
                   .count_padding = count_padding});
}

template <int rank>
Tensor LpPool<rank>::operator()(Operand x) const {
  const At at(x.where());
  if (!(p > 0))
    fail<ValueError>(x.where(), "{}: p must be > 0, got {}", name_of<rank>("LpPool1d", "LpPool2d", "LpPool3d"), p);
  const Tensor mean = avg_pool(pow(x, p), kernel, {.stride = stride_or_kernel(stride, kernel), .ceil_mode = ceil_mode});
  return pow(mean * static_cast<double>(kernel.product()), 1 / p);
}

template <int rank>
Tensor AdaptiveMaxPool<rank>::operator()(Operand x) const {
  const At at(x.where());
  return adaptive_max_pool(x, output_size);
}

template <int rank>
Tensor AdaptiveAvgPool<rank>::operator()(Operand x) const {
  const At at(x.where());
  return adaptive_avg_pool(x, output_size);
}

Tensor Upsample::operator()(Operand x) const {
  const At at(x.where());
  if (x->rank() < 3 || x->rank() > 5)
    fail<ShapeError>(x.where(), "Upsample: needs [n, channels] and one to three spatial axes, got {}", x->shape());
  const int spatial = x->rank() - 2;
  if (size.empty()) {
    const std::vector<double> factors(static_cast<std::size_t>(spatial), scale_factor);
    return interpolate_by(x, factors, {mode, align_corners});
  }
  if (size.rank() != spatial)
    fail<ShapeError>(x.where(), "Upsample: size {} needs one number for each spatial axis of {}", size, x->shape());
  return interpolate(x, size, {mode, align_corners});
}

Tensor PixelShuffle::operator()(Operand x) const {
  const At at(x.where());
  return pixel_shuffle(x, upscale_factor);
}

Tensor PixelUnshuffle::operator()(Operand x) const {
  const At at(x.where());
  const int r = x->rank();
  const std::int64_t factor = downscale_factor;
  if (factor < 1 || r < 3 || x->shape()[r - 2] % factor || x->shape()[r - 1] % factor)
    fail<ShapeError>(x.where(), "PixelUnshuffle: {} needs [.., c, h {}, w {}]", x->shape(), factor, factor);
  const std::int64_t h = x->shape()[r - 2] / factor, w = x->shape()[r - 1] / factor;
  Shape shape = x->shape();
  shape[r - 3] *= factor * factor, shape[r - 2] = h, shape[r - 1] = w;
  return reshape(permute(reshape(x, {-1, h, factor, w, factor}), {0, 2, 4, 1, 3}), shape);
}

#define WENGERT_RANKS(Layer) \
  template struct Layer<1>;  \
  template struct Layer<2>;  \
  template struct Layer<3>;
WENGERT_RANKS(MaxPool)
WENGERT_RANKS(AvgPool)
WENGERT_RANKS(LpPool)
WENGERT_RANKS(AdaptiveMaxPool)
WENGERT_RANKS(AdaptiveAvgPool)
#undef WENGERT_RANKS

}  // namespace wengert::nn
