#include "files.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/wengert.h"

#include <doctest/doctest.h>

using namespace wengert;

namespace {

// Eight kinds of layers, one of them in a vector and one in an optional; nothing is registered.
struct Net {
  nn::Conv2d conv{1, 4, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm2d norm{4};
  nn::MaxPool2d pool{2};
  std::vector<nn::Conv2d> blocks{{4, 4, 3, {.padding = 1}}, {4, 4, 3, {.padding = 1}}};
  nn::GroupNorm group{2, 4};
  std::optional<nn::Dropout> drop = nn::Dropout{0.1};
  nn::Sequential<nn::Flatten, nn::Linear, nn::Gelu> body{nn::Flatten{}, nn::Linear(64, 16), nn::Gelu{}};
  nn::LayerNorm last{16};
  nn::Linear out{16, 3};

  Tensor operator()(const Tensor& x, nn::Mode mode) const {
    Tensor h = pool(relu(norm(conv(x), mode)));
    for (const nn::Conv2d& block : blocks) h = h + relu(block(h));
    h = group(h);
    if (drop) h = (*drop)(h, mode);
    return out(last(body(h)));
  }
};

}  // namespace

TEST_CASE("a model of eight kinds of layers, one in a vector and one in an optional, trains and is saved") {
  seed(1);
  Net net;
  Rng rng{2};
  const Tensor x = rng.normal({30, 1, 8, 8}), y = rng.integers({30}, 0, 3);
  optim::Adam adam{net, {.lr = 1e-2}};
  auto loss_of = [&](const Net& n, nn::Mode mode) { return nn::cross_entropy(n(x, mode), y); };
  const double before = loss_of(net, nn::eval).item();
  for (int step = 0; step < 40; ++step)
    adam.step(net, grad([&](const Net& n) { return loss_of(n, nn::training(rng)); }, net));
  const double after = loss_of(net, nn::eval).item();
  CHECK(before > 0.9);
  CHECK(after < 0.3);
  CHECK(net.norm.num_batches_tracked.item() == 40);

  const TemporaryFolder folder;
  save(folder / "net.safetensors", net);
  Net twin;
  load(folder / "net.safetensors", twin);
  CHECK(loss_of(twin, nn::eval).item() == after);
  seed(0);
}
