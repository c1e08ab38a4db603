#include "wengert/nn/attention.h"

#include "../support.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

double distance(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  return a.numel() ? amax(abs(a - b)).item() : 0;
}

}  // namespace

TEST_CASE("MultiHeadAttention: the formula, head by head, the weights their mean") {
  Rng rng{1};
  const nn::MultiHeadAttention f(8, 2, rng, {.dtype = float64});
  const Tensor x = random({2, 3, 8}), m = random({2, 5, 8}, -1, 1, 2);
  const auto project = [&](const Tensor& t, int i) {
    return linear(t, narrow(f.in_proj_weight, 0, 8 * i, 8), narrow(f.in_proj_bias, 0, 8 * i, 8));
  };
  Tensors heads, weights;
  for (int h = 0; h < 2; ++h) {
    const auto part = [&](const Tensor& t) { return narrow(t, 2, 4 * h, 4); };
    const Attention a = attention(part(project(x, 0)), part(project(m, 1)), part(project(m, 2)));
    heads.push_back(a.output), weights.push_back(a.weights);
  }
  const Tensor want = f.out_proj(cat(heads, 2));
  CHECK(distance(f(x, m, m).output, want) < 1e-14);
  CHECK_FALSE(f(x, m, m).weights.defined());
  const Attention both = f(x, m, m, {.need_weights = true});
  CHECK(distance(both.output, want) < 1e-14);
  CHECK(distance(both.weights, (weights[0] + weights[1]) * 0.5) < 1e-15);
  // To itself: one projection, one node, the same numbers.
  CHECK(distance(f(x, x, x, {.causal = true}).output, f(x, x + 0, x, {.causal = true}).output) < 1e-14);
  nn::MultiHeadAttention turned = f;
  turned.options.batch_first = false;
  CHECK(distance(turned(transpose(x, 0, 1), transpose(m, 0, 1), transpose(m, 0, 1)).output, transpose(want, 0, 1)) <
        1e-14);
}

TEST_CASE("MultiHeadAttention: nobody looks at padding") {
  Rng rng{2};
  const nn::MultiHeadAttention f(8, 2, rng, {.dtype = float64});
  const Tensor x = random({2, 4, 8}), other = cat({narrow(x, 1, 0, 3), random({2, 1, 8}, 5, 6)}, 1);
  const Tensor padding = equal(expand(reshape(arange(4), {1, 4}), {2, 4}), 3);
  for (const Tensor& mask : Tensors{{}, random({4, 4}), ones({4, 4}, boolean)})
    for (const bool causal : {false, true}) {
      const nn::AttentionInput in{.mask = mask, .causal = causal, .key_padding_mask = padding};
      CHECK(distance(narrow(f(x, x, x, in).output, 1, 0, 3), narrow(f(other, other, other, in).output, 1, 0, 3)) <
            1e-14);
    }
}

TEST_CASE("transformer layers: without their norms' order they are sums; dropout is there in training only") {
  Rng rng{3};
  for (const bool norm_first : {false, true}) {
    const nn::TransformerEncoderLayer f(8, 2, rng, {.dim_feedforward = 16, .norm_first = norm_first, .dtype = float64});
    const Tensor x = random({2, 3, 8});
    const auto attended = [&](const Tensor& t) { return f.self_attn(t, t, t).output; };
    const auto fed = [&](const Tensor& t) { return f.linear2(relu(f.linear1(t))); };
    const Tensor h = norm_first ? x + attended(f.norm1(x)) : f.norm1(x + attended(x));
    CHECK(distance(f(x), norm_first ? h + fed(f.norm2(h)) : f.norm2(h + fed(h))) < 1e-14);
    CHECK(distance(f(x, nn::training(rng)), f(x)) > 0.01);
    const nn::TransformerDecoderLayer g(
        8, 2, rng, {.dim_feedforward = 16, .dropout = 0, .norm_first = norm_first, .dtype = float64});
    const Tensor memory = random({2, 5, 8}, -1, 1, 4);
    check_rule([&](const Tensors& t) { return g(t[0], t[1], {.causal = true}); }, {x, memory},
               {.second_order = false, .third_order = false, .float32 = 0});
  }
  const nn::TransformerEncoder deep(3, 8, 2, rng, {.dim_feedforward = 16});
  CHECK(named_parameters(deep)[12].first == "layers.1.self_attn.in_proj_weight");
  CHECK(deep(rng.normal({2, 3, 8})).shape() == Shape{2, 3, 8});
}

TEST_CASE("positions: sines and cosines, learned vectors, turned pairs that know distances only") {
  const Tensor p = nn::sinusoidal_positions(50, 6, float64);
  CHECK(p.shape() == Shape{50, 6});
  const auto at = [&](int i, int j) { return select(select(p, 0, i), 0, j).item(); };
  CHECK(at(7, 0) == doctest::Approx(std::sin(7.0)));
  CHECK(at(7, 3) == doctest::Approx(std::cos(7 / std::pow(10000.0, 2.0 / 6))));
  Rng rng{4};
  const nn::LearnedPositions learned(10, 6, rng, float64);
  const Tensor x = random({2, 7, 6});
  CHECK(distance(learned(x), x + narrow(learned.weight, 0, 0, 7)) == 0);
  CHECK(contains(message<ShapeError>([&] { (void)learned(p); }), "with length <= 10, got [50, 6]"));
}

TEST_CASE("rotary: products depend on the distance only, lengths stay") {
  const Tensor q = random({1, 8}), k = random({1, 8}, -1, 1, 2);
  const auto product = [&](std::int64_t i, std::int64_t j) { return sum(nn::rotary(q, i) * nn::rotary(k, j)).item(); };
  CHECK(product(3, 1) == doctest::Approx(product(13, 11)));
  CHECK(product(3, 1) != doctest::Approx(product(3, 2)));
  CHECK(norm(nn::rotary(q, 5)).item() == doctest::Approx(norm(q).item()));
  CHECK(distance(nn::rotary(q, 0), q) == 0);
  check_rule([](const Tensors& t) { return nn::rotary(t[0]); }, {random({2, 3, 4})});
  CHECK(contains(message<ShapeError>([&] { (void)nn::rotary(zeros({2, 3})); }), "even size"));
}

TEST_CASE("attention layers: mistakes are named") {
  CHECK(contains(message<ValueError>([] { nn::MultiHeadAttention(8, 3); }),
                 "MultiHeadAttention: 3 heads do not divide 8"));
  const nn::MultiHeadAttention f(8, 2);
  const Tensor x = zeros({2, 3, 8});
  CHECK(contains(message<ShapeError>([&] { (void)f(x, zeros({2, 3, 6}), x); }), "key must be [n, length, 8]"));
}
