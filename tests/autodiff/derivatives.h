#pragma once

// Derivatives of a function of float64 tensors against central differences, forwards against backwards, and twice.

#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/ops.h"

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
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) || std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(b[i]))) continue;
    CAPTURE(i);
    CHECK(a[i] == b[i]);
    return;
  }
  CHECK(true);
}

// Gradient of scalar f by differences; step 1e-5 leaves about 1e-10 of both errors.
inline std::vector<Tensor> differences(const std::function<double(std::span<const Tensor>)>& f, std::vector<Tensor> xs) {
  std::vector<Tensor> result;
  for (Tensor& x : xs) {
    const auto v = x.to_vector<double>();
    std::vector<double> slope(v.size());
    const Tensor keep = x;
    for (std::size_t i = 0; i < v.size(); ++i) {
      auto moved = v;
      moved[i] = v[i] + 1e-5;
      x = from(moved, keep.shape());
      const double up = f(xs);
      moved[i] = v[i] - 1e-5;
      x = from(moved, keep.shape());
      slope[i] = (up - f(xs)) / 2e-5;
    }
    x = keep;
    result.push_back(from(slope, keep.shape()));
  }
  return result;
}

inline void check_derivatives(const Function& f, const std::vector<Tensor>& xs) {
  std::vector<Tensor> leaves, u;
  for (const Tensor& x : xs) leaves.push_back(x.track()), u.push_back(random(x.shape(), 77 + unsigned(u.size())));
  const Tensor y = f(leaves);
  const Tensor y_bar = random(y.shape(), 99);
  const auto keep = BackwardOptions{.keep_graph = true};
  const auto x_bar = grad({&y, 1}, leaves, {&y_bar, 1}, keep);
  const auto expected = differences([&](std::span<const Tensor> x) { return dot(f(x), y_bar); }, xs);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    CAPTURE(i);
    check_close(x_bar[i], expected[i], 1e-8);
  }
  // <y_bar, J u> = <J^T y_bar, u>, to rounding.
  const Tensor y_dot = push_forward({&y, 1}, leaves, u)[0];
  double back = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) back += dot(x_bar[i], u[i]);
  CHECK(std::abs(dot(y_bar, y_dot) - back) <= 1e-12 * (1 + std::abs(back)));
  // One operand at a time: nothing else may be needed.
  for (std::size_t i = 0; i < xs.size(); ++i) {
    auto only = xs;
    only[i] = xs[i].track();
    const Tensor z = f(only);
    check_close(grad({&z, 1}, {&only[i], 1}, {&y_bar, 1})[0], x_bar[i], 1e-14);
  }
  // Second order: the gradient of <x_bar, u>.
  auto inner = [&](std::span<const Tensor> x, bool create_graph) {
    std::vector<Tensor> t;
    for (const Tensor& a : x) t.push_back(a.tracked() ? a : a.track());
    const Tensor z = f(t);
    const auto g = grad({&z, 1}, t, {&y_bar, 1}, {.create_graph = create_graph});
    Tensor s = scalar(0, float64);
    for (std::size_t i = 0; i < g.size(); ++i) s = s + sum(g[i] * u[i]);
    return s;
  };
  const Tensor s = inner(leaves, true);
  if (!s.tracked()) return;  // linear in all of x
  const auto second = grad({&s, 1}, leaves);
  const auto second_expected = differences([&](std::span<const Tensor> x) { return inner(x, false).item(); }, xs);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    CAPTURE(i);
    check_close(second[i], second_expected[i], 1e-7);
  }
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
