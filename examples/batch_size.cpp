// How much larger batches help: for each batch size, with the best of several rates, the steps and the examples that a
// network needs until its loss on digits held out is below a target. Small batches waste steps, large ones examples:
//   steps = S (1 + B_crit / batch),   examples = steps batch,
// whose critical batch size, fitted to the measurements, stands beside the gradient noise scale (McCandlish et al.
// 2018), which is measured on the way. Draws batch_size.svg.

#include "common/images.h"
#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <wengert/train.h>

#include <map>

using namespace wengert;

struct Network {
  nn::Linear hidden{64, 32}, output{32, 10};
  Tensor operator()(const Tensor& x) const { return output(relu(hidden(x))); }
};

const auto loss = [](const Tensor& y_hat, const Tensor& y) { return nn::cross_entropy(y_hat, y); };
const data::Split images = common::digits_or_mnist("");

double held_out_loss(const Network& model) {
  no_grad off;
  return loss(model(images.test.x), images.test.y).item();
}

// Trains until the loss on images held out is below the target. The steps that it took; 0 when `most` were not enough.
template <class At>
std::int64_t steps_to(double target, std::int64_t size, double rate, std::int64_t most, At&& at) {
  seed(1);
  Network model;
  Rng order{1};
  std::int64_t reached = 0;
  const auto watch = [&](const train::FitEvent& e) {
    if (e.end || e.end_of_epoch || e.step % std::max<std::int64_t>(1, 64 / size) != 0) return false;
    at(e.step, model);
    if (held_out_loss(model) < target) reached = e.step;
    return reached > 0 || e.step >= most;
  };
  train::fit(
      model, loss,
      [&] { return data::batches(images.train, {.batch_size = size, .shuffle = order, .drop_last = true}); },
      {.epochs = most, .optimizer = optim::Sgd(model, {.lr = rate}), .callbacks = {watch}, .allow_nonfinite = true});
  return reached;
}

// From the gradients of parts of 8 images, and their mean.
void add_noise(optim::NoiseScale& scale, const Network& model) {
  Rng order{3};
  std::vector<Network> parts;
  for (auto [x, y] : data::batches(images.train, {.batch_size = 8, .shuffle = order, .drop_last = true}))
    parts.push_back(grad([x = x, y = y](const Network& m) { return loss(m(x), y); }, model));
  scale.add(parts, 8);
}

// Steps for each batch size -> S and B_crit, by the squares of relative errors.
struct Law {
  Param log_steps = full({}, std::log(50.0), float64), log_critical = full({}, std::log(50.0), float64);
  double steps() const { return std::exp(log_steps.item()); }
  double critical() const { return std::exp(log_critical.item()); }
};
Law fit_law(const std::map<std::int64_t, std::int64_t>& steps) {
  std::vector<double> size, log_measured;
  for (const auto& [b, s] : steps) size.push_back(double(b)), log_measured.push_back(std::log(double(s)));
  const auto n = std::ssize(size);
  const Tensor b = from(size, {n}), measured = from(log_measured, {n});
  Law law;
  optim::LeastSquares levenberg{law};
  for (int k = 0; k < 50; ++k)
    levenberg.step(law, [&](const Law& l) { return l.log_steps + log1p(exp(l.log_critical) / b) - measured; });
  return law;
}

int main(int argc, char** argv) {
  double target = 0.3;
  std::int64_t largest = 512;
  CLI::App app{"Batch size against time to accuracy, and the critical batch size."};
  app.add_option("--target", target, "loss to be reached on images held out")->capture_default_str();
  app.add_option("--largest", largest, "batch size")->check(CLI::Range(16, 1024))->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  set_threads(1);  // steps of networks this small only lose by more
  std::map<std::int64_t, std::int64_t> best;
  fmt::print("{:>8}{:>10}{:>10}{:>12}\n", "batch", "steps", "examples", "best rate");
  for (std::int64_t size = 2; size <= largest; size *= 2) {
    double best_rate = 0;
    for (const double rate : {0.05, 0.1, 0.2, 0.5, 1.0}) {
      const auto most = best.contains(size) ? best[size] : 30'000 / size + 600;
      const auto steps = steps_to(target, size, rate, most, [](auto&&...) {});
      if (steps > 0 && (!best.contains(size) || steps < best[size])) best[size] = steps, best_rate = rate;
    }
    if (best.contains(size)) fmt::print("{:>8}{:>10}{:>10}{:>12}\n", size, best[size], size * best[size], best_rate);
  }

  const Law law = fit_law(best);
  fmt::print("\nsteps = {:.0f} (1 + {:.0f} / batch): the critical batch size is {:.0f}\n", law.steps(), law.critical(),
             law.critical());
  common::Curve scale{.name = "noise scale", .colour = 1};
  optim::NoiseScale noise{{.decay = 0.8}};
  steps_to(target, 64, 0.2, 600, [&](std::int64_t step, const Network& model) {
    if (step % 5 == 1) add_noise(noise, model), scale.add(static_cast<double>(step), noise.scale());
  });
  fmt::print("the gradient noise scale goes from {:.0f} to {:.0f} on the way\n", scale.y.front(), scale.y.back());

  common::Panel steps{.title = "Steps to the target", .x_label = "batch", .logarithmic = true, .logarithmic_x = true};
  common::Panel pareto{
      .title = "Examples against steps", .x_label = "steps", .logarithmic = true, .logarithmic_x = true};
  common::Curve measured{.name = "measured", .points = true}, theory{.name = "fit", .colour = 7, .dashed = true};
  common::Curve cost = measured, cost_theory = theory;
  for (const auto& [b, s] : best) measured.add(double(b), double(s)), cost.add(double(s), double(b * s));
  for (double b = 2; b <= double(largest) * 1.01; b *= 1.1) {
    const double s = law.steps() * (1 + law.critical() / b);
    theory.add(b, s), cost_theory.add(s, b * s);
  }
  cost.name = cost_theory.name = "";
  steps.curves = {theory, measured}, pareto.curves = {cost_theory, cost};
  common::Panel scales{.title = "Gradient noise scale", .x_label = "step of 64 examples", .curves = {scale}};
  common::tell(common::plot("batch_size.svg", {steps, pareto, scales}), "batch_size.svg", "all three");
}
