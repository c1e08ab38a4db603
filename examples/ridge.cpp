// Ridge regression, the smallest problem that shows how methods differ: f(w) = mean (x.w - y)^2 + lambda |w|^2, with
// two weights, so that the error surface can be drawn. Learning curves and paths of gradient descent (constant rate,
// exact line search), of stochastic gradients, momentum, Adam and Newton: ridge.svg and ridge_paths.svg.

#include "common/contours.h"

#include <fmt/format.h>
#include <wengert/wengert.h>

using namespace wengert;

constexpr double lambda = 0.05;

struct Weights {
  Param w = tensor({-2, 3}, float64);
};

struct Data {
  Tensor x, y;
  std::int64_t rows() const { return x.size(0); }
  Data part(std::int64_t first, std::int64_t n) const {
    return {slice(x, 0, first, first + n), slice(y, 0, first, first + n)};
  }
};

Data make_data() {
  Rng rng{1};
  const Tensor x = rng.normal({500, 2}, 0, 1, float64) * tensor({1.5, 0.5}, float64);
  return {x, matmul(x, tensor({1, -1}, float64)) + rng.normal({500}, 0, 0.5, float64)};
}

Tensor loss(const Weights& m, const Data& d) {
  return mean(square(matmul(d.x, m.w) - d.y)) + lambda * sum(square(m.w));
}

struct Experiment {
  const Data data = make_data();
  Weights best;
  double least;
  common::Panel curves{
      .title = "f(w) - f(w*)", .x_label = "step", .logarithmic = true, .low = 1e-12, .number_format = "10^{%T}"};
  common::Map map{
      .title = "Error surface",
      .left = -2.5,
      .right = 2.5,
      .bottom = -2.5,
      .top = 3.5,
      .height = [this](double a, double b) { return loss({.w = Param(tensor({a, b}, float64))}, data).item(); },
      .levels = {0.4, 0.6, 1, 2, 4, 8, 14, 22, 32}};

  Experiment() {
    optim::NewtonCg newton{best};
    while (newton.gradient_norm > 1e-12) newton.step(best, [&](const Weights& m) { return loss(m, data); });
    least = loss(best, data).item();
  }

  template <class Step>
  void follow(const std::string& name, Step&& step, int steps = 60) {
    Weights m;
    common::Curve curve{.name = name, .colour = static_cast<int>(curves.curves.size())};
    common::Path path{.name = name};
    for (int k = 0; k <= steps; ++k) {
      const auto w = m.w.to_vector<double>();
      path.x.push_back(w[0]), path.y.push_back(w[1]);
      curve.add(k, std::max(loss(m, data).item() - least, 2e-12));
      step(m, k);
    }
    fmt::print("  {:<28} {:10.3e}\n", name, curve.y.back());
    curves.curves.push_back(curve), map.paths.push_back(path);
  }
};

int main() {
  Experiment e;
  const Data& data = e.data;
  auto f = [&](const Weights& m) { return loss(m, data); };
  const Weights start;
  fmt::print("f(w) - f(w*) after 60 steps\n");

  optim::Sgd descent{start, {.lr = 0.1}};
  e.follow("gradient", [&](Weights& m, int) { descent.step(m, grad(f, m)); });
  e.follow("line search", [&](Weights& m, int) {
    optim::Line line(f, m);
    line.go(m, optim::exact_quadratic(line).t);
  });
  optim::Sgd stochastic{start, {.lr = 0.05}};
  e.follow("stochastic", [&](Weights& m, int k) {
    const Data batch = data.part(5 * k % data.rows(), 5);
    stochastic.step(m, grad([&](const Weights& w) { return loss(w, batch); }, m));
  });
  optim::Sgd momentum{start, {.lr = 0.05, .momentum = 0.7}};
  e.follow("momentum", [&](Weights& m, int) { momentum.step(m, grad(f, m)); });
  optim::Adam adam{start, {.lr = 0.3}};
  e.follow("Adam", [&](Weights& m, int) { adam.step(m, grad(f, m)); });
  optim::NewtonCg newton{start, {.forcing = 1e-12}};
  e.follow("Newton", [&](Weights& m, int) { newton.step(m, f); });

  const bool drawn =
      common::plot("ridge.svg", std::vector{e.curves}) && common::plot("ridge_paths.svg", std::vector{e.map});
  common::tell(drawn, "ridge.svg", "the learning curves, and ridge_paths.svg the paths");
}
