// The cases of bench/steps on PyTorch's C++ library: the same shapes, the same flow of data, the same JSON lines.
//   torch_steps --list
//   torch_steps --case 'mlp_*' --threads 2 [--samples 15] [--ms 30]

#include "../harness.h"
#include "../problems.h"
#include "../shapes.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/torch.h>

#include <memory>

using namespace bench;
using torch::Tensor;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

namespace {

using Inputs = std::vector<Tensor>;

// ---------------------------------------------------------------- training steps

// Gradients are dropped, not filled with zeros: newer versions do that by default, and it is faster.
void drop_gradients(torch::optim::Optimizer& optimizer) {
  for (auto& group : optimizer.param_groups())
    for (Tensor& p : group.params()) p.mutable_grad() = Tensor();
}

void train(const Options& o, const std::string& name, torch::optim::Optimizer& optimizer, auto loss) {
  report(o, name, [&] {
    drop_gradients(optimizer);
    loss().backward();
    optimizer.step();
  });
}

nn::Sequential mlp(const shapes::Sizes& widths) {
  nn::Sequential layers;
  for (std::size_t i = 1; i < widths.size(); ++i) {
    layers->push_back(nn::Linear(widths[i - 1], widths[i]));
    if (i + 1 < widths.size()) layers->push_back(nn::ReLU());
  }
  return layers;
}

std::unique_ptr<torch::optim::Optimizer> optimizer_for(const std::vector<Tensor>& parameters, bool adam) {
  if (adam) return std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(1e-3));
  return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(1e-2));
}

void mlp_case(const Options& o, const shapes::Mlp& m) {
  auto model = mlp(m.widths);
  const Tensor x = torch::randn({m.batch, m.widths.front()}), y = torch::randint(0, 10, {m.batch}, torch::kLong);
  auto optimizer = optimizer_for(model->parameters(), m.adam);
  train(o, m.name, *optimizer, [&] { return F::cross_entropy(model->forward(x), y); });
}

void growth_batch_case(const Options& o, std::int64_t batch) {
  auto model = mlp(shapes::growing_mlp);
  const Tensor x = torch::randn({batch, shapes::growing_mlp.front()}), y = torch::randint(0, 10, {batch}, torch::kLong);
  auto optimizer = optimizer_for(model->parameters(), true);
  report_growth(o, "batch", batch, [&] {
    drop_gradients(*optimizer);
    F::cross_entropy(model->forward(x), y).backward();
    optimizer->step();
  });
}

void lenet_case(const Options& o, const std::string& name, std::int64_t k, std::int64_t batch) {
  nn::Sequential model(nn::Conv2d(nn::Conv2dOptions(1, 32, k).padding(k / 2)), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Conv2d(nn::Conv2dOptions(32, 64, k).padding(k / 2)), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Flatten(), nn::Linear(64 * 7 * 7, 128), nn::ReLU(), nn::Linear(128, 10));
  const Tensor x = torch::randn({batch, 1, 28, 28}), y = torch::randint(0, 10, {batch}, torch::kLong);
  torch::optim::SGD sgd(model->parameters(), torch::optim::SGDOptions(1e-2).momentum(0.9));
  train(o, name, sgd, [&] { return F::cross_entropy(model->forward(x), y); });
}

// The classes come from the last of the hidden states.
void lstm_case(const Options& o) {
  constexpr std::int64_t length = 64, batch = 32, in = 64, hidden = 128;
  nn::LSTM lstm(in, hidden);
  nn::Linear output(hidden, 10);
  const Tensor x = torch::randn({length, batch, in}), y = torch::randint(0, 10, {batch}, torch::kLong);
  auto parameters = lstm->parameters();
  for (const Tensor& p : output->parameters()) parameters.push_back(p);
  auto optimizer = optimizer_for(parameters, true);
  train(o, "lstm_h128_t64_b32", *optimizer, [&] {
    const Tensor h = std::get<0>(lstm->forward(x));
    return F::cross_entropy(output->forward(h[length - 1]), y);
  });
}

void table_case(const Options& o) {
  using shapes::Table;
  nn::Embedding model(nn::EmbeddingOptions(Table::entries, Table::width).sparse(true));
  const Tensor index = torch::randint(Table::entries, {Table::batch}),
               y_bar = torch::randn({Table::batch, Table::width});
  auto sgd = torch::optim::SGD(model->parameters(), torch::optim::SGDOptions(1e-2));
  report(o, "embedding_v50000_d256_b2048", [&] {
    drop_gradients(sgd);
    model->forward(index).backward(y_bar);
    sgd.step();
  });
}

struct Transformer : nn::Module {
  static constexpr std::int64_t batch = 16, length = 64, width = 128, heads = 4, each = width / heads;
  nn::LayerNorm norm1{nn::LayerNormOptions({width})}, norm2{nn::LayerNormOptions({width})};
  nn::Linear qkv{width, 3 * width}, project{width, width}, widen{width, 4 * width}, narrow{4 * width, width};
  Tensor mask = torch::full({length, length}, -1e9).triu(1);

  Transformer() {
    register_module("norm1", norm1), register_module("norm2", norm2);
    register_module("qkv", qkv), register_module("project", project);
    register_module("widen", widen), register_module("narrow", narrow);
  }
  Tensor attend(const Tensor& x) {
    const Tensor all = qkv->forward(x).view({batch, length, 3, heads, each}).permute({2, 0, 3, 1, 4});
    const Tensor scores = torch::matmul(all[0], all[1].transpose(-2, -1)) * (1 / std::sqrt(double(each))) + mask;
    const Tensor mixed = torch::matmul(torch::softmax(scores, -1), all[2]);
    return project->forward(mixed.transpose(1, 2).reshape({batch, length, width}));
  }
  Tensor forward(const Tensor& x) {
    const Tensor h = x + attend(norm1->forward(x));
    return h + narrow->forward(torch::gelu(widen->forward(norm2->forward(h))));
  }
};

void transformer_case(const Options& o) {
  using T = Transformer;
  T model;
  const Tensor x = torch::randn({T::batch, T::length, T::width}), y = torch::randn({T::batch, T::length, T::width});
  auto optimizer = optimizer_for(model.parameters(), true);
  train(o, "transformer_d128_h4_t64_b16", *optimizer, [&] { return F::mse_loss(model.forward(x), y); });
}

void optimizer_case(const Options& o, const std::string& kind, std::int64_t n, int tensors) {
  std::vector<Tensor> parameters;
  for (int i = 0; i < tensors; ++i) {
    parameters.push_back(torch::randn({n / tensors}).set_requires_grad(true));
    parameters.back().mutable_grad() = torch::randn({n / tensors});
  }
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  const bool adam = kind == "adam";
  if (adam) optimizer = std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(1e-3));
  else optimizer = std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(1e-2).momentum(0.9));
  const Stat s = measure(o, [&] { optimizer->step(); });
  emit(o, fmt::format("opt_{}_{}_t{}", kind, n, tensors), s,
       fmt::format("\"ideal_GBps\":{:.2f}",
                   (adam ? shapes::adam_bytes : shapes::sgdm_bytes) * static_cast<double>(n) / s.min_ns));
}

// ---------------------------------------------------------------- elementwise functions and reductions

struct Elementwise {
  std::string name;
  std::function<Tensor(const Inputs&)> f;
  std::function<std::vector<shapes::Sizes>(std::int64_t n)> shapes;
};

Tensor chain6(const Inputs& x) { return torch::tanh(x[0] * x[1] + x[2]) * x[1] + x[0] * x[2]; }
Tensor square_sum(const Inputs& x) { return (x[0] - x[1]).square().sum(); }

std::vector<Elementwise> elementwise_list() {
  auto flat = [](int inputs) {
    return [inputs](std::int64_t n) { return std::vector<shapes::Sizes>(std::size_t(inputs), shapes::Sizes{n}); };
  };
  auto rows = [](std::int64_t n) { return std::vector<shapes::Sizes>{shapes::rows(n)}; };
  auto images = [](std::int64_t n) { return std::vector<shapes::Sizes>{shapes::images(n)}; };
  auto with_gain = [](auto of) {
    return [=](std::int64_t n) {
      const shapes::Sizes x = of(n)[0];
      return std::vector<shapes::Sizes>{x, {x[1]}, {x[1]}};
    };
  };
  return {
      {"relu", [](const Inputs& x) { return torch::relu(x[0]); }, flat(1)},
      {"tanh", [](const Inputs& x) { return torch::tanh(x[0]); }, flat(1)},
      {"sigmoid", [](const Inputs& x) { return torch::sigmoid(x[0]); }, flat(1)},
      {"exp", [](const Inputs& x) { return torch::exp(x[0]); }, flat(1)},
      {"gelu", [](const Inputs& x) { return torch::gelu(x[0]); }, flat(1)},
      {"mul", [](const Inputs& x) { return x[0] * x[1]; }, flat(2)},
      {"mul_add", [](const Inputs& x) { return x[0] * x[1] + x[2]; }, flat(3)},
      {"chain6", chain6, flat(3)},
      {"chain6_fuse", chain6, flat(3)},  // the peer of a fused loop is what people write without one
      {"square_sum", square_sum, flat(2)},
      {"square_sum_fuse", square_sum, flat(2)},
      {"sum", [](const Inputs& x) { return x[0].sum(); }, flat(1)},
      {"sum_rows", [](const Inputs& x) { return x[0].sum(1); }, rows},
      {"sum_cols", [](const Inputs& x) { return x[0].sum(0); }, rows},
      {"softmax", [](const Inputs& x) { return torch::softmax(x[0], 1); }, rows},
      {"log_softmax", [](const Inputs& x) { return torch::log_softmax(x[0], 1); }, rows},
      {"cross_entropy",
       [](const Inputs& x) { return F::cross_entropy(x[0], torch::zeros({x[0].size(0)}, torch::kLong)); }, rows},
      {"max_pool2", [](const Inputs& x) { return torch::max_pool2d(x[0], 2); }, images},
      {"layer_norm", [](const Inputs& x) { return torch::layer_norm(x[0], {128}, x[1], x[2]); }, with_gain(rows)},
      {"batch_norm2d",
       [](const Inputs& x) { return torch::batch_norm(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, false); },
       with_gain(images)},
  };
}

void elementwise_case(const Options& o, const Elementwise& e, std::int64_t n) {
  Inputs x;
  for (const shapes::Sizes& s : e.shapes(n)) x.push_back(torch::randn(s));
  const std::string name = fmt::format("ew_{}_n{}", e.name, n);
  {
    const torch::NoGradGuard plain;
    report(o, name + "_fwd", [&] { e.f(x); });
  }
  for (Tensor& t : x) t.set_requires_grad(true);
  const Tensor y_bar = torch::randn_like(e.f(x).detach());
  report(o, name + "_fwdbwd", [&] { torch::autograd::grad({e.f(x)}, x, {y_bar}); });
}

// ---------------------------------------------------------------- what one operator costs

Tensor chain(const std::string& op, const Tensor& x, const Tensor& c, std::int64_t length) {
  Tensor y = x;
  if (op == "add")
    for (std::int64_t i = 0; i < length; ++i) y = y + c;
  else if (op == "mul")
    for (std::int64_t i = 0; i < length; ++i) y = y * c;
  else
    for (std::int64_t i = 0; i < length; ++i) y = torch::tanh(y);
  return y;
}

void chain_case(const Options& o, const std::string& op, std::int64_t n) {
  constexpr int length = 1000;
  const std::string name = fmt::format("chain_{}_e{}", op, n);
  const Tensor c = torch::full({n}, 0.999f), y_bar = torch::ones({n});
  Tensor x = torch::full({n}, 0.5f).set_requires_grad(true);
  const Phases recorded = phases(
      length, 6 * o.samples, [&] { return chain(op, x, c, length); },
      [&](const Tensor& y) { torch::autograd::grad({y}, {x}, {y_bar}); });
  report_chain(o, name, recorded);
  const torch::NoGradGuard off;
  const Phases plain = phases(length, 6 * o.samples, [&] { return chain(op, x, c, length); }, [](const Tensor&) {});
  emit(o, name + "_nograd_fwd", summarize(plain.forward));
}

double heap_in_use() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

void deep_case(const Options& o, const std::string& what) {
  constexpr int length = 1000000;
  const Tensor x = torch::full({1}, 0.5f).set_requires_grad(true), c = torch::full({1}, 0.999999f);
  double heap = 0, rss = 0;
  malloc_trim(0);
  const Phases p = phases(
      length, 1,
      [&] {
        const double held = heap_in_use(), resident = rss_mib();
        Tensor y = chain("mul", x, c, length);
        heap = (heap_in_use() - held) / length;
        rss = (rss_mib() - resident) * (1 << 20) / length;
        return y;
      },
      [&](const Tensor& y) {
        if (what == "bwd") y.backward();
      });
  report_deep(o, what, p, heap, rss);
}

void growth_nodes_case(const Options& o, std::int64_t n) {
  const Tensor x = torch::full({1}, 0.5f).set_requires_grad(true), c = torch::full({1}, 0.999999f);
  report_growth(o, "nodes", n, [&] { torch::autograd::grad({chain("mul", x, c, n)}, {x}); });
}

// ---------------------------------------------------------------- convolution

void convolution_case(const Options& o, const shapes::Convolution& c) {
  Inputs x{torch::randn({c.batch, c.in, c.size, c.size}), torch::randn({c.out, c.in / c.groups, c.kernel, c.kernel}),
           torch::randn({c.out})};
  auto y = [&] { return torch::conv2d(x[0], x[1], x[2], 1, c.padding, 1, c.groups); };
  auto gflops = [](double work, const Stat& s) { return fmt::format("\"gflops\":{:.1f}", work / s.min_ns); };
  {
    const torch::NoGradGuard plain;
    const Stat forward = measure(o, [&] { y(); });
    emit(o, fmt::format("conv_{}_fwd", c.name), forward, gflops(c.flops(), forward));
  }
  for (Tensor& t : x) t.set_requires_grad(true);
  const Tensor y_bar = torch::randn_like(y().detach());
  const Stat both = measure(o, [&] { torch::autograd::grad({y()}, x, {y_bar}); });
  emit(o, fmt::format("conv_{}_fwdbwd", c.name), both, gflops(3 * c.flops(), both));
}

// ---------------------------------------------------------------- whole gradients, float64

Tensor from(const std::vector<double>& x, at::IntArrayRef shape) {
  return torch::tensor(x, torch::kDouble).view(shape);
}

void gradient_case(const Options& o, const std::string& name, std::int64_t n, auto f) {
  const Tensor x = from(problems::start(n), {n}).set_requires_grad(true);
  Tensor gradient;
  const Stat s = measure(o, [&] { gradient = torch::autograd::grad({f(x)}, {x})[0]; });
  emit(o, "grad_" + name, s,
       fmt::format("\"grad_norm2\":{:.10g},{}", gradient.pow(2).sum().item<double>(), peak_rss()));
}

void rosenbrock_case(const Options& o) {
  constexpr std::int64_t n = problems::Rosenbrock::n;
  gradient_case(o, "rosenbrock_1e5", n, [](const Tensor& x) {
    const Tensor head = x.narrow(0, 0, n - 1), tail = x.narrow(0, 1, n - 1);
    return (100.0 * (tail - head * head).pow(2) + (1.0 - head).pow(2)).sum();
  });
}
void logistic_case(const Options& o) {
  const problems::Logistic p;
  const Tensor x = from(p.x, {p.rows, p.n}), y = from(p.y, {p.rows});
  gradient_case(o, "logistic_2000x50", p.n,
                [&](const Tensor& w) { return torch::softplus(-y * torch::mv(x, w)).sum(); });
}
void regression_case(const Options& o) {
  using P = problems::Regression;
  const P p;
  const Tensor x = from(p.x, {p.batch, p.in}), y = from(p.y, {p.batch, p.out});
  gradient_case(o, "mlp_64_32_10_b32", p.n, [&](const Tensor& w) {
    constexpr std::int64_t a = P::in * P::hidden, b = a + P::hidden, c = b + P::hidden * P::out;
    const Tensor w1 = w.narrow(0, 0, a).view({P::hidden, P::in}), w2 = w.narrow(0, b, c - b).view({P::out, P::hidden});
    const Tensor h = torch::tanh(torch::addmm(w.narrow(0, a, P::hidden), x, w1.t()));
    return (torch::addmm(w.narrow(0, c, P::out), h, w2.t()) - y).pow(2).sum();
  });
}
void poisson_case(const Options& o) {
  const problems::Poisson p;
  const Tensor index = torch::tensor(p.index, torch::kLong), y = from(p.y, {p.observations});
  gradient_case(o, "sparse_poisson_1e5", p.n, [&](const Tensor& w) {
    const Tensor eta = w.index_select(0, index).view({p.observations, 3}).sum(1);
    return (eta.exp() - y * eta).sum();
  });
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({name, run}); };
  for (const shapes::Mlp& m : shapes::mlps) add(m.name, [&](const Options& o) { mlp_case(o, m); });
  for (const std::int64_t kernel : {3, 5}) {
    const std::string name = fmt::format("lenet_k{}_b64", kernel);
    add(name, [=](const Options& o) { lenet_case(o, name, kernel, 64); });
  }
  add("lstm_h128_t64_b32", lstm_case);
  add("transformer_d128_h4_t64_b16", transformer_case);
  add("embedding_v50000_d256_b2048", table_case);
  for (const auto& [n, tensors] : shapes::optimizers)
    for (const std::string kind : {"adam", "sgdm"})
      add(fmt::format("opt_{}_{}_t{}", kind, n, tensors),
          [=](const Options& o) { optimizer_case(o, kind, n, tensors); });
  for (const shapes::Convolution& c : shapes::convolutions)
    add(fmt::format("conv_{}", c.name), [&](const Options& o) { convolution_case(o, c); });
  for (const std::string op : {"add", "mul", "tanh"})
    for (const std::int64_t n : {1, 16})
      add(fmt::format("chain_{}_e{}", op, n), [=](const Options& o) { chain_case(o, op, n); });
  for (const std::string what : {"bwd", "destroy"}) add("deep_" + what, [=](const Options& o) { deep_case(o, what); });
  add("grad_rosenbrock", rosenbrock_case);
  add("grad_logistic", logistic_case);
  add("grad_mlp", regression_case);
  add("grad_sparse", poisson_case);
  for (const Elementwise& e : elementwise_list())
    for (const std::int64_t n : shapes::elementwise)
      add(fmt::format("ew_{}_n{}", e.name, n), [=](const Options& o) { elementwise_case(o, e, n); });
  for (const std::int64_t n : shapes::nodes)
    add(fmt::format("growth_nodes_{}", n), [=](const Options& o) { growth_nodes_case(o, n); });
  for (const std::int64_t batch : shapes::batches)
    add(fmt::format("growth_batch_{}", batch), [=](const Options& o) { growth_batch_case(o, batch); });
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv, "libtorch");
  at::set_num_threads(options.threads);
  torch::manual_seed(1);
  return run(all_cases(), options);
}
