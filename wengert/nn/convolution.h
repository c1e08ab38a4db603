#pragma once

// Layers for signals, images and volumes.

#include "wengert/autodiff/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/random.h"

namespace wengert::nn {

struct Conv2dLayerOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
  DType dtype = float32;
};

/// Cross-correlation of images.  x [n, in, h, w] -> [n, out, h', w'], h' = floor((h + 2 padding - dilation (kernel - 1)
/// - 1) / stride) + 1. weight [out, in / groups, kernel, kernel] and bias [out] start from U(-b, b), b = 1/sqrt(in /
/// groups kernel^2). ValueError unless in, out and kernel are at least 1 and groups divides in and out.
struct WENGERT_API Conv2d {
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dLayerOptions, Rng& = default_rng(),
         Where = Where::current());
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Rng& rng = default_rng(),
         Where where = Where::current())
      : Conv2d(in, out, kernel, {}, rng, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
  Conv2dOptions options;
};

/// Largest of each kernel x kernel window; stride 0 means kernel.  x [..., h, w] -> [..., h', w'].
struct WENGERT_API MaxPool2d {
  std::int64_t kernel = 2, stride = 0, padding = 0;
  Tensor operator()(Operand x) const;
};

}  // namespace wengert::nn
