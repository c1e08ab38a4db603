// A variational autoencoder of handwritten digits (Kingma & Welling 2014): an encoder that tells where an image lies
// among a few numbers, a decoder that draws it again from there.
//
//   autoencoder                    the 1,797 digits of 8 x 8 pixels that are embedded in the library
//   autoencoder --data FOLDER      MNIST, as idx files, plain or gzip
//
// Writes autoencoder.png (images of the test part, their reconstructions, and digits that nobody wrote) and
// autoencoder.svg (the loss, in nats for each image).

#include "common/images.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <wengert/train.h>

using namespace wengert;

struct Vae {
  nn::Linear hidden, mean, log_variance, widen, output;

  Vae(std::int64_t pixels, std::int64_t width, std::int64_t numbers)
      : hidden(pixels, width),
        mean(width, numbers),
        log_variance(width, numbers),
        widen(numbers, width),
        output(width, pixels) {}
  static auto members(auto& self) {
    return fields(field("hidden", self.hidden), field("mean", self.mean), field("log_variance", self.log_variance),
                  field("widen", self.widen), field("output", self.output));
  }

  Tensor decode(const Tensor& z) const { return output(relu(widen(z))); }  // logits of the pixels
  Tensor reconstruct(const Tensor& x) const { return sigmoid(decode(mean(relu(hidden(x))))); }

  // The negative evidence lower bound, equation 10: what the reconstruction misses, and how far the code is from
  // N(0, 1). Noise enters as an operand, so that the gradient passes by it.
  Tensor loss(const Tensor& x, Rng& rng) const {
    const Tensor h = relu(hidden(x)), m = mean(h), s = log_variance(h);
    const Tensor z = m + exp(0.5 * s) * randn(m.shape(), rng);
    const Tensor misses = nn::binary_cross_entropy_with_logits(decode(z), x, {.reduction = nn::Reduction::sum});
    return (misses + 0.5 * sum(exp(s) + square(m) - 1.0 - s)) / static_cast<double>(x.size(0));
  }
};

int main(int argc, char** argv) {
  std::string folder;
  std::int64_t epochs = 0;
  CLI::App app{"A variational autoencoder of handwritten digits."};
  app.add_option("--data", folder, "folder with MNIST's idx files")->check(CLI::ExistingDirectory);
  app.add_option("--epochs", epochs, "passes over the training part [40, with --data 15]")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const bool mnist = !folder.empty();
  const auto [train, test] = common::digits_or_mnist(folder);
  const std::int64_t pixels = train.x.size(1), side = mnist ? 28 : 8, numbers = mnist ? 16 : 8;

  seed(1);
  Rng noise{2};
  Vae model(pixels, mnist ? 400 : 128, numbers);
  const auto loss = [&](const Vae& m, const Tensor& x, const Tensor&) { return m.loss(x, noise); };
  const Tensor held_back = test.x;
  const train::History history =
      train::fit(model, loss, data::Loader(train, {.batch_size = 64, .shuffle = true}),
                 {.epochs = epochs  ? epochs
                            : mnist ? 15
                                    : 40,
                  .optimizer = optim::Adam(model, {.lr = mnist ? 1e-3 : 3e-3}),
                  .validation = {{"held back loss", [&](const Vae& m) { return m.loss(held_back, noise).item(); }}},
                  .callbacks = {train::ProgressBar(stdout)}});

  history.write_svg("autoencoder.svg");

  const no_grad values;
  const std::int64_t shown = 16;
  const Tensor some = slice(test.x, 0, 0, shown);
  const Tensor all = cat({some, model.reconstruct(some), sigmoid(model.decode(randn({2 * shown, numbers}, noise)))});
  const Tensor large = interpolate(reshape(all, {-1, 1, side, side}), {32, 32});
  data::write_png("autoencoder.png", large, {.columns = shown, .gap = 2});
  fmt::print("autoencoder.svg shows the losses\n");
  fmt::print("autoencoder.png shows images of the test part, reconstructed from {} numbers, and two rows of new ones\n",
             numbers);
}
