#include "support.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/nn/nn.h"
#include "wengert/optim/optim.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace wengert;

// Optimizers and clipping leave rows alone that got no gradient, where that changes nothing: bit for bit what they do
// with an ordinary gradient.

namespace {

nn::Embedding table() {
  Rng rng(1);
  return nn::Embedding(2000, 12, rng);
}
nn::Embedding gradient_of(const nn::Embedding& model, int seed) {
  Rng rng(static_cast<std::uint64_t>(seed));
  const Tensor index = rng.integers({30, 5}, 0, 2000), y = rng.normal({30, 5, 12});
  return grad([&](const nn::Embedding& m) { return sum(tanh(m(index)) * y); }, model);
}
bool holds_rows(const Tensor& t) { return wengert::detail::Access::body(t)->is(wengert::detail::Form::rows); }
std::vector<float> numbers(const nn::Embedding& m) { return m.weight.to_vector<float>(); }

nn::Embedding ordinary(nn::Embedding g) {
  g.weight.assign(clone(g.weight));
  return g;
}

// Three steps, with gradients as they come and as ordinary tensors.
template <class Make>
void check_same(Make make) {
  nn::Embedding a = table(), b = table();
  auto for_a = make(a), for_b = make(b);
  for (int i = 0; i < 3; ++i) {
    const nn::Embedding g = gradient_of(a, i), plain = ordinary(gradient_of(b, i));
    REQUIRE(holds_rows(g.weight));
    REQUIRE_FALSE(holds_rows(plain.weight));
    for_a.step(a, g), for_b.step(b, plain);
    CHECK(numbers(a) == numbers(b));
  }
  // Two backward passes, with different rows, before one step.
  const Tensor few = from(std::vector<std::int64_t>{3, 1999, 3}, {3}),
               more = from(std::vector<std::int64_t>{4, 3}, {2});
  for (auto* m : {&a, &b}) backward(sum(square((*m)(few)))), backward(sum(exp((*m)(more))));
  CHECK(holds_rows(a.weight.grad()));
  (void)b.weight.grad().to_vector<float>();
  CHECK_FALSE(holds_rows(b.weight.grad()));
  for_a.step(a), for_b.step(b);
  CHECK(numbers(a) == numbers(b));
  CHECK(numbers(a) != numbers(table()));
}

}  // namespace

TEST_CASE("rows: every kind of step is the same as with an ordinary gradient") {
  check_same([](auto& m) { return optim::Sgd(m, {.lr = 0.1}); });
  check_same([](auto& m) { return optim::Sgd(m, {.lr = 0.1, .maximize = true}); });
  check_same([](auto& m) { return optim::Sgd(m, {.lr = 0.1, .momentum = 0.9}); });
  check_same([](auto& m) { return optim::Sgd(m, {.lr = 0.1, .weight_decay = 0.01}); });
  check_same([](auto& m) { return optim::Sgd(m, {.lr = 0.1, .weight_decay = 0.01, .decoupled_weight_decay = true}); });
  check_same([](auto& m) { return optim::Adagrad(m, {.lr = 0.1}); });
  check_same([](auto& m) { return optim::Adagrad(m, {.lr = 0.1, .weight_decay = 0.01}); });
  check_same([](auto& m) { return optim::Adam(m, {.lr = 0.1}); });
  check_same([](auto& m) { return optim::Rprop(m); });
}

TEST_CASE("rows: clipping keeps the list, and its norm is that of all numbers") {
  const nn::Embedding model = table();
  for (const double p : {1.0, 2.0, std::numeric_limits<double>::infinity()}) {
    nn::Embedding g = gradient_of(model, 4), plain = ordinary(gradient_of(model, 4));
    const double norm = optim::clip_norm(g, 0.5, {.norm_type = p});
    CHECK(norm == doctest::Approx(optim::clip_norm(plain, 0.5, {.norm_type = p})).epsilon(1e-14));
    CHECK(holds_rows(g.weight));
    CHECK(amax(abs(g.weight - plain.weight)).item() < 1e-7);
  }
  nn::Embedding g = gradient_of(model, 4), plain = ordinary(gradient_of(model, 4));
  optim::clip_value(g, 0.25), optim::clip_value(plain, 0.25);
  CHECK(holds_rows(g.weight));
  CHECK(numbers(g) == numbers(plain));
}

TEST_CASE("rows: a norm that is no number reaches rows without a gradient as well") {
  const Tensor index = from(std::vector<std::int64_t>{7}, {1});
  nn::Embedding g = grad([&](const nn::Embedding& m) { return sum(m(index)) * std::nan(""); }, table());
  REQUIRE(holds_rows(g.weight));
  REQUIRE(std::isnan(optim::clip_norm(g, 1.0)));
  const auto all = numbers(g);
  CHECK(std::all_of(all.begin(), all.end(), [](float x) { return std::isnan(x); }));
}
