#pragma once

// The vocabulary of networks. A layer is a struct whose members are its parameters and whose operator() is its formula; a model is a struct of
// layers (autodiff/model.h). Activations are operators (autodiff/ops.h): relu(hidden(x)).
//
// Layers draw their first values from the generator they are given, or from this thread's default_rng() (seed(n) starts it afresh).
// Errors name the line of the user's call.

#include "wengert/autodiff/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

/// @name Layers
/// @{

struct LinearOptions {
  bool bias = true;
  DType dtype = float32;
};

/// x W^T + bias.  x [..., in] -> [..., out].  weight [out, in] and bias [out] start from U(-1/sqrt(in), 1/sqrt(in)).
/// ValueError unless in and out are at least 1.
struct WENGERT_API Linear {
  Linear(std::int64_t in, std::int64_t out, LinearOptions, Rng& = default_rng(), Where = Where::current());
  Linear(std::int64_t in, std::int64_t out, Rng& rng = default_rng(), Where where = Where::current()) : Linear(in, out, {}, rng, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;  ///< bias is undefined when there is none
};

struct Conv2dLayerOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
  DType dtype = float32;
};

/// Cross-correlation of images.  x [n, in, h, w] -> [n, out, h', w'], h' = floor((h + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
/// weight [out, in / groups, kernel, kernel] and bias [out] start from U(-b, b), b = 1/sqrt(in / groups kernel^2).
/// ValueError unless in, out and kernel are at least 1 and groups divides in and out.
struct WENGERT_API Conv2d {
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Conv2dLayerOptions, Rng& = default_rng(), Where = Where::current());
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, Rng& rng = default_rng(), Where where = Where::current())
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

/// Joins axes first..last: x [n, c, h, w] -> [n, c h w].
struct WENGERT_API Flatten {
  int first = 1, last = -1;
  Tensor operator()(Operand x) const;
};
/// @}

/// @name Losses: one number, the mean over the batch. Shapes must be equal where a loss compares two tensors: nothing is broadcast.
/// @{
/// Mean over rows of -log softmax(logits)[label].  logits [n, classes], labels [n] int64.  ShapeError, TypeError; ValueError naming row and label
/// when a label is out of range.
WENGERT_API Tensor cross_entropy(Operand logits, Operand labels);
/// Mean of (prediction - target)^2 over all elements.  ShapeError unless the shapes are equal.
WENGERT_API Tensor mse(Operand prediction, Operand target);
/// @}

/// Share of rows whose largest logit is that of the label; off the tape.  logits [n, classes], labels [n] int64.  ShapeError, TypeError.
WENGERT_API double accuracy(Operand logits, Operand labels);

}  // namespace wengert::nn
