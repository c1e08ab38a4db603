#include "wengert/optim/diagnostics.h"

#include "support.h"
#include "wengert/optim/optim.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

TEST_CASE("noise scale: finds the variance and the mean of gradients that are drawn with known ones") {
  Rng rng{5};
  constexpr std::int64_t n = 10;
  const Tensor mean = full({n}, 0.5, float64);  // |G|^2 = 2.5, tr(Sigma) = 40
  optim::NoiseScale scale;
  for (int k = 0; k < 2000; ++k) {
    std::vector<Tensor> examples;
    for (int i = 0; i < 8; ++i) examples.push_back(mean + rng.normal({n}, 0, 2, float64));
    scale.add(examples);
  }
  CHECK(scale.signal() == doctest::Approx(2.5).epsilon(0.05));  // standard error about 1.5 %
  CHECK(scale.noise() == doctest::Approx(40).epsilon(0.02));
  CHECK(scale.scale() == doctest::Approx(16).epsilon(0.06));
  CHECK(contains(message<ValueError>([&] { scale.add(1, 8, 1, 8); }), "more examples"));
}

TEST_CASE("curvature: eigenvalues and trace of a known Hessian") {
  Rng rng{1};
  const Tensor a = tensor({{4, 1, 0}, {1, 3, 0}, {0, 0, -2}}, float64);
  auto f = [&](const Tensor& x) { return 0.5 * sum(x * matmul(a, x)); };
  const Tensor x = ones({3}, float64);
  const auto found = optim::hessian_eigenvalues(f, x, rng, 10).values;
  REQUIRE(found.size() == 3);
  const double root = std::sqrt(5.0);
  CHECK(found[0] == doctest::Approx((7 + root) / 2));
  CHECK(found[1] == doctest::Approx((7 - root) / 2));
  CHECK(found[2] == doctest::Approx(-2));
  CHECK(optim::hessian_trace(f, x, rng, 4000) == doctest::Approx(5).epsilon(0.03));
}

TEST_CASE("norms: one for each tensor, with its name") {
  struct Two {
    Param weight = full({4}, 2, float64), bias = full({1}, -3, float64);
  };
  const auto all = optim::norms(Two());
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "weight");
  CHECK(all[0].norm == 4);
  CHECK(all[1].norm == 3);
}

TEST_CASE("steady state: what theory says is where stochastic gradients end") {
  const Tensor h = tensor({{3, 1}, {1, 1}}, float64), root = tensor({{1, 0.5}, {0, 2}}, float64);
  const Tensor noise = matmul(root, transpose(root));
  const double lr = 0.2;
  // 4000 runs at once: w' = w - lr (H w + e), e of covariance R.
  Rng rng{3};
  Tensor w = zeros({4000, 2}, float64);
  double msd = 0, risk = 0;
  for (int k = 0; k < 140; ++k) {
    w = w - lr * (matmul(w, h) + matmul(rng.normal({4000, 2}, 0, 1, float64), transpose(root)));
    if (k < 60) continue;
    msd += sum(square(w)).item() / 4000 / 80, risk += sum(matmul(w, h) * w).item() / 2 / 4000 / 80;
  }
  const auto [msd_theory, risk_theory] = optim::steady_state(h, noise, lr);
  CHECK(msd == doctest::Approx(msd_theory).epsilon(0.02));  // standard error about 0.5 %
  CHECK(risk == doctest::Approx(risk_theory).epsilon(0.02));
  CHECK(contains(message<ValueError>([&] { (void)optim::steady_state(h, noise, 0.6); }), "2 / lr"));
  CHECK(contains(message<ShapeError>([&] { (void)optim::steady_state(h, select(h, 0, 0), 0.1); }), "[n, n]"));
}

TEST_CASE("difference: what a step has changed, tensor by tensor") {
  struct Two {
    Param weight = full({4}, 2, float64), bias = full({1}, -3, float64);
  };
  Two model;
  const Two before = model;
  optim::Sgd sgd{model, {.lr = 0.5}};
  sgd.step(model, before);  // the parameters as their own gradient
  const auto moved = optim::norms(optim::difference(model, before));
  CHECK(moved[0].norm == 2);
  CHECK(moved[1].norm == 1.5);
}

TEST_CASE("rate_range: ends when the loss explodes, and suggests a rate below that") {
  Tensor w = full({3}, 5, float64);
  optim::Sgd sgd{w};
  auto f = [](const Tensor& x) { return sum(square(x)); };  // steps longer than 1 diverge
  const auto range = optim::rate_range([&](double lr) {
    auto [loss, g] = value_and_grad(f, w);
    sgd.lr = lr;
    sgd.step(w, g);
    return loss.item();
  });
  CHECK(range.rates.size() < 100);
  CHECK(range.suggestion > 1e-3);
  CHECK(range.suggestion < 1);
}
