// All optimizers train the same small network on handwritten digits, from the same first weights and through the same
// batches. Draws their training loss to optimizers.svg and prints what they get right. Rates are those that work for
// most networks of this size; tuning any of them would change the order.
//
//   optimizers                    the embedded 8 x 8 digits
//   optimizers --data FOLDER      MNIST

#include "common/images.h"
#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <wengert/train.h>

using namespace wengert;

struct Network {
  nn::Linear hidden, output{32, 10};
  explicit Network(std::int64_t pixels) : hidden(pixels, 32) {}
  Tensor operator()(const Tensor& x) const { return output(relu(hidden(x))); }
  static auto members(auto& self) { return fields(field("hidden", self.hidden), field("output", self.output)); }
};

const auto loss = [](const Tensor& y_hat, const Tensor& y) { return nn::cross_entropy(y_hat, y); };

struct Race {
  const data::Split images;
  const std::int64_t epochs;
  std::vector<common::Panel> panels = {};

  void panel(const std::string& title) {
    panels.push_back({.title = title, .logarithmic = true, .number_format = "%g"});
    fmt::print("\n{:<16}{:>10}{:>10}{:>10}\n", title, "loss", "test", "seconds");
  }
  Network start() const {
    seed(1);
    return Network(images.train.x.size(1));
  }
  void finish(const std::string& name, const Network& model, std::vector<double> x, std::vector<double> y,
              double seconds) {
    const double right = train::evaluate(model, nn::accuracy, data::batches(images.test, {.batch_size = 500}));
    fmt::print("{:<16}{:>10.4f}{:>8.1f} %{:>10.2f}\n", name, y.back(), 100 * right, seconds);
    common::Panel& p = panels.back();
    p.curves.push_back(
        {.name = name, .x = std::move(x), .y = std::move(y), .colour = static_cast<int>(p.curves.size())});
  }

  // One that takes gradients, of batches of 32 images or, with whole, of all.
  template <class Make>
  void run(const std::string& name, Make&& make, bool whole = false) {
    Network model = start();
    auto optimizer = make(model);
    Rng order{1};
    const std::int64_t size = whole ? images.train.size() : 32;
    const train::History h =
        train::fit(model, loss, [&] { return data::batches(images.train, {.batch_size = size, .shuffle = order}); },
                   {.epochs = epochs, .optimizer = optimizer});
    finish(name, model, h["epoch"], h["loss"], h.last("seconds"));
  }

  // One that evaluates the function, on all images; every evaluation is a pass over them.
  template <class Make>
  void run_on_function(const std::string& name, Make&& make) {
    Network model = start();
    auto optimizer = make(model);
    double passes = 0;
    auto f = [&](const Network& m) { return ++passes, loss(m(images.train.x), images.train.y); };
    std::vector<double> x, y;
    const auto begin = std::chrono::steady_clock::now();
    while (passes < static_cast<double>(epochs)) {
      y.push_back(optimizer.step(model, f));
      x.push_back(std::max(passes, 1.0));
    }
    finish(name, model, x, y, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
};

int main(int argc, char** argv) {
  std::string folder;
  std::int64_t epochs = 30;
  CLI::App app{"All optimizers on handwritten digits."};
  app.add_option("--data", folder, "folder with MNIST as idx files")->check(CLI::ExistingDirectory);
  app.add_option("--epochs", epochs, "passes over the training images")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Race race{common::digits_or_mnist(folder), epochs};
  fmt::print("{} images to train on, {} for the test, {} epochs\n", race.images.train.size(), race.images.test.size(),
             epochs);

  race.panel("Momentum");
  race.run("Sgd", [](auto& m) { return optim::Sgd(m, {.lr = 0.05}); });
  race.run("momentum", [](auto& m) { return optim::Sgd(m, {.lr = 0.02, .momentum = 0.9}); });
  race.run("Nesterov", [](auto& m) { return optim::Nesterov(m, {.lr = 0.02}); });
  race.run("Lion", [](auto& m) { return optim::Lion(m, {.lr = 1e-3}); });

  race.panel("A rate for each");
  race.run("Adagrad", [](auto& m) { return optim::Adagrad(m, {.lr = 0.02}); });
  race.run("RmsProp", [](auto& m) { return optim::RmsProp(m, {.lr = 1e-3}); });
  race.run("Adadelta", [](auto& m) { return optim::Adadelta(m); });
  race.run("Adamax", [](auto& m) { return optim::Adamax(m, {.lr = 5e-3}); });

  race.panel("Adam and its kin");
  race.run("Adam", [](auto& m) { return optim::Adam(m, {.lr = 3e-3}); });
  race.run("Amsgrad", [](auto& m) { return optim::Adam(m, {.lr = 3e-3, .amsgrad = true}); });
  race.run("AdamW", [](auto& m) { return optim::AdamW(m, {.lr = 3e-3, .weight_decay = 0.1}); });
  race.run("Nadam", [](auto& m) { return optim::Nadam(m, {.lr = 3e-3}); });
  race.run("Radam", [](auto& m) { return optim::Radam(m, {.lr = 3e-3}); });

  race.panel("Whole batches");
  race.run("gradient", [](auto& m) { return optim::Sgd(m, {.lr = 0.5}); }, true);
  race.run("Rprop", [](auto& m) { return optim::Rprop(m, {.lr = 1e-3}); }, true);
  race.run_on_function("Lbfgs", [](auto& m) { return optim::Lbfgs(m, {.max_iter = 1, .history_size = 20}); });
  race.run_on_function("NewtonCg", [](auto& m) { return optim::NewtonCg(m, {.max_cg_iter = 10}); });

  common::tell(common::plot("optimizers.svg", race.panels), "optimizers.svg", "the training loss");
}
