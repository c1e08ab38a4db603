#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

using Tensors = std::vector<Tensor>;

TEST_CASE("standardize: mean zero and variance one, even when the mean is huge") {
  const Tensor x = 1e6 + random({4, 50}, -1, 1, 3), y = standardize(x, {1}, 0);
  for (double m : mean(y, {1}).to_vector<double>()) CHECK(std::abs(m) < 1e-9);
  for (double v : var(y, {.axes = {1}, .correction = 0}).to_vector<double>())
    CHECK(v == doctest::Approx(1).epsilon(1e-9));
}

TEST_CASE("normalisations: every derivative agrees with differences") {
  const Tensor x = random({3, 4, 5}), weight = random({4}, 0.5, 1.5, 2), bias = random({4}, -1, 1, 3),
               last = random({5}, 0.5, 1.5, 4);
  check_rule([](const Tensors& t) { return standardize(t[0], {0, 2}); }, {x});
  check_rule([](const Tensors& t) { return standardize(t[0], {-1}, 0.1); }, {x});
  check_rule([](const Tensors& t) { return layer_norm(t[0], t[1], t[2]); }, {x, last, random({5})});
  check_rule([](const Tensors& t) { return layer_norm(t[0], t[1], Tensor()); }, {x, random({4, 5})});
  check_rule([](const Tensors& t) { return batch_norm(t[0], t[1], t[2]); }, {x, weight, bias});
  check_rule([](const Tensors& t) { return batch_norm(t[0], t[1], t[2], t[3], t[4]); },
             {x, weight, bias, random({4}), random({4}, 0.5, 2)});
  check_rule([](const Tensors& t) { return group_norm(t[0], 2, t[1], t[2]); }, {x, weight, bias});
  check_rule([](const Tensors& t) { return instance_norm(t[0], t[1], Tensor()); }, {x, weight});
  check_rule([](const Tensors& t) { return rms_norm(t[0], t[1]); }, {x, last});
  check_rule([](const Tensors& t) { return local_response_norm(t[0], 3, 0.5); }, {x});
  check_rule([](const Tensors& t) { return normalize(t[0], {.axis = 1}); }, {x});
  check_rule([](const Tensors& t) { return cosine_similarity(t[0], t[1], 1); }, {x, random({3, 4, 5}, -1, 1, 7)});
  check_rule([](const Tensors& t) { return pairwise_distance(t[0], t[1]); }, {x, random({5}, -1, 1, 7)});
}

TEST_CASE("normalisations: sizes that do not fit are errors") {
  const Tensor x = zeros({2, 6, 3});
  CHECK(contains(message<ShapeError>([&] { (void)layer_norm(x, ones({6}), Tensor()); }),
                 "layer_norm: weight and bias must have the shape of the last axes"));
  CHECK(contains(message<ShapeError>([&] { (void)batch_norm(x, ones({3}), Tensor()); }), "batch_norm: 6 channels"));
  CHECK(contains(message<ShapeError>([&] { (void)group_norm(x, 4, Tensor(), Tensor()); }),
                 "4 groups do not divide the 6 channels"));
  CHECK(contains(message<TypeError>([&] { (void)rms_norm(zeros({3}, int64), Tensor()); }), "needs float32 or float64"));
}

TEST_CASE("attention: every derivative agrees with differences; causal entries see nothing later") {
  const Tensor q = random({2, 3, 4}), k = random({2, 5, 4}, -1, 1, 2), v = random({2, 5, 2}, -1, 1, 3);
  check_rule([](const Tensors& t) { return attention(t[0], t[1], t[2]).output; }, {q, k, v});
  check_rule([](const Tensors& t) { return attention(t[0], t[1], t[2], {.mask = t[3], .causal = true}).output; },
             {q, k, v, random({3, 5})});
  const auto w = attention(q, k, v, {.causal = true}).weights.to_vector<double>();
  CHECK(w[0] == 1);
  CHECK(w[1] == 0);
  const Tensor look = tensor({{1, 0, 0, 0, 0}, {1, 1, 1, 0, 0}, {1, 1, 1, 1, 1}}, boolean);
  CHECK(attention(q, k, v, {.mask = look}).weights.to_vector<double>()[8] == 0);
}

TEST_CASE("embedding, pixel_shuffle, prelu, glu: values and derivatives") {
  const Tensor index = from(std::vector<std::int64_t>{2, 0, 2, 1}, {2, 2});
  check_rule([&](const Tensors& t) { return embedding(t[0], index); }, {random({3, 2})});
  const Tensor w = random({3, 2}).track();
  CHECK(grad(sum(embedding(w, index, 2)), w).to_vector<double>() == std::vector<double>{1, 1, 1, 1, 0, 0});
  check_rule([](const Tensors& t) { return pixel_shuffle(t[0], 2); }, {random({2, 8, 2, 3})});
  CHECK(pixel_shuffle(reshape(arange(8), {1, 4, 1, 2}), 2).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 2, 1, 3, 4, 6, 5, 7});
  check_rule([](const Tensors& t) { return prelu(t[0], t[1]); }, {random({2, 3, 4}), random({3}, 0.1, 0.5)});
  check_rule([](const Tensors& t) { return prelu(t[0], t[1]); }, {random({5}), random({}, 0.1, 0.5)});
  check_rule([](const Tensors& t) { return glu(t[0], 1); }, {random({2, 6})});
  check_rule([](const Tensors& t) { return lerp(t[0], t[1], t[2]); }, {random({2, 3}), random({3}), random({})});
  check_rule([](const Tensors& t) { return clamp(t[0], t[1], t[2]); },
             {random({5, 3}), random({3}, -0.6, -0.3), random({3}, 0.3, 0.6)});
}
