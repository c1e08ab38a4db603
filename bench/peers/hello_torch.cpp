// What the README's first program does, written for libtorch: for bench/adoption --peer.

#include <torch/torch.h>

#include <cstdio>

struct Mlp : torch::nn::Module {
  torch::nn::Linear hidden{nullptr}, output{nullptr};

  Mlp() {
    hidden = register_module("hidden", torch::nn::Linear(64, 128));
    output = register_module("output", torch::nn::Linear(128, 10));
  }
  torch::Tensor forward(const torch::Tensor& x) { return output(torch::relu(hidden(x))); }
};

int main() {
  Mlp model;
  torch::optim::Adam adam(model.parameters(), torch::optim::AdamOptions(1e-3));
  const auto x = torch::randn({256, 64}), labels = torch::randint(0, 10, {256}, torch::kLong);
  for (int epoch = 0; epoch < 10; ++epoch) {
    adam.zero_grad();
    const auto loss = torch::nn::functional::cross_entropy(model.forward(x), labels);
    loss.backward();
    adam.step();
    std::printf("%d: loss %.3f\n", epoch, loss.item<double>());
  }
  torch::save(adam, "adam.pt");
}
