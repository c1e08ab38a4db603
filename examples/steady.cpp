// Where stochastic gradients end: constant steps against decaying ones, on ridge regression with two weights. Measures
// MSD = E|w - w*|^2 and ER = E f(w) - f(w*) over many runs beside the theory, and draws both over the steps to
// steady.svg. A constant rate comes fast to a floor that is proportional to it; one that decays as 1 / k has no floor.

#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <wengert/wengert.h>

using namespace wengert;
namespace schedule = optim::schedule;

constexpr double lambda = 0.05;

// f(w) = mean (x.w - y)^2 + lambda |w|^2 is a quadratic: f(w) = f(w*) + (w - w*)^T H (w - w*) / 2.
struct Ridge {
  Tensor x, y, hessian, best, noise;

  Ridge() {
    Rng rng{1};
    x = rng.normal({500, 2}, 0, 1, float64) * tensor({1.5, 0.5}, float64);
    y = matmul(x, tensor({1, -1}, float64)) + rng.normal({500}, 0, 0.5, float64);
    hessian = 2.0 * (matmul(transpose(x), x) / 500.0 + lambda * eye(2, float64));
    best = solve(hessian, 2.0 / 500.0 * matmul(transpose(x), y));
    // The covariance of the gradient of one example, at the minimum.
    const Tensor slopes = 2.0 * (x * reshape(matmul(x, best) - y, {500, 1}) + lambda * best);
    noise = matmul(transpose(slopes), slopes) / 500.0;
  }
  // MSD and ER of many runs, w [runs, 2].
  std::pair<double, double> errors(const Tensor& w) const {
    const Tensor d = w - best;
    return {mean(sum(square(d), {1})).item(), mean(sum(matmul(d, hessian) * d, {1})).item() / 2};
  }
};

// All runs at once: one example for each, drawn at random. Returns MSD and ER after steps 1, 2, 4, ... on average over
// a tenth of them, and the mean over the last half.
struct Course {
  common::Curve msd, risk;
  double last_msd = 0, last_risk = 0;
};
Course follow(const Ridge& ridge, const optim::Schedule& rate, std::int64_t steps, std::int64_t runs) {
  Rng rng{2};
  Tensor w = zeros({runs, 2}, float64) + tensor({-1, 1}, float64);
  optim::Sgd sgd{w};
  Course c;
  double next = 1;
  for (std::int64_t k = 0; k < steps; ++k) {
    const Tensor row = rng.integers({runs}, 0, 500);
    const Tensor x = index_select(ridge.x, 0, row), y = index_select(ridge.y, 0, row);
    sgd.lr = rate(k);
    sgd.step(w, grad([&](const Tensor& v) { return sum(square(sum(x * v, {1}) - y)) + lambda * sum(square(v)); }, w));
    const auto [msd, risk] = ridge.errors(w);
    if (2 * k >= steps) c.last_msd += msd / double(steps - steps / 2), c.last_risk += risk / double(steps - steps / 2);
    if (double(k + 1) < next) continue;
    c.msd.add(double(k + 1), msd), c.risk.add(double(k + 1), risk);
    next *= 1.08;
  }
  return c;
}

int main(int argc, char** argv) {
  std::int64_t steps = 5000, runs = 200;
  CLI::App app{"Constant and decaying steps: measured and theoretical errors."};
  app.add_option("--steps", steps)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--runs", runs, "to average over")->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const Ridge ridge;
  common::Panel msd{.title = "E|w - w*|^2",
                    .x_label = "step",
                    .logarithmic = true,
                    .logarithmic_x = true,
                    .number_format = "10^{%T}"};
  common::Panel risk = msd;
  risk.title = "E f(w) - f(w*)";
  auto draw = [&](const std::string& name, int colour, Course c, const optim::SteadyState* theory) {
    c.msd.name = c.risk.name = name, c.msd.colour = c.risk.colour = colour;
    msd.curves.push_back(c.msd), risk.curves.push_back(c.risk);
    if (!theory) return;
    const double end = static_cast<double>(steps);
    msd.curves.push_back({.x = {1, end}, .y = {theory->msd, theory->msd}, .colour = colour, .dashed = true});
    risk.curves.push_back(
        {.x = {1, end}, .y = {theory->excess_risk, theory->excess_risk}, .colour = colour, .dashed = true});
  };

  fmt::print("the last half of {} steps, mean of {} runs\n  {:<14}{:>12}{:>12}{:>12}{:>12}\n", steps, runs, "rate",
             "MSD", "theory", "ER", "theory");
  int colour = 0;
  for (const double lr : {0.04, 0.01, 0.0025}) {
    const Course c = follow(ridge, schedule::Constant{lr}, steps, runs);
    const optim::SteadyState theory = optim::steady_state(ridge.hessian, ridge.noise, lr);
    fmt::print("  {:<14}{:12.3e}{:12.3e}{:12.3e}{:12.3e}\n", lr, c.last_msd, theory.msd, c.last_risk,
               theory.excess_risk);
    draw(fmt::format("{}", lr), colour++, c, &theory);
  }
  const auto decaying = [](std::int64_t k) { return 1 / (20 + 0.5 * static_cast<double>(k)); };
  const Course c = follow(ridge, decaying, steps, runs);
  fmt::print("  {:<14}{:12.3e}{:>12}{:12.3e}{:>12}\n", "1/(20 + k/2)", c.last_msd, "to 0", c.last_risk, "to 0");
  draw("~ 1/k", colour, c, nullptr);
  common::tell(common::plot("steady.svg", {msd, risk}), "steady.svg", "both over the steps, theory dashed");
}
