// How much of a trained network can be left out: accuracy against the share of parameters that was removed, before and
// after training again, for small weights set to zero, layers of lower rank and kernels as sums of outer products.
// Prints a table, and draws compression.svg.
//
//   compression                   the 8 x 8 digits that come with the library
//   compression --data FOLDER     MNIST (idx files, plain or gzip)

#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <wengert/wengert.h>

#include <cmath>

using namespace wengert;

struct Options {
  std::string data, out = ".";
  int epochs = 0, again = 0;
};

struct Mlp {
  nn::Linear hidden, second, output;
  Tensor operator()(const Tensor& x) const { return output(relu(second(relu(hidden(x))))); }
};
struct ThinMlp {
  nn::LowRankLinear hidden, second;
  nn::Linear output;
  Tensor operator()(const Tensor& x) const { return output(relu(second(relu(hidden(x))))); }
};

// Images of `side` x `side` pixels.
template <class Second>
struct Cnn {
  std::int64_t side;
  nn::Conv2d first;
  Second second;
  nn::Linear output;
  Tensor operator()(const Tensor& x) const {
    const Tensor images = reshape(x, {x.size(0), 1, side, side});
    return output(reshape(max_pool(relu(second(relu(first(images)))), {4, 4}), {x.size(0), -1}));
  }
};

template <class Model>
double accuracy(const Model& model, const data::Dataset& test) {
  const no_grad off;
  nn::Confusion confusion(10);
  for (auto [x, y] : data::batches(test, {.batch_size = 256})) confusion.update(model(x), y);
  return 100 * confusion.accuracy();
}

// after(step, steps) is called behind every step.
template <class Model, class After>
void train(Model& model, const data::Dataset& set, int epochs, double lr, After&& after) {
  optim::Adam adam{model, {.lr = lr}};
  data::Loader batches(set, {.batch_size = 64, .shuffle = true, .seed = 1});
  const std::int64_t steps = epochs * batches.size();
  std::int64_t step = 0;
  while (batches.epoch() < epochs)
    for (auto& [x, y] : batches) {
      auto [loss, grads] = value_and_grad([x = x, y = y](const Model& m) { return nn::cross_entropy(m(x), y); }, model);
      adam.lr = lr * (1 + std::cos(M_PI * static_cast<double>(step) / static_cast<double>(steps))) / 2;
      adam.step(model, grads);
      after(++step, steps);
    }
}
template <class Model>
void train(Model& model, const data::Dataset& set, int epochs, double lr) {
  train(model, set, epochs, lr, [](auto, auto) {});
}

// --- one method, several sizes ---------------------------------------------------------------------------------------

struct Report {
  common::Panel panel;
  common::Curve before, after;
  double whole;  // accuracy of the model as it was

  Report(std::string title, double accuracy)
      : panel{.title = std::move(title), .x_label = "% of parameters removed", .number_format = "%g %%"},
        whole(accuracy) {
    before.name = "before", after.name = "trained again", after.colour = 1;
    fmt::print("\n{}: {:.2f} % right\n  {:24} {:>9} {:>9} {:>15}\n", panel.title, whole, "", "removed", "before",
               "trained again");
  }
  void add(const std::string& what, double removed, double accuracy_before, double accuracy_after) {
    fmt::print("  {:24} {:7.1f} % {:7.2f} % {:13.2f} %\n", what, removed, accuracy_before, accuracy_after);
    before.add(removed, accuracy_before), after.add(removed, accuracy_after);
  }
  common::Panel finished() {
    // What fell to nothing would squeeze the rest.
    panel.low = std::floor(whole) - 20;
    for (common::Curve* c : {&before, &after}) {
      common::Curve shown;
      shown.name = c->name, shown.colour = c->colour;
      for (std::size_t i = 0; i < c->x.size(); ++i)
        if (c->y[i] >= panel.low) shown.add(c->x[i], c->y[i]);
      if (!shown.x.empty()) panel.curves.push_back(std::move(shown));
    }
    return panel;
  }
};

template <class Model, class Thin>
double removed(const Model& model, const Thin& thin) {
  return 100 * (1 - static_cast<double>(num_parameters(thin)) / static_cast<double>(num_parameters(model)));
}

common::Panel prune(const Mlp& model, const data::Split& images, int again) {
  Report report("Small weights set to zero", accuracy(model, images.test));
  for (const double share : {0.5, 0.8, 0.9, 0.95, 0.98}) {
    Mlp pruned = model;
    nn::Pruning at_once(pruned);
    at_once.prune(pruned, share);
    const double before = accuracy(pruned, images.test);
    const double part = 100 * static_cast<double>(at_once.pruned()) / static_cast<double>(num_parameters(model));
    // Little by little, so that what stays can take over.
    pruned = model;
    nn::Pruning pruning(pruned);
    train(pruned, images.train, again, 2e-3, [&](std::int64_t step, std::int64_t steps) {
      if (step % 20 == 0 || step == steps / 2)
        pruning.prune(pruned, nn::pruning_schedule(step, {.end = steps / 2, .last = share}));
      pruning.apply(pruned);
    });
    report.add(fmt::format("{:g} % of the weights", 100 * share), part, before, accuracy(pruned, images.test));
  }
  return report.finished();
}

common::Panel factorise(const Mlp& model, const data::Split& images, int again) {
  Report report("Layers of lower rank", accuracy(model, images.test));
  for (const std::int64_t rank : {32, 16, 8, 4}) {
    ThinMlp thin{nn::low_rank(model.hidden, {.rank = rank}), nn::low_rank(model.second, {.rank = rank}), model.output};
    const double before = accuracy(thin, images.test);
    train(thin, images.train, again, 1e-3);
    report.add(fmt::format("rank {}", rank), removed(model, thin), before, accuracy(thin, images.test));
  }
  return report.finished();
}

common::Panel decompose(const Cnn<nn::Conv2d>& model, const data::Split& images, int again) {
  Report report("Kernels as sums of outer products", accuracy(model, images.test));
  for (const std::int64_t rank : {24, 12, 6, 3}) {
    Cnn<nn::CpConv2d> thin{model.side, model.first,
                           nn::cp_decompose(model.second.weight, model.second.bias, {.padding = {1}}, {.rank = rank}),
                           model.output};
    const double before = accuracy(thin, images.test);
    train(thin, images.train, again, 1e-3);
    report.add(fmt::format("rank {}, error {:.2f}", rank, thin.second.error), removed(model.second, thin.second),
               before, accuracy(thin, images.test));
  }
  return report.finished();
}

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"What can be left out of a trained network"};
  app.add_option("--data", options.data, "folder of MNIST; without it the embedded digits");
  app.add_option("--epochs", options.epochs, "of the first training; 0: 60 for the digits, 12 for MNIST");
  app.add_option("--again", options.again, "epochs of training again; 0: two thirds, or 10 for MNIST");
  app.add_option("--out", options.out, "folder for the picture")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    const bool mnist = !options.data.empty();
    const int epochs = options.epochs ? options.epochs
                       : mnist        ? 12
                                      : 60,
              again = options.again ? options.again
                      : mnist       ? 10
                                    : 40;
    seed(1);
    Rng rng{1};
    const data::Split images =
        mnist ? data::mnist(options.data) : data::split(data::digits(), {.test = 0.2, .shuffle = rng});
    const std::int64_t pixels = images.train.x.size(1), side = std::llround(std::sqrt(pixels));
    Mlp mlp{nn::Linear(pixels, 256), nn::Linear(256, 128), nn::Linear(128, 10)};
    train(mlp, images.train, epochs, 2e-3);
    Cnn<nn::Conv2d> cnn{side, nn::Conv2d(1, 16, 3, {.padding = 1}), nn::Conv2d(16, 32, 3, {.padding = 1}),
                        nn::Linear(32 * (side / 4) * (side / 4), 10)};
    train(cnn, images.train, (epochs + 2) / 3, 2e-3);

    const std::vector<common::Panel> panels{prune(mlp, images, again), factorise(mlp, images, again),
                                            decompose(cnn, images, (again + 2) / 3)};
    const std::string path = options.out + "/compression.svg";
    if (common::plot(path, panels)) fmt::print("\n  {} shows it\n", path);
    else fmt::print("\n  {} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
