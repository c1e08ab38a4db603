#pragma once

// Attention, transformer layers, and encodings of positions.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/nn/layers.h"
#include "wengert/nn/mode.h"
#include "wengert/nn/normalization.h"

namespace wengert::nn {

struct MultiHeadAttentionOptions {
  bool bias = true;
  double dropout = 0;                         ///< probability in training, on the attention weights
  bool batch_first = true;                    ///< false: [length, n, size], PyTorch's default
  std::int64_t key_size = 0, value_size = 0;  ///< sizes of keys and values; 0: `size`
  DType dtype = float32;
};

/// Optional inputs of attention.
struct AttentionInput {
  Tensor mask = {};              ///< broadcast to [n, heads, m, k]: added to the scores, or bool (true: may attend)
  bool causal = false;           ///< query i attends to keys 0..i only
  Tensor key_padding_mask = {};  ///< [n, k] bool; true: key is padding and is not attended to
  bool need_weights = false;     ///< also return the attention weights, averaged over the heads
  Mode mode = eval;
};

/// Multi-head attention: for each head, softmax(q k^T / sqrt(size / heads) + mask) v with projections q, k, v of query,
/// key and value. The outputs of the heads are concatenated and projected.  query [n, m, size], key [n, k, key_size],
/// value [n, k, value_size] -> output [n, m, size], weights [n, m, k] with need_weights.  Self-attention (one tensor
/// for all three) takes one projection and one node for all heads.  Names are PyTorch's: in_proj_weight [3 size, size]
/// (with other sizes of keys or values q_proj_weight, k_proj_weight, v_proj_weight), in_proj_bias, out_proj.  Initial
/// weights: init::xavier_uniform. Initial biases: 0.  ValueError unless heads divides size. ShapeError for other
/// sizes.  Vaswani et al. 2017, 3.2.2.
struct WENGERT_API MultiHeadAttention {
  using Options = MultiHeadAttentionOptions;
  MultiHeadAttention(std::int64_t size, std::int64_t heads, Rng&, const Options& = {}, Where = Where::current());
  MultiHeadAttention(std::int64_t size, std::int64_t heads, const Options& options = {}, Where where = Where::current())
      : MultiHeadAttention(size, heads, default_rng(), options, where) {}
  Attention operator()(Operand query, Operand key, Operand value, const AttentionInput& = {}) const;
  static auto members(auto& self) {
    return fields(field("in_proj_weight", self.in_proj_weight), field("q_proj_weight", self.q_proj_weight),
                  field("k_proj_weight", self.k_proj_weight), field("v_proj_weight", self.v_proj_weight),
                  field("in_proj_bias", self.in_proj_bias), field("out_proj", self.out_proj));
  }

  Param in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias;
  Linear out_proj;
  std::int64_t size, heads;
  Options options;
};

enum class Activation { relu, gelu };
struct TransformerOptions {
  std::int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  double eps = 1e-5;        ///< of the layer norms
  bool batch_first = true;  ///< false: [length, n, size]
  bool norm_first = false;  ///< x + f(norm(x)) instead of norm(x + f(x)).  Xiong et al. 2020
  DType dtype = float32;
};

/// Self-attention, then two linear layers with an activation in between. Each of the two parts is a residual connection
/// with layer norm and, in training, dropout.  x [n, length, size] -> the same shape.  AttentionInput::need_weights has
/// no effect.  Names are PyTorch's: self_attn, linear1, linear2, norm1, norm2.  Vaswani et al. 2017.
///
///   // Six copies of one layer: same initial weights.
///   std::vector<nn::TransformerEncoderLayer> layers(6, nn::TransformerEncoderLayer(512, 8));
struct WENGERT_API TransformerEncoderLayer {
  using Options = TransformerOptions;
  TransformerEncoderLayer(std::int64_t size, std::int64_t heads, Rng&, const Options& = {}, Where = Where::current());
  TransformerEncoderLayer(std::int64_t size, std::int64_t heads, const Options& options = {},
                          Where where = Where::current())
      : TransformerEncoderLayer(size, heads, default_rng(), options, where) {}
  Tensor operator()(Operand x, const AttentionInput& = {}) const;
  Tensor operator()(Operand x, Mode mode) const { return (*this)(x, AttentionInput{.mode = mode}); }
  static auto members(auto& self) {
    return fields(field("self_attn", self.self_attn), field("linear1", self.linear1), field("linear2", self.linear2),
                  field("norm1", self.norm1), field("norm2", self.norm2));
  }

  MultiHeadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Options options;
};

/// TransformerEncoderLayer with a second attention between the self-attention and the linear layers: multihead_attn,
/// with norm3, attends to `memory` [n, k, size], the output of an encoder.  `own` is the input of the self-attention of
/// x [n, length, size], and `other` the input of the attention to memory.
struct WENGERT_API TransformerDecoderLayer {
  using Options = TransformerOptions;
  TransformerDecoderLayer(std::int64_t size, std::int64_t heads, Rng&, const Options& = {}, Where = Where::current());
  TransformerDecoderLayer(std::int64_t size, std::int64_t heads, const Options& options = {},
                          Where where = Where::current())
      : TransformerDecoderLayer(size, heads, default_rng(), options, where) {}
  Tensor operator()(Operand x, Operand memory, const AttentionInput& own = {}, const AttentionInput& other = {}) const;
  static auto members(auto& self) {
    return fields(field("self_attn", self.self_attn), field("multihead_attn", self.multihead_attn),
                  field("linear1", self.linear1), field("linear2", self.linear2), field("norm1", self.norm1),
                  field("norm2", self.norm2), field("norm3", self.norm3));
  }

  MultiHeadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  Options options;
};

/// A stack of num_layers TransformerEncoderLayers, each with its own initial values: layers.0, layers.1, ...
struct WENGERT_API TransformerEncoder {
  TransformerEncoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads, Rng&,
                     const TransformerOptions& = {}, Where = Where::current());
  TransformerEncoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads,
                     const TransformerOptions& options = {}, Where where = Where::current())
      : TransformerEncoder(num_layers, size, heads, default_rng(), options, where) {}
  Tensor operator()(Operand x, const AttentionInput& = {}) const;
  Tensor operator()(Operand x, Mode mode) const { return (*this)(x, AttentionInput{.mode = mode}); }
  static auto members(auto& self) { return fields(field("layers", self.layers)); }

  std::vector<TransformerEncoderLayer> layers;
};
/// A stack of num_layers TransformerDecoderLayers.
struct WENGERT_API TransformerDecoder {
  TransformerDecoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads, Rng&,
                     const TransformerOptions& = {}, Where = Where::current());
  TransformerDecoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads,
                     const TransformerOptions& options = {}, Where where = Where::current())
      : TransformerDecoder(num_layers, size, heads, default_rng(), options, where) {}
  Tensor operator()(Operand x, Operand memory, const AttentionInput& own = {}, const AttentionInput& other = {}) const;
  static auto members(auto& self) { return fields(field("layers", self.layers)); }

  std::vector<TransformerDecoderLayer> layers;
};

/// Sines and cosines of positions: [length, size] with element (p, 2 i) = sin(p / 10000^(2 i / size)) and element (p, 2
/// i + 1) the cosine of the same angle. The result is to be added to x [.., length, size].  Vaswani et al. 2017, 3.5.
WENGERT_API Tensor sinusoidal_positions(std::int64_t length, std::int64_t size, DType = float32,
                                        Where = Where::current());

/// x [.., length, size] plus a learned vector for each position.  Initial weight [max_length, size]: N(0, 0.02).
/// ShapeError for x with length > max_length or another size.
struct WENGERT_API LearnedPositions {
  LearnedPositions(std::int64_t max_length, std::int64_t size, Rng&, DType = float32, Where = Where::current());
  LearnedPositions(std::int64_t max_length, std::int64_t size, DType dtype = float32, Where where = Where::current())
      : LearnedPositions(max_length, size, default_rng(), dtype, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
};

/// Rotary position encoding of queries and keys: rotates the pairs (x_i, x_(i + size / 2)) of x [.., length, size] by
/// the angle (first + p) / base^(2 i / size), so that the product of a query and a key depends on their distance only.
/// ShapeError for an odd size.  Su et al. 2021.
WENGERT_API Tensor rotary(Operand x, std::int64_t first = 0, double base = 10000);

}  // namespace wengert::nn
