#pragma once

// For tests: a small model, gradients that change from step to step, and plain numbers to follow.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

namespace wengert::test {

struct Pair {
  Param a, b, absent = {};
  Tensor mask = ones({2});
};

inline Pair make_pair(DType dtype, std::uint64_t seed = 1) {
  Rng rng{seed};
  return {.a = rng.normal({3, 5}, 0, 1, dtype), .b = rng.normal({33}, 0, 1, dtype)};
}

inline std::vector<double> numbers(const Pair& p) {
  auto all = to(p.a.detach(), float64).to_vector<double>();
  for (double x : to(p.b.detach(), float64).to_vector<double>()) all.push_back(x);
  return all;
}

/// Takes `steps` steps of `optimizer` and of `reference`, which changes one number w given its gradient g at step t
/// from 1, and compares. Gradients depend on the parameters, so that an error grows.
template <class Optimizer>
void follow(Optimizer& optimizer, Pair& model, int steps, double tolerance,
            const std::function<void(std::size_t i, int t, double& w, double g)>& reference) {
  std::vector<double> w = numbers(model);
  for (int t = 1; t <= steps; ++t) {
    Pair grads = zeros_like(model);
    auto slope = [t](const Tensor& x) { return sin(3.0 * x) + 0.1 * x + std::cos(0.7 * t) * 0.2; };
    grads.a = slope(model.a.detach()), grads.b = slope(model.b.detach());
    for (std::size_t i = 0; i < w.size(); ++i)
      reference(i, t, w[i], std::sin(3 * w[i]) + 0.1 * w[i] + std::cos(0.7 * t) * 0.2);
    optimizer.step(model, grads);
    const auto got = numbers(model);
    double worst = 0;
    for (std::size_t i = 0; i < w.size(); ++i) worst = std::max(worst, std::abs(got[i] - w[i]) / (1 + std::abs(w[i])));
    REQUIRE(worst <= tolerance);
  }
}

}  // namespace wengert::test
