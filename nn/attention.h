#pragma once

// Attention, the layers of transformers, and ways to say where in a sequence an entry stands.

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
  double dropout = 0;                         ///< in training, of the weights
  bool batch_first = true;                    ///< false: [length, n, size], as PyTorch's default
  std::int64_t key_size = 0, value_size = 0;  ///< of keys and values, if it is not `size`
  DType dtype = float32;
};

/// What attention may be given beside query, key and value.
struct AttentionInput {
  Tensor mask = {};           ///< broadcast to [n, heads, m, k]: numbers that are added to scores, or bool (true: look)
  bool causal = false;        ///< query i sees keys 0..i
  Tensor key_padding = {};    ///< [n, k] bool: true where a key is padding, and nobody looks
  bool need_weights = false;  ///< return the weights too, the mean of those of the heads
  Mode mode = eval;
};

/// Several attentions side by side: for each head, softmax(q k^T / sqrt(size / heads) + mask) v with projections q, k,
/// v of query, key and value; the heads' outputs joined and projected once more.  query [n, m, size], key [n, k,
/// key_size], value [n, k, value_size] -> output [n, m, size], weights [n, m, k] if wanted.  A sequence that attends to
/// itself (one tensor for all three) has one projection and one node for all heads.  Names are PyTorch's:
/// in_proj_weight [3 size, size] (with other sizes of keys or values q_proj_weight, k_proj_weight, v_proj_weight),
/// in_proj_bias, out_proj.  Weights start as Glorot & Bengio's, biases from 0.  ValueError unless heads divides size.
/// ShapeError for other sizes.  Vaswani et al. 2017, 3.2.2.
struct WENGERT_API MultiHeadAttention {
  using Options = MultiHeadAttentionOptions;
  MultiHeadAttention(std::int64_t size, std::int64_t heads, const Options& = {}, Rng& = default_rng(),
                     Where = Where::current());
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
  std::int64_t feedforward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  double eps = 1e-5;        ///< of the norms
  bool batch_first = true;  ///< false: [length, n, size]
  bool norm_first = false;  ///< x + f(norm(x)) instead of norm(x + f(x)).  Xiong et al. 2020
  DType dtype = float32;
};

/// Attention to itself and two linear layers with an activation between them, each added to what came in, with layer
/// norm and, in training, dropout.  x [n, length, size] -> the same shape.  Of the input, mask, causal and key_padding
/// count.  Names are PyTorch's: self_attn, linear1, linear2, norm1, norm2.  Vaswani et al. 2017.
///
///   std::vector<nn::TransformerEncoderLayer> layers(6, nn::TransformerEncoderLayer(512, 8));   // all start alike
struct WENGERT_API TransformerEncoderLayer {
  using Options = TransformerOptions;
  TransformerEncoderLayer(std::int64_t size, std::int64_t heads, const Options& = {}, Rng& = default_rng(),
                          Where = Where::current());
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

/// The same with attention to `memory` [n, k, size], what an encoder made of another sequence, in between:
/// multihead_attn and norm3.  `own` is for the attention of x [n, length, size] to itself, `other` for that to the
/// memory.
struct WENGERT_API TransformerDecoderLayer {
  using Options = TransformerOptions;
  TransformerDecoderLayer(std::int64_t size, std::int64_t heads, const Options& = {}, Rng& = default_rng(),
                          Where = Where::current());
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

/// As many TransformerEncoderLayers, each with first values of its own: layers.0, layers.1, ...
struct WENGERT_API TransformerEncoder {
  TransformerEncoder(std::int64_t count, std::int64_t size, std::int64_t heads, const TransformerOptions& = {},
                     Rng& = default_rng(), Where = Where::current());
  Tensor operator()(Operand x, const AttentionInput& = {}) const;
  Tensor operator()(Operand x, Mode mode) const { return (*this)(x, AttentionInput{.mode = mode}); }
  static auto members(auto& self) { return fields(field("layers", self.layers)); }

  std::vector<TransformerEncoderLayer> layers;
};
/// The same for TransformerDecoderLayers.
struct WENGERT_API TransformerDecoder {
  TransformerDecoder(std::int64_t count, std::int64_t size, std::int64_t heads, const TransformerOptions& = {},
                     Rng& = default_rng(), Where = Where::current());
  Tensor operator()(Operand x, Operand memory, const AttentionInput& own = {}, const AttentionInput& other = {}) const;
  static auto members(auto& self) { return fields(field("layers", self.layers)); }

  std::vector<TransformerDecoderLayer> layers;
};

/// Sines and cosines of positions: [length, size] with entry (p, 2 i) = sin(p / 10000^(2 i / size)) and (p, 2 i + 1)
/// the cosine of that. Add it to x [.., length, size].  Vaswani et al. 2017, 3.5.
WENGERT_API Tensor sinusoidal_positions(std::int64_t length, std::int64_t size, DType = float32,
                                        Where = Where::current());

/// x [.., length, size] plus a vector for each position, which is learnt.  weight [longest, size] starts from N(0,
/// 0.02).  ShapeError for a longer x or another size.
struct WENGERT_API LearnedPositions {
  LearnedPositions(std::int64_t longest, std::int64_t size, DType = float32, Rng& = default_rng(),
                   Where = Where::current());
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
};

/// Rotary positions, for queries and keys: x [.., length, size], pairs (x_i, x_(i + size / 2)) turned by the angle
/// (first + p) / base^(2 i / size), so that the product of two depends on their distance only.  ShapeError for an odd
/// size.  Su et al. 2021.
WENGERT_API Tensor rotary(Operand x, std::int64_t first = 0, double base = 10000);

}  // namespace wengert::nn
