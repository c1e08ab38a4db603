#pragma once

// Linear layers, embeddings, and layers that change shapes.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = float32;
};

/// x W^T + bias.  x [..., in] -> [..., out].  Initial values of weight
/// [out, in] and bias [out]: U(-1/sqrt(in), 1/sqrt(in)).
/// ValueError unless in and out are >= 1; ShapeError unless the
/// last axis of x has size `in`.
struct WENGERT_API Linear {
  Linear(std::int64_t in, std::int64_t out, Rng&, LinearOptions = {}, Where = Where::current());
  Linear(std::int64_t in, std::int64_t out, LinearOptions options = {}, Where where = Where::current())
      : Linear(in, out, default_rng(), options, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;  ///< bias is undefined if options.bias is false
};

struct BilinearOptions {
  bool bias = true;
  DType dtype = float32;
};

/// sum over i, j of x_i weight[o, i, j] y_j + bias[o].  x [..., in1], y [..., in2], leading axes broadcast -> [...,
/// out].  Initial values of weight [out, in1, in2] and bias [out]: U(-1/sqrt(in1), 1/sqrt(in1)).  ShapeError unless the
/// last axes have sizes in1 and in2.
struct WENGERT_API Bilinear {
  Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, Rng&, BilinearOptions = {}, Where = Where::current());
  Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, BilinearOptions options = {},
           Where where = Where::current())
      : Bilinear(in1, in2, out, default_rng(), options, where) {}
  Tensor operator()(Operand x, Operand y) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
};

struct EmbeddingOptions {
  std::optional<std::int64_t> padding_index = {};  ///< this row stays 0; negative: counted from the end
  DType dtype = float32;
};

/// Looks up rows of weight [num_embeddings, size] by int64 indices of any shape: [...] -> [..., size].  Initial values:
/// N(0, 1), and 0 in the row padding_index, which receives no gradient.  The gradient of weight has the shape of
/// weight. Rows that are looked up several times are added in the order of the indices.  ValueError, which names the
/// index, when an index is out of range.
struct WENGERT_API Embedding {
  Embedding(std::int64_t num_embeddings, std::int64_t size, Rng&, EmbeddingOptions = {}, Where = Where::current());
  Embedding(std::int64_t num_embeddings, std::int64_t size, EmbeddingOptions options = {},
            Where where = Where::current())
      : Embedding(num_embeddings, size, default_rng(), options, where) {}
  Tensor operator()(Operand index) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
  std::optional<std::int64_t> padding_index;
};

/// Returns x.
struct Identity {
  Tensor operator()(Operand x) const { return x; }
};

/// Joins axes first..last: x [n, c, h, w] -> [n, c h w].
struct WENGERT_API Flatten {
  int first = 1, last = -1;
  Tensor operator()(Operand x) const;
};

/// Splits an axis into several axes. One of the sizes may be -1, and is then computed: x [n, c h w] -> [n, c, h, w].
struct WENGERT_API Unflatten {
  int axis = 1;
  Shape sizes;
  Tensor operator()(Operand x) const;
};

}  // namespace wengert::nn
