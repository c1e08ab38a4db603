#pragma once

// Small things that tests of kernels share.

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace wengert::testing {

using Function = std::function<Tensor(std::span<const Tensor>)>;

inline Tensor random(const Shape& shape, unsigned seed, DType dtype = float64, double low = -1, double high = 1) {
  std::mt19937 bits(seed);
  std::vector<double> v(static_cast<std::size_t>(shape.numel()));
  for (double& x : v) x = low + (high - low) * double(bits() >> 8) / double(1 << 24);
  return to(from(v, shape), dtype);
}

inline double dot(const Tensor& x, const Tensor& y) {
  double s = 0;
  const auto a = to(x, float64).to_vector<double>(), b = to(y, float64).to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) s += a[i] * b[i];
  return s;
}

inline void check_close(const Tensor& x, const Tensor& y, double tolerance) {
  REQUIRE(x.shape() == y.shape());
  const auto a = to(x, float64).to_vector<double>(), b = to(y, float64).to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) ||
        std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(b[i])))
      continue;
    CAPTURE(i);
    CHECK(a[i] == b[i]);
    return;
  }
  CHECK(true);
}

// What the harness checks, for functions of a span.
inline void check_derivatives(const Function& f, const std::vector<Tensor>& xs) {
  test::check_rule([&](const std::vector<Tensor>& x) { return f(x); }, xs);
}

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    const std::string s = e.what();
    return s.substr(0, s.find("\n"));
  }
  return "nothing was thrown";
}

}  // namespace wengert::testing
