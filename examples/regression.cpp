// A network learns a curve from noisy points, once by stochastic gradients with momentum and once by Adam: two calls
// that differ in one line. Draws the learning curves and what was learned to regression.svg, and regression_adam.svg as
// fit() itself draws it.

#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <wengert/train.h>
#include <wengert/wengert.h>

using namespace wengert;

struct Network {
  nn::Linear first{1, 32}, second{32, 32}, output{32, 1};
  Tensor operator()(const Tensor& x) const { return output(tanh(second(tanh(first(x))))); }
};

Tensor truth(const Tensor& x) { return sin(3.0 * x) + 0.5 * x; }

data::Dataset make_data(std::int64_t n, Rng& rng) {
  const Tensor x = rng.uniform({n, 1}, -2, 2);
  return {x, truth(x) + rng.normal({n, 1}, 0, 0.2)};
}

common::Curve curve(const std::string& name, int colour, const Tensor& x, const Tensor& y) {
  return {.name = name,
          .x = to(x.detach(), float64).to_vector<double>(),
          .y = to(y.detach(), float64).to_vector<double>(),
          .colour = colour};
}

int main(int argc, char** argv) {
  std::int64_t epochs = 60;
  CLI::App app{"Fits a network to noisy points by SGD and by Adam."};
  app.add_option("--epochs", epochs, "passes over the points")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Rng rng{1};
  const data::Dataset train = make_data(300, rng), held_out = make_data(200, rng);
  const auto squares = [](const Tensor& y_hat, const Tensor& y) { return nn::mse(y_hat, y); };
  const auto error = [&](const Network& m) {
    return train::evaluate(m, squares, data::batches(held_out, {.batch_size = 200}));
  };

  common::Panel curves{.title = "Mean square error on held out points", .logarithmic = true};
  common::Panel picture{.title = "What was learned", .x_label = "x"};
  picture.curves.push_back(curve("", 7, train.x, train.y));
  picture.curves.back().points = picture.curves.back().faint = true;
  const Tensor grid = reshape(0.02 * arange(201, float32) - 2.0, {201, 1});
  picture.curves.push_back(curve("truth", 7, grid, truth(grid)));
  picture.curves.back().dashed = true;

  // Same first weights, same batches.
  auto run = [&](const std::string& name, int colour, auto make_optimizer) {
    fmt::print("{}\n", name);
    seed(1);
    Rng order{2};
    Network model;
    auto optimizer = make_optimizer(model);
    const train::History history =
        train::fit(model, squares, [&] { return data::batches(train, {.batch_size = 20, .shuffle = order}); },
                   {.epochs = epochs,
                    .optimizer = optimizer,
                    .validation = {{"held out loss", error}},
                    .callbacks = {train::ProgressBar(stdout)}});
    curves.curves.push_back({.name = name, .x = history["epoch"], .y = history["held out loss"], .colour = colour});
    picture.curves.push_back(curve(name, colour, grid, model(grid)));
    return history;
  };
  run("SGD", 0, [](Network& m) { return optim::Sgd(m, {.lr = 0.02, .momentum = 0.9}); });
  const train::History history = run("Adam", 1, [](Network& m) { return optim::Adam(m, {.lr = 1e-2}); });

  fmt::print("the noise alone makes 0.04\n");
  common::tell(common::plot("regression.svg", {curves, picture}), "regression.svg", "learning curves and fits");
  history.write_svg("regression_adam.svg");
  fmt::print("regression_adam.svg shows the history of the last one\n");
}
