#pragma once

// Layers that multiply, look up and rearrange.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = float32;
};

/// x W^T + bias.  x [..., in] -> [..., out].  weight [out, in] and bias [out] start from U(-1/sqrt(in), 1/sqrt(in)).
/// ValueError unless in and out are at least 1; ShapeError for x with another last axis.
struct WENGERT_API Linear {
  Linear(std::int64_t in, std::int64_t out, LinearOptions, Rng& = default_rng(), Where = Where::current());
  Linear(std::int64_t in, std::int64_t out, Rng& rng = default_rng(), Where where = Where::current())
      : Linear(in, out, {}, rng, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;  ///< bias is undefined when there is none
};

/// sum over i, j of x_i weight[o, i, j] y_j + bias[o].  x [..., in1], y [..., in2], leading axes broadcast -> [...,
/// out].  weight [out, in1, in2] and bias [out] start from U(-1/sqrt(in1), 1/sqrt(in1)).  ShapeError for other sizes.
struct WENGERT_API Bilinear {
  Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, LinearOptions, Rng& = default_rng(),
           Where = Where::current());
  Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, Rng& rng = default_rng(),
           Where where = Where::current())
      : Bilinear(in1, in2, out, {}, rng, where) {}
  Tensor operator()(Operand x, Operand y) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
};

struct EmbeddingOptions {
  std::optional<std::int64_t> padding = {};  ///< a row that stays 0 and is not trained; negative: from the end
  DType dtype = float32;
};

/// Rows of weight [entries, size] by int64 indices of any shape: [...] -> [..., size].  Starts from N(0, 1), the row
/// `padding` from 0; that row receives no gradient.  The gradient of weight has its shape, as the optimizers want it:
/// zeros to which the rows that were looked up are added, duplicates in the order of the indices.  ValueError naming an
/// index that is out of range.
struct WENGERT_API Embedding {
  Embedding(std::int64_t entries, std::int64_t size, EmbeddingOptions, Rng& = default_rng(), Where = Where::current());
  Embedding(std::int64_t entries, std::int64_t size, Rng& rng = default_rng(), Where where = Where::current())
      : Embedding(entries, size, {}, rng, where) {}
  Tensor operator()(Operand index) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
  std::optional<std::int64_t> padding;
};

/// x.
struct Identity {
  Tensor operator()(Operand x) const { return x; }
};

/// Joins axes first..last: x [n, c, h, w] -> [n, c h w].
struct WENGERT_API Flatten {
  int first = 1, last = -1;
  Tensor operator()(Operand x) const;
};

/// Splits an axis into several; one of the sizes may be -1 and is computed: x [n, c h w] -> [n, c, h, w].
struct WENGERT_API Unflatten {
  int axis = 1;
  Shape sizes;
  Tensor operator()(Operand x) const;
};

}  // namespace wengert::nn
