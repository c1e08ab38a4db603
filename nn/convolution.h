#pragma once

// Convolutions of signals, images and volumes: [n, channels, spatial...] with one, two or three spatial axes, or a
// single image without n. Initial weights and biases: U(-b, b), b = 1 / sqrt(fan_in), as in PyTorch.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/nn/extent.h"

namespace wengert::nn {

template <int rank>
struct ConvLayerOptions {
  Extent<rank> stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  PadMode padding_mode = PadMode::constant;  ///< values of the padding: zeros, or as in pad()
  DType dtype = float32;
};

/// Cross-correlation.  x [n, in, spatial...] -> [n, out, spatial'...] with, on each axis, size' = floor((size + 2
/// padding - dilation (kernel - 1) - 1) / stride) + 1.  weight [out, in / groups, kernel...], bias [out]; fan_in is in
/// / groups times the size of the kernel.  ValueError unless in, out, kernel, stride and dilation are >= 1, padding is
/// >= 0, and groups divides in and out.  ShapeError for x with other channels or another number of axes.
template <int rank>
struct WENGERT_API Conv {
  using Options = ConvLayerOptions<rank>;
  Conv(std::int64_t in, std::int64_t out, Extent<rank> kernel, Rng&, Options = {}, Where = Where::current());
  Conv(std::int64_t in, std::int64_t out, Extent<rank> kernel, Options options = {}, Where where = Where::current())
      : Conv(in, out, kernel, default_rng(), options, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;  ///< bias is undefined if options.bias is false
  ConvOptions options;
  PadMode padding_mode = PadMode::constant;
};
using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using Conv3d = Conv<3>;

template <int rank>
struct ConvTransposeLayerOptions {
  Extent<rank> stride = 1, padding = 0, output_padding = 0, dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  DType dtype = float32;
};

/// The transpose of Conv: every element of x adds a multiple of the kernel to the result.  x [n, in, spatial...] -> [n,
/// out, spatial'...] with size' = (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.  weight
/// [in, out / groups, kernel...], bias [out]; fan_in is out / groups times the size of the kernel as in PyTorch. Errors
/// as for Conv; ValueError for an output_padding that is smaller than neither stride nor dilation.
template <int rank>
struct WENGERT_API ConvTranspose {
  using Options = ConvTransposeLayerOptions<rank>;
  ConvTranspose(std::int64_t in, std::int64_t out, Extent<rank> kernel, Rng&, Options = {}, Where = Where::current());
  ConvTranspose(std::int64_t in, std::int64_t out, Extent<rank> kernel, Options options = {},
                Where where = Where::current())
      : ConvTranspose(in, out, kernel, default_rng(), options, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
  ConvTransposeOptions options;
};
using ConvTranspose1d = ConvTranspose<1>;
using ConvTranspose2d = ConvTranspose<2>;
using ConvTranspose3d = ConvTranspose<3>;

extern template struct Conv<1>;
extern template struct Conv<2>;
extern template struct Conv<3>;
extern template struct ConvTranspose<1>;
extern template struct ConvTranspose<2>;
extern template struct ConvTranspose<3>;

}  // namespace wengert::nn
