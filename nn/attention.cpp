#include "wengert/nn/attention.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/dropout.h"
#include "wengert/nn/init.h"

#include <cmath>

namespace wengert::nn {

namespace {

constexpr const char* attention_name = "MultiHeadAttention";

Linear zero_bias(std::int64_t size, Rng& rng, const MultiHeadAttentionOptions& o, Where where) {
  Linear l(size, size, rng, {.bias = o.bias, .dtype = o.dtype}, where);
  if (o.bias) l.bias = Param(zeros({size}, o.dtype), where);
  return l;
}

// The mask combined with key_padding_mask: bool (true: may attend), or values added to the scores.
Tensor whole_mask(const AttentionInput& given, DType dtype) {
  const Tensor& mask = given.mask;
  if (!given.key_padding_mask.defined()) return mask;
  const Tensor hidden = unsqueeze(unsqueeze(given.key_padding_mask, 1), 1);  // [n, 1, 1, k]
  const Tensor look = equal(hidden, scalar(0, boolean));
  if (!mask.defined()) return look;
  if (mask.dtype() == boolean) return where(look, mask, scalar(0, boolean));
  return where(look, mask, scalar(-HUGE_VAL, dtype));
}

// Masks for scores [n, heads, m, k].
Tensor over_heads(const Tensor& mask) { return mask.defined() && mask.rank() == 3 ? unsqueeze(mask, 1) : mask; }

// [n, length, size] -> [n, heads, length, size / heads].
Tensor cut(const Tensor& x, std::int64_t heads) {
  return transpose(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), 1, 2);
}
Tensor joined(const Tensor& y) { return reshape(transpose(y, 1, 2), {y.size(0), y.size(2), y.size(1) * y.size(3)}); }

bool same(Operand x, Operand y) {
  return x->defined() && y->defined() && wengert::detail::Access::body(x) == wengert::detail::Access::body(y) &&
         wengert::detail::Access::node(x) == wengert::detail::Access::node(y);
}

void check_input(const char* what, Operand query, Operand x, std::int64_t size) {
  if (x->rank() != 3 || x->shape()[2] != size)
    fail<ShapeError>(query.where(), "{}: {} must be [n, length, {}] (or [length, n, {}]), got {}", attention_name, what,
                     size, size, x->shape());
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(std::int64_t width, std::int64_t count, Rng& rng, const Options& o, Where where)
    : out_proj((at_least_one(attention_name, "size", width, where), zero_bias(width, rng, o, where))),
      size(width),
      heads(count),
      options(o) {
  at_least_one(attention_name, "heads", heads, where);
  if (size % heads) fail<ValueError>(where, "{}: {} heads do not divide {}", attention_name, heads, size);
  const std::int64_t k = o.key_size ? o.key_size : size, v = o.value_size ? o.value_size : size;
  const auto weight = [&](std::int64_t out, std::int64_t in) {
    return Param(init::xavier_uniform({out, in}, rng, 1, o.dtype, where), where);
  };
  if (k == size && v == size) in_proj_weight = weight(3 * size, size);
  else q_proj_weight = weight(size, size), k_proj_weight = weight(size, k), v_proj_weight = weight(size, v);
  if (o.bias) in_proj_bias = Param(zeros({3 * size}, o.dtype), where);
}

Attention MultiHeadAttention::operator()(Operand query, Operand key, Operand value, const AttentionInput& given) const {
  const At at(query.where());
  const bool packed = in_proj_weight.defined();
  check_input("query", query, query, size);
  check_input("key", query, key, packed ? size : k_proj_weight.size(1));
  check_input("value", query, value, packed ? size : v_proj_weight.size(1));
  const auto batched = [&](const Tensor& x) { return options.batch_first ? x : transpose(x, 0, 1); };
  const auto finished = [&](const Tensor& y) { return out_proj(batched(y)); };
  const Tensor mask = over_heads(whole_mask(given, query->dtype()));
  const bool drops = given.mode.training && options.dropout > 0;
  const bool itself = packed && same(query, key) && same(query, value);
  const Tensor x = batched(query);
  Tensor all;
  if (itself) {
    all = linear(x, in_proj_weight, in_proj_bias);
    if (!drops && !given.need_weights) return {finished(self_attend(all, heads, {.mask = mask, .causal = given.causal})), {}};
  }
  const auto projected = [&](int i, const Tensor& from, const Param& own) {
    if (itself) return cut(narrow(all, 2, i * size, size), heads);
    const Tensor w = packed ? narrow(in_proj_weight, 0, i * size, size) : Tensor(own);
    const Tensor b = in_proj_bias.defined() ? narrow(in_proj_bias, 0, i * size, size) : Tensor();
    return cut(linear(from, w, b), heads);
  };
  const Tensor q = projected(0, x, q_proj_weight), k = projected(1, batched(key), k_proj_weight),
               v = projected(2, batched(value), v_proj_weight);
  if (!drops && !given.need_weights) return {finished(joined(attend(q, k, v, {.mask = mask, .causal = given.causal}))), {}};
  const Attention a = attention(q, k, v, {.mask = mask, .causal = given.causal});
  const Tensor y = drops ? matmul(dropout(a.weights, options.dropout, given.mode), v) : a.output;
  return {finished(joined(y)), given.need_weights ? mean(a.weights, {1}) : Tensor()};
}

namespace {

MultiHeadAttentionOptions attention_options(const TransformerOptions& o) {
  return {.dropout = o.dropout, .batch_first = o.batch_first, .dtype = o.dtype};
}
LinearOptions linear_options(const TransformerOptions& o) { return {.dtype = o.dtype}; }
LayerNormOptions norm_options(const TransformerOptions& o) { return {.eps = o.eps, .dtype = o.dtype}; }

Tensor dropped(const Tensor& x, const TransformerOptions& o, Mode mode) {
  return mode.training && o.dropout > 0 ? dropout(x, o.dropout, mode) : x;
}

// The residual connection x + f(x), with the norm before f or after the sum.
template <class F>
Tensor added(const Tensor& x, const LayerNorm& norm, const TransformerOptions& o, Mode mode, F&& f) {
  if (o.norm_first) return x + dropped(f(norm(x)), o, mode);
  return norm(x + dropped(f(x), o, mode));
}

Tensor widened(const Tensor& x, const Linear& first, const Linear& second, const TransformerOptions& o, Mode mode) {
  const Tensor h = first(x);
  return second(dropped(o.activation == Activation::gelu ? gelu(h) : relu(h), o, mode));
}

AttentionInput without_weights(AttentionInput given) {
  given.need_weights = false;
  return given;
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(std::int64_t size, std::int64_t heads, Rng& rng, const Options& o,
                                                 Where where)
    : self_attn(size, heads, rng, attention_options(o), where),
      linear1(size, o.dim_feedforward, rng, linear_options(o), where),
      linear2(o.dim_feedforward, size, rng, linear_options(o), where),
      norm1(size, norm_options(o), where),
      norm2(size, norm_options(o), where),
      options(o) {}

Tensor TransformerEncoderLayer::operator()(Operand x, const AttentionInput& given) const {
  const At at(x.where());
  const AttentionInput input = without_weights(given);
  const Tensor h =
      added(x, norm1, options, given.mode, [&](const Tensor& t) { return self_attn(t, t, t, input).output; });
  return added(h, norm2, options, given.mode,
               [&](const Tensor& t) { return widened(t, linear1, linear2, options, given.mode); });
}

TransformerDecoderLayer::TransformerDecoderLayer(std::int64_t size, std::int64_t heads, Rng& rng, const Options& o,
                                                 Where where)
    : self_attn(size, heads, rng, attention_options(o), where),
      multihead_attn(size, heads, rng, attention_options(o), where),
      linear1(size, o.dim_feedforward, rng, linear_options(o), where),
      linear2(o.dim_feedforward, size, rng, linear_options(o), where),
      norm1(size, norm_options(o), where),
      norm2(size, norm_options(o), where),
      norm3(size, norm_options(o), where),
      options(o) {}

Tensor TransformerDecoderLayer::operator()(Operand x, Operand memory, const AttentionInput& own,
                                           const AttentionInput& other) const {
  const At at(x.where());
  AttentionInput here = without_weights(own), there = without_weights(other);
  there.mode = own.mode;
  Tensor h = added(x, norm1, options, own.mode, [&](const Tensor& t) { return self_attn(t, t, t, here).output; });
  h = added(h, norm2, options, own.mode,
            [&](const Tensor& t) { return multihead_attn(t, memory, memory, there).output; });
  return added(h, norm3, options, own.mode,
               [&](const Tensor& t) { return widened(t, linear1, linear2, options, own.mode); });
}

TransformerEncoder::TransformerEncoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads, Rng& rng,
                                       const TransformerOptions& o, Where where) {
  at_least_one("TransformerEncoder", "num_layers", num_layers, where);
  for (std::int64_t i = 0; i < num_layers; ++i) layers.emplace_back(size, heads, rng, o, where);
}
Tensor TransformerEncoder::operator()(Operand x, const AttentionInput& given) const {
  const At at(x.where());
  Tensor h = x;
  for (const auto& layer : layers) h = layer({h, x.where()}, given);
  return h;
}

TransformerDecoder::TransformerDecoder(std::int64_t num_layers, std::int64_t size, std::int64_t heads, Rng& rng,
                                       const TransformerOptions& o, Where where) {
  at_least_one("TransformerDecoder", "num_layers", num_layers, where);
  for (std::int64_t i = 0; i < num_layers; ++i) layers.emplace_back(size, heads, rng, o, where);
}
Tensor TransformerDecoder::operator()(Operand x, Operand memory, const AttentionInput& own,
                                      const AttentionInput& other) const {
  const At at(x.where());
  Tensor h = x;
  for (const auto& layer : layers) h = layer({h, x.where()}, memory, own, other);
  return h;
}

namespace {

// Angles p / base^(2 i / size) for positions first, first + 1, ...: [length, half], float64.
Tensor angles(std::int64_t first, std::int64_t length, std::int64_t half, double size, double base) {
  Tensor all = zeros({length, half}, float64);
  auto to = all.write<double>();
  for (std::int64_t i = 0; i < half; ++i) {
    const double speed = std::pow(base, -2 * static_cast<double>(i) / size);
    for (std::int64_t p = 0; p < length; ++p)
      to[static_cast<std::size_t>(p * half + i)] = static_cast<double>(first + p) * speed;
  }
  return all;
}

}  // namespace

Tensor sinusoidal_positions(std::int64_t length, std::int64_t size, DType dtype, Where where) {
  at_least_one("sinusoidal_positions", "length", length, where);
  at_least_one("sinusoidal_positions", "size", size, where);
  const Tensor a = angles(0, length, (size + 1) / 2, static_cast<double>(size), 10000);
  const Tensor both = reshape(stack({sin(a), cos(a)}, 2), {length, (size + 1) / 2 * 2});
  return to(contiguous(narrow(both, 1, 0, size)), dtype);
}

LearnedPositions::LearnedPositions(std::int64_t max_length, std::int64_t size, Rng& rng, DType dtype, Where where) {
  at_least_one("LearnedPositions", "max_length", max_length, where),
      at_least_one("LearnedPositions", "size", size, where);
  weight = Param(rng.normal({max_length, size}, 0, 0.02, dtype), where);
}
Tensor LearnedPositions::operator()(Operand x) const {
  const At at(x.where());
  if (x->rank() < 2 || x->shape().back() != weight.size(1) || x->size(-2) > weight.size(0))
    fail<ShapeError>(x.where(), "LearnedPositions: x must be [.., length, {}] with length <= {}, got {}",
                     weight.size(1), weight.size(0), x->shape());
  return x + narrow(weight, 0, 0, x->size(-2));
}

Tensor rotary(Operand x, std::int64_t first, double base) {
  const At at(x.where());
  if (x->rank() < 2 || x->shape().back() % 2)
    fail<ShapeError>(x.where(), "rotary: x must be [.., length, size] with an even size, got {}", x->shape());
  const std::int64_t half = x->shape().back() / 2;
  const Tensor a = angles(first, x->size(-2), half, 2 * static_cast<double>(half), base);
  const Tensor c = to(cos(a), x->dtype()), s = to(sin(a), x->dtype());
  const Tensor left = narrow(x, -1, 0, half), right = narrow(x, -1, half, half);
  return cat({left * c - right * s, right * c + left * s}, -1);
}

}  // namespace wengert::nn
