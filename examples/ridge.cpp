// Ridge regression, the smallest problem that shows how methods differ: f(w) = mean (x.w - y)^2 + lambda |w|^2, with
// two weights, so that the error surface can be drawn.
//
//   1. Learning curves and paths of gradient descent (constant rate, exact line search), of stochastic gradients,
//      momentum, Adam and Newton: ridge.svg and ridge_paths.svg.
//   2. Where stochastic gradients end: MSD = E|w - w*|^2 and ER = E f(w) - f(w*), measured and by theory, for constant
//      rates and for one that decays as 1 / k.

#include "common/contours.h"

#include <fmt/core.h>
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

double distance2(const Tensor& a, const Tensor& b) { return sum(square(a.detach() - b.detach())).item(); }

// --- 1: methods -----------------------------------------------------------------------------------------------------

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
    common::Curve curve{.name = name, .x = {}, .y = {}, .colour = static_cast<int>(curves.curves.size())};
    common::Path path{.name = name, .x = {}, .y = {}};
    for (int k = 0; k <= steps; ++k) {
      const auto w = m.w.to_vector<double>();
      path.x.push_back(w[0]), path.y.push_back(w[1]);
      curve.add(k, std::max(loss(m, data).item() - least, 1e-13));
      step(m, k);
    }
    fmt::print("  {:<28} {:10.3e}\n", name, curve.y.back());
    curves.curves.push_back(curve), map.paths.push_back(path);
  }
};

void compare_methods() {
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

  if (common::plot("ridge.svg", std::vector{e.curves}) && common::plot("ridge_paths.svg", std::vector{e.map}))
    fmt::print("ridge.svg and ridge_paths.svg show learning curves and paths\n");
}

// --- 2: the steady state of stochastic gradients --------------------------------------------------------------------

struct Steady {
  double msd, excess_risk;
};

// Single examples, drawn at random; the mean over the last half of all steps.
template <class Schedule>
Steady run(const Experiment& e, Schedule&& rate, int steps) {
  Rng rng{3};
  Weights m = e.best;
  optim::Sgd sgd{m};
  Steady sum{0, 0};
  const auto rows = rng.integers({steps}, 0, e.data.rows()).to_vector<std::int64_t>();
  for (int k = 0; k < steps; ++k) {
    const Data one = e.data.part(rows[std::size_t(k)], 1);
    sgd.lr = rate(k);
    sgd.step(m, grad([&](const Weights& w) { return loss(w, one); }, m));
    if (2 * k < steps) continue;
    sum.msd += distance2(m.w, e.best.w) / (steps / 2);
    if (k % 10 == 0) sum.excess_risk += (loss(m, e.data).item() - e.least) / (steps / 20);
  }
  return sum;
}

void measure_steady_state() {
  const Experiment e;
  const double n = static_cast<double>(e.data.rows());
  // Near w* the error follows w' = (I - eta H) w + eta s with the noise s of covariance R, so its covariance C solves
  // H C + C H = eta R to first order: MSD = eta / 2 tr(H^-1 R), ER = eta / 4 tr(R).
  const Tensor w = e.best.w.detach(), x = e.data.x;
  const Tensor h = 2.0 * (matmul(transpose(x), x) / n + lambda * eye(2, float64));
  const Tensor residual = matmul(x, w) - e.data.y;
  const Tensor slopes = 2.0 * (x * reshape(residual, {-1, 1}) + lambda * w);
  const Tensor r = matmul(transpose(slopes), slopes) / n;
  const double msd = trace(matmul(inverse(h), r)).item() / 2, risk = trace(r).item() / 4;

  fmt::print("\nStochastic gradients around the minimum\n  {:<14}{:>12}{:>12}{:>12}{:>12}\n", "rate", "MSD", "theory",
             "ER", "theory");
  for (const double eta : {0.04, 0.02, 0.01, 0.005}) {
    const Steady s = run(e, optim::Constant{eta}, 40'000);
    fmt::print("  {:<14}{:12.3e}{:12.3e}{:12.3e}{:12.3e}\n", eta, s.msd, eta * msd, s.excess_risk, eta * risk);
  }
  for (const int steps : {4'000, 40'000}) {
    const Steady s = run(e, [](std::int64_t k) { return 1 / (50 + 0.5 * static_cast<double>(k)); }, steps);
    fmt::print("  {:<14}{:12.3e}{:>12}{:12.3e}\n", fmt::format("~1/k, {}", steps), s.msd, "to 0", s.excess_risk);
  }
}

int main() {
  compare_methods();
  measure_steady_state();
}
