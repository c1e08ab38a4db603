// Operators, chains and training steps, measured; one JSON line per case.
//   steps --list
//   steps --case chain_mul_e1 --threads 1 [--samples 15] [--ms 30]
//   steps --case 'ew_*' --threads 2
// A training step is forward + loss + backward + the optimizer's step on one fixed random batch.

#include "steps.h"

#include "shapes.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/nn/nn.h"
#include "wengert/optim/optim.h"

using namespace wengert;
using namespace bench;

namespace {

// ---------------------------------------------------------------- training steps

struct Mlp {
  std::vector<nn::Linear> layers;
  explicit Mlp(const std::vector<std::int64_t>& sizes) {
    for (std::size_t i = 1; i < sizes.size(); ++i) layers.emplace_back(sizes[i - 1], sizes[i]);
  }
  static auto members(auto& self) { return fields(field("layers", self.layers)); }
  Tensor operator()(Tensor x) const {
    for (std::size_t i = 0; i + 1 < layers.size(); ++i) x = relu(layers[i](x));
    return layers.back()(x);
  }
};

struct LeNet {
  std::int64_t kernel;
  nn::Conv2d conv1{1, 32, kernel, {.padding = kernel / 2}}, conv2{32, 64, kernel, {.padding = kernel / 2}};
  nn::Linear hidden{64 * 7 * 7, 128}, output{128, 10};
  Tensor operator()(const Tensor& x) const {
    Tensor h = max_pool(relu(conv1(x)), {2, 2});
    h = max_pool(relu(conv2(h)), {2, 2});
    return output(relu(hidden(flatten(h, 1))));
  }
};

// The last state of an LSTM is classified.
struct LastState {
  Param weight_ih = rng.uniform({4 * 128, 64}, -0.088, 0.088), weight_hh = rng.uniform({4 * 128, 128}, -0.088, 0.088),
        bias_ih = rng.uniform({4 * 128}, -0.088, 0.088), bias_hh = rng.uniform({4 * 128}, -0.088, 0.088);
  nn::Linear output{128, 10};
  Tensor operator()(const Tensor& x) const {
    const Tensor states = lstm(x, Tensor(), Tensor(), weight_ih, weight_hh, bias_ih, bias_hh).output;
    return output(select(states, 0, x.size(0) - 1));
  }
};

void lstm_case(const Options& o, const std::string& name) {
  LastState model;
  optim::Adam adam(model, {.lr = 1e-3});
  const Tensor x = randn({64, 32, 64}, rng), labels = rng.integers({32}, 0, 10);
  report(o, name, [&] {
    backward(nn::cross_entropy(model(x), labels));
    adam.step(model);
  });
}

void table_case(const Options& o, const std::string& name) {
  using shapes::Table;
  nn::Embedding model(Table::entries, Table::width);
  optim::Sgd sgd(model, {.lr = 1e-2});
  const Tensor index = rng.integers({Table::batch}, 0, Table::entries),
               y_bar = randn({Table::batch, Table::width}, rng);
  report(o, name, [&] {
    backward(model(index), y_bar);
    sgd.step(model);
  });
}

// A pre-norm block with causal attention of four heads; the targets are regressed, so that there is nothing else.
struct Transformer {
  static constexpr std::int64_t batch = 16, length = 64, width = 128, heads = 4;
  Param gain1 = ones({width}), bias1 = zeros({width}), gain2 = ones({width}), bias2 = zeros({width});
  nn::Linear qkv{width, 3 * width}, project{width, width}, widen{width, 4 * width}, narrow{4 * width, width};
  Tensor mask = triu(full({length, length}, -1e9), 1);

  Tensor attend(const Tensor& x) const { return project(self_attend(qkv(x), heads, {.mask = mask})); }
  Tensor operator()(const Tensor& x) const {
    const Tensor h = x + attend(layer_norm(x, gain1, bias1));
    return h + narrow(gelu(widen(layer_norm(h, gain2, bias2))));
  }
};

void transformer_case(const Options& o, const std::string& name) {
  Transformer model;
  optim::Adam adam(model, {.lr = 1e-3});
  const Shape shape{Transformer::batch, Transformer::length, Transformer::width};
  const Tensor x = randn(shape, rng), y = randn(shape, rng);
  report(o, name, [&] {
    backward(nn::mse(model(x), y));
    adam.step(model);
  });
}

template <class Model, class Optimizer>
void train(const Options& o, const std::string& name, Model& model, Optimizer optimizer, const Tensor& x) {
  const Tensor labels = rng.integers({x.size(0)}, 0, 10);
  report(o, name, [&] {
    backward(nn::cross_entropy(model(x), labels));
    optimizer.step(model);
  });
}

void mlp_case(const Options& o, const shapes::Mlp& m) {
  Mlp model(m.widths);
  const Tensor x = randn({m.batch, m.widths.front()}, rng);
  if (m.adam) train(o, m.name, model, optim::Adam(model, {.lr = 1e-3}), x);
  else train(o, m.name, model, optim::Sgd(model, {.lr = 1e-2}), x);
}

// Nanoseconds per row of the batch.
void growth_case(const Options& o, std::int64_t batch) {
  Mlp model(shapes::growing_mlp);
  optim::Adam adam(model, {.lr = 1e-3});
  const Tensor x = randn({batch, shapes::growing_mlp.front()}, rng), labels = rng.integers({batch}, 0, 10);
  report_growth(o, "batch", batch, [&] {
    backward(nn::cross_entropy(model(x), labels));
    adam.step(model);
  });
}

void lenet_case(const Options& o, const std::string& name, std::int64_t kernel, std::int64_t batch) {
  LeNet model{kernel};
  train(o, name, model, optim::Sgd(model, {.lr = 1e-2, .momentum = 0.9}), randn({batch, 1, 28, 28}, rng));
}

using Params = std::vector<Param>;

// The optimizer alone. Bytes are what has to move at least, for one parameter.
template <class Optimizer>
void optimizer_case(const Options& o, const std::string& kind, std::int64_t n, int tensors, double bytes,
                    auto options) {
  Params model;
  for (int i = 0; i < tensors; ++i) model.push_back(randn({n / tensors}, rng));
  Params grads = zeros_like(model);
  for (Param& g : grads) g.assign(randn(g.shape(), rng));
  Optimizer optimizer(model, options);
  const Stat s = measure(o, [&] { optimizer.step(model, grads); });
  emit(o, fmt::format("opt_{}_{}_t{}", kind, n, tensors), s,
       fmt::format("\"ideal_GBps\":{:.2f}", bytes * static_cast<double>(n) / s.min_ns));
}

// ---------------------------------------------------------------- convolution

void convolution_case(const Options& o, const shapes::Convolution& c) {
  Inputs x{randn({c.batch, c.in, c.size, c.size}, rng), randn({c.out, c.in / c.groups, c.kernel, c.kernel}, rng),
           randn({c.out}, rng)};
  auto y = [&] { return conv(x[0], x[1], x[2], {.padding = {c.padding}, .groups = c.groups}); };
  auto gflops = [](double work, const Stat& s) { return fmt::format("\"gflops\":{:.1f}", work / s.min_ns); };
  const Stat forward = measure(o, [&] { (void)y(); });
  emit(o, fmt::format("conv_{}_fwd", c.name), forward, gflops(c.flops(), forward));
  for (Tensor& t : x) t = t.track();
  const Tensor y_bar = randn(y().shape(), rng);
  const Stat both = measure(o, [&] {
    const Tensor result = y();
    (void)grad({&result, 1}, x, {&y_bar, 1});
  });
  emit(o, fmt::format("conv_{}_fwdbwd", c.name), both, gflops(3 * c.flops(), both));
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({name, run}); };
  auto append = [&](std::vector<Case> more) { cases.insert(cases.end(), more.begin(), more.end()); };
  for (const shapes::Mlp& m : shapes::mlps) add(m.name, [&](const Options& o) { mlp_case(o, m); });
  for (const std::int64_t kernel : {3, 5}) {
    const std::string name = fmt::format("lenet_k{}_b64", kernel);
    add(name, [=](const Options& o) { lenet_case(o, name, kernel, 64); });
  }
  add("lstm_h128_t64_b32", [](const Options& o) { lstm_case(o, "lstm_h128_t64_b32"); });
  add("transformer_d128_h4_t64_b16", [](const Options& o) { transformer_case(o, "transformer_d128_h4_t64_b16"); });
  add("embedding_v50000_d256_b2048", [](const Options& o) { table_case(o, "embedding_v50000_d256_b2048"); });
  for (const auto& [n, tensors] : shapes::optimizers) {
    add(fmt::format("opt_adam_{}_t{}", n, tensors), [=](const Options& o) {
      optimizer_case<optim::Adam<Params>>(o, "adam", n, tensors, shapes::adam_bytes, optim::AdamOptions{.lr = 1e-3});
    });
    add(fmt::format("opt_sgdm_{}_t{}", n, tensors), [=](const Options& o) {
      optimizer_case<optim::Sgd<Params>>(o, "sgdm", n, tensors, shapes::sgdm_bytes,
                                         optim::SgdOptions{.lr = 1e-2, .momentum = 0.9});
    });
  }
  for (const shapes::Convolution& c : shapes::convolutions)
    add(fmt::format("conv_{}", c.name), [&](const Options& o) { convolution_case(o, c); });
  append(graph_cases());
  append(gradient_cases());
  append(elementwise_cases());
  for (const std::int64_t batch : shapes::batches)
    add(fmt::format("growth_batch_{}", batch), [=](const Options& o) { growth_case(o, batch); });
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  set_threads(options.threads);
  return run(all_cases(), options);
}
