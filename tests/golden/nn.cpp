#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

// PyTorch normalises over `normalized_shape` also when there is no weight.
Tensor layer_normed(const Args& a) {
  if (a.maybe("weight").defined()) return layer_norm(a.input(), a["weight"], a.maybe("bias"), a.number("eps"));
  Shape axes;
  for (int i = 1; i <= a.shape("normalized_shape").rank(); ++i) axes.push_back(-i);
  const Tensor y = standardize(a.input(), axes, a.number("eps"));
  return a.maybe("bias").defined() ? y + a["bias"] : y;
}

Results batch_normed(const Args& a) {
  const bool vector = a.input().rank() == 1;  // PyTorch takes an empty one
  const Tensor x = vector ? unsqueeze(a.input(), 1) : a.input(), mean = a.maybe("running_mean"),
               var = a.maybe("running_var"), weight = a.maybe("weight"), bias = a.maybe("bias");
  const double eps = a.number("eps");
  if (!a.flag("training")) return batch_norm(x, weight, bias, mean, var, eps);
  Tensor y = batch_norm(x, weight, bias, eps);
  if (vector) y = squeeze(y, 1);
  if (!mean.defined()) return y;
  const double m = a.number("momentum");
  Shape axes{0};
  for (int i = 2; i < x.rank(); ++i) axes.push_back(i);
  return {y, (1 - m) * mean + m * wengert::mean(x.detach(), axes),
          (1 - m) * var + m * wengert::var(x.detach(), {.axes = axes, .correction = 1})};
}

// x1 W x2 + b for each of the weight's matrices.
Tensor bilinear(const Args& a) {
  const Tensor y = einsum("...i,oij,...j->...o", {a["input1"], a["weight"], a["input2"]});
  return a.maybe("bias").defined() ? y + a["bias"] : y;
}

Results attended(const Args& a) {
  const Attention r = attention(a["query"], a["key"], a["value"], {.mask = a.maybe("attn_mask"), .causal = a.flag("is_causal")});
  return {r.output, r.weights};
}

Tensor along(Tensor (*f)(Operand, int), const Args& a) {
  if (a.input().rank()) return f(a.input(), a.integer("dim"));
  return reshape(f(reshape(a.input(), {1}), 0), Shape());
}

std::optional<std::int64_t> padding(const Args& a) {
  if (!a.given("padding_idx")) return {};
  const std::int64_t i = a.integer("padding_idx");
  return i < 0 ? i + a["weight"].size(0) : i;
}

}  // namespace

void add_nn(Table& t) {
  ROW(softmax, along(softmax, a));
  ROW(log_softmax, along(log_softmax, a));
  ROW(layer_norm, layer_normed(a));
  ROW(batch_norm, batch_normed(a));
  ROW(group_norm, group_norm(a.input(), a.integer("num_groups"), a.maybe("weight"), a.maybe("bias"), a.number("eps")));
  ROW(instance_norm, instance_norm(a.input(), a.maybe("weight"), a.maybe("bias"), a.number("eps")));
  ROW(rms_norm, rms_norm(a.input(), a.maybe("weight"), a.number("eps")));
  ROW(local_response_norm,
      local_response_norm(a.input(), a.integer("size"), a.number("alpha"), a.number("beta"), a.number("k")));
  ROW(embedding, embedding(a["weight"], a.input(), padding(a)));
  ROW(linear, linear(a.input(), a["weight"], a.maybe("bias")));
  ROW(bilinear, bilinear(a));
  ROW(normalize, normalize(a.input(), {.axis = a.integer("dim"), .p = a.number("p"), .eps = a.number("eps")}));
  ROW(cosine_similarity, cosine_similarity(a["x1"], a["x2"], a.integer("dim"), a.number("eps")));
  ROW(pairwise_distance, pairwise_distance(a["x1"], a["x2"], {.p = a.number("p"), .eps = a.number("eps"), .keep_dims = a.flag("keepdim")}));
  ROW(glu, glu(a.input(), a.integer("dim")));
  ROW(prelu, prelu(a.input(), a["weight"]));
  ROW(pixel_shuffle, pixel_shuffle(a.input(), a.integer("upscale_factor")));
  ROW(scaled_dot_product_attention, attended(a));
}

}  // namespace golden
