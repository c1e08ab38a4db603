// Operators, chains and training steps, measured; one JSON line per case.
//   steps --list
//   steps --case chain_mul_e1 --threads 1 [--samples 15] [--ms 30]
//   steps --case 'ew_*' --threads 2
// A training step is forward + loss + backward + the optimizer's step on one fixed random batch.

#include "bench/harness.h"
#include "bench/problems.h"
#include "wengert/autodiff/fuse.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/parallel.h"
#include "wengert/autodiff/pool.h"
#include "wengert/autodiff/random.h"
#include "wengert/autodiff/sequences.h"
#include "wengert/nn/nn.h"
#include "wengert/optim/optim.h"

using namespace wengert;
using namespace bench;

namespace {

Rng rng{1};

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
    Tensor h = max_pool2d(relu(conv1(x)), 2);
    h = max_pool2d(relu(conv2(h)), 2);
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

// A pre-norm block with causal attention of four heads; the targets are regressed, so that there is nothing else.
struct Transformer {
  static constexpr std::int64_t batch = 16, length = 64, width = 128, heads = 4;
  Param gain1 = ones({width}), bias1 = zeros({width}), gain2 = ones({width}), bias2 = zeros({width});
  nn::Linear qkv{width, 3 * width}, project{width, width}, widen{width, 4 * width}, narrow{4 * width, width};
  Tensor mask = triu(full({length, length}, -1e9), 1);

  Tensor attend(const Tensor& x) const {
    return project(self_attend(qkv(x), heads, mask));
  }
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

void mlp_case(const Options& o, const std::string& name, const std::vector<std::int64_t>& sizes, std::int64_t batch,
              bool adam) {
  Mlp model(sizes);
  const Tensor x = randn({batch, sizes.front()}, rng);
  if (adam) train(o, name, model, optim::Adam(model, {.lr = 1e-3}), x);
  else train(o, name, model, optim::Sgd(model, {.lr = 1e-2}), x);
}

void lenet_case(const Options& o, const std::string& name, std::int64_t kernel, std::int64_t batch) {
  LeNet model{kernel};
  train(o, name, model, optim::Sgd(model, {.lr = 1e-2, .momentum = 0.9}), randn({batch, 1, 28, 28}, rng));
}

// The optimizer alone. Bytes are what has to move at least: reads of w, g and the moments, writes of w and the moments.
template <class Optimizer>
void optimizer_case(const Options& o, const std::string& kind, std::int64_t n, int tensors, double bytes,
                    auto options) {
  std::vector<Param> model;
  for (int i = 0; i < tensors; ++i) model.push_back(randn({n / tensors}, rng));
  std::vector<Param> grads = zeros_like(model);
  for (Param& g : grads) g.assign(randn(g.shape(), rng));
  Optimizer optimizer(model, options);
  const Stat s = measure(o, [&] { optimizer.step(model, grads); });
  emit(o, fmt::format("opt_{}_{}_t{}", kind, n, tensors), s,
       fmt::format("\"ideal_GBps\":{:.2f}", bytes * static_cast<double>(n) / s.min_ns));
}

// ---------------------------------------------------------------- elementwise functions and reductions

using Inputs = std::vector<Tensor>;

struct Elementwise {
  std::string name;
  std::function<Tensor(const Inputs&)> f;
  std::function<std::vector<Shape>(std::int64_t n)> shapes;
};

std::vector<Elementwise> elementwise_list() {
  auto flat = [](int inputs) {
    return [inputs](std::int64_t n) { return std::vector<Shape>(static_cast<std::size_t>(inputs), Shape{n}); };
  };
  auto rows = [](std::int64_t n) { return std::vector<Shape>{{n / 128, 128}}; };
  auto with_gain = [](Shape x, std::int64_t channels) { return std::vector<Shape>{x, {channels}, {channels}}; };
  auto images = [](std::int64_t n) {
    if (n == 1024) return std::vector<Shape>{{4, 16, 4, 4}};
    const std::int64_t size = n == 102400 ? 10 : 100;
    return std::vector<Shape>{{16, 64, size, size}};
  };
  return {
      {"relu", [](const Inputs& x) { return relu(x[0]); }, flat(1)},
      {"tanh", [](const Inputs& x) { return tanh(x[0]); }, flat(1)},
      {"sigmoid", [](const Inputs& x) { return sigmoid(x[0]); }, flat(1)},
      {"exp", [](const Inputs& x) { return exp(x[0]); }, flat(1)},
      {"gelu", [](const Inputs& x) { return gelu(x[0]); }, flat(1)},
      {"mul", [](const Inputs& x) { return x[0] * x[1]; }, flat(2)},
      {"mul_add", [](const Inputs& x) { return x[0] * x[1] + x[2]; }, flat(3)},
      {"chain6", [](const Inputs& x) { return tanh(x[0] * x[1] + x[2]) * x[1] + x[0] * x[2]; }, flat(3)},
      {"chain6_fuse",
       [](const Inputs& x) -> Tensor {
         return fuse([](auto a, auto b, auto c) { return tanh(a * b + c) * b + a * c; }, x[0], x[1], x[2]);
       },
       flat(3)},
      {"square_sum", [](const Inputs& x) { return sum(square(x[0] - x[1])); }, flat(2)},
      {"square_sum_fuse",
       [](const Inputs& x) -> Tensor { return fuse_sum([](auto a, auto b) { return square(a - b); }, x[0], x[1]); },
       flat(2)},
      {"sum", [](const Inputs& x) { return sum(x[0]); }, flat(1)},
      {"sum_rows", [](const Inputs& x) { return sum(x[0], {1}); }, rows},
      {"sum_cols", [](const Inputs& x) { return sum(x[0], {0}); }, rows},
      {"softmax", [](const Inputs& x) { return softmax(x[0], 1); }, rows},
      {"log_softmax", [](const Inputs& x) { return log_softmax(x[0], 1); }, rows},
      {"cross_entropy", [](const Inputs& x) { return nn::cross_entropy(x[0], zeros({x[0].size(0)}, int64)); }, rows},
      {"max_pool2", [](const Inputs& x) { return max_pool2d(x[0], 2); }, images},
      {"layer_norm", [](const Inputs& x) { return layer_norm(x[0], x[1], x[2]); },
       [=](std::int64_t n) { return with_gain(rows(n)[0], 128); }},
      {"batch_norm2d", [](const Inputs& x) { return batch_norm(x[0], x[1], x[2]); },
       [=](std::int64_t n) { return with_gain(images(n)[0], images(n)[0][1]); }},
  };
}

void elementwise_case(const Options& o, const Elementwise& e, std::int64_t n) {
  Inputs x;
  for (const Shape& s : e.shapes(n)) x.push_back(randn(s, rng));
  const std::string name = fmt::format("ew_{}_n{}", e.name, n);
  report(o, name + "_fwd", [&] { (void)e.f(x); });
  for (Tensor& t : x) t = t.track();
  const Tensor y_bar = randn(e.f(x).shape(), rng);
  report(o, name + "_fwdbwd", [&] {
    const Tensor y = e.f(x);
    (void)grad({&y, 1}, x, {&y_bar, 1});
  });
}

// ---------------------------------------------------------------- what one operator costs

Tensor chain(const std::string& op, const Tensor& x, const Tensor& c, int length) {
  Tensor y = x;
  if (op == "add")
    for (int i = 0; i < length; ++i) y = y + c;
  else if (op == "mul")
    for (int i = 0; i < length; ++i) y = y * c;
  else
    for (int i = 0; i < length; ++i) y = tanh(y);
  return y;
}

// Nanoseconds per operator to record, to go back, to release, and all three; backward drops much of the graph as it
// passes.
void chain_case(const Options& o, const std::string& op, std::int64_t n, bool record) {
  constexpr int length = 1000;
  const std::string name = fmt::format("chain_{}_e{}", op, n);
  Tensor x = full({n}, 0.5);
  if (record) x = x.track();
  const Tensor c = full({n}, 0.999), y_bar = ones({n});
  std::vector<double> forward, backward, release, total;
  for (int s = 0; s < 6 * o.samples; ++s) {
    const double t0 = now_ns();
    Tensor y = chain(op, x, c, length);
    const double t1 = now_ns();
    if (record) (void)grad({&y, 1}, {&x, 1}, {&y_bar, 1});
    const double t2 = now_ns();
    y = Tensor();
    const double t3 = now_ns();
    if (s < 3) continue;
    forward.push_back((t1 - t0) / length);
    backward.push_back((t2 - t1) / length);
    release.push_back((t3 - t2) / length);
    total.push_back((t3 - t0) / length);
  }
  if (!record) return emit(o, name + "_nograd_fwd", summarize(forward));
  emit(o, name + "_fwd_per_op", summarize(forward));
  emit(o, name + "_bwd_per_op", summarize(backward));
  emit(o, name + "_free_per_op", summarize(release));
  emit(o, name + "_total_per_op", summarize(total));
}

// A chain of a million: does it live, and what does it weigh?
void deep_case(const Options& o, const std::string& what) {
  constexpr int length = 1000000;
  const Tensor x = full({1}, 0.5).track(), c = full({1}, 0.999999);
  trim();
  const auto held = memory_stats().in_use;
  const double resident = rss_bytes(), t0 = now_ns();
  Tensor y = chain("mul", x, c, length);
  const double t1 = now_ns();
  const auto holds = memory_stats().in_use;
  const double resides = rss_bytes(), t2 = now_ns();
  if (what == "bwd") backward(y);
  const double t3 = now_ns();
  y = Tensor();
  const double t4 = now_ns();
  fmt::print(
      "{{\"lib\":\"wengert\",\"case\":\"deep_{}_1e6\",\"threads\":{},\"survived\":true,\"fwd_ns_per_op\":{:.1f},\"bwd_"
      "ns_per_op\":{:.1f},"
      "\"free_ns_per_op\":{:.1f},\"heap_bytes_per_op\":{:.1f},\"rss_bytes_per_op\":{:.1f}}}\n",
      what, o.threads, (t1 - t0) / length, (t3 - t2) / length, (t4 - t3) / length,
      static_cast<double>(holds - held) / length, (resides - resident) / length);
  std::fflush(stdout);
}

// ---------------------------------------------------------------- convolution

struct Convolution {
  std::string name;
  std::int64_t n, in, out, size, kernel, padding, groups;
};
const std::vector<Convolution> convolutions{
    {"lenet1_1to32_k5_28", 64, 1, 32, 28, 5, 2, 1}, {"lenet2_32to64_k5_14", 64, 32, 64, 14, 5, 2, 1},
    {"lenet1_1to32_k3_28", 64, 1, 32, 28, 3, 1, 1}, {"lenet2_32to64_k3_14", 64, 32, 64, 14, 3, 1, 1},
    {"res_64to64_k3_32", 32, 64, 64, 32, 3, 1, 1},  {"res_128to128_k3_16", 32, 128, 128, 16, 3, 1, 1},
    {"pw_64to128_k1_32", 32, 64, 128, 32, 1, 0, 1}, {"dw_64_k3_32", 32, 64, 64, 32, 3, 1, 64},
};

void convolution_case(const Options& o, const Convolution& c) {
  Inputs x{randn({c.n, c.in, c.size, c.size}, rng), randn({c.out, c.in / c.groups, c.kernel, c.kernel}, rng),
           randn({c.out}, rng)};
  auto y = [&] { return conv2d(x[0], x[1], x[2], {.padding = c.padding, .groups = c.groups}); };
  const double flops =
      2.0 * static_cast<double>(c.n * c.out * c.size * c.size * (c.in / c.groups) * c.kernel * c.kernel);
  auto gflops = [](double work, const Stat& s) { return fmt::format("\"gflops\":{:.1f}", work / s.min_ns); };
  const Stat forward = measure(o, [&] { (void)y(); });
  emit(o, "conv_" + c.name + "_fwd", forward, gflops(flops, forward));
  for (Tensor& t : x) t = t.track();
  const Tensor y_bar = randn(y().shape(), rng);
  const Stat both = measure(o, [&] {
    const Tensor result = y();
    (void)grad({&result, 1}, x, {&y_bar, 1});
  });
  emit(o, "conv_" + c.name + "_fwdbwd", both, gflops(3 * flops, both));
}

// ---------------------------------------------------------------- whole gradients, float64, one thread's worth

template <class F>
void gradient_case(const Options& o, const std::string& name, std::int64_t n, F&& f) {
  const Tensor x = from(problems::start(n), {n});
  Tensor gradient;
  const Stat s = measure(o, [&] { gradient = grad(f, x); });
  emit(o, "grad_" + name, s, fmt::format("\"grad_norm2\":{:.10g},{}", sum(square(gradient)).item(), peak_rss()));
}

void rosenbrock_case(const Options& o) {
  constexpr std::int64_t n = problems::Rosenbrock::n;
  gradient_case(o, "rosenbrock_1e5", n, [](const Tensor& x) {
    const Tensor head = slice(x, 0, 0, n - 1), tail = slice(x, 0, 1, n);
    return fuse_sum([](auto a, auto b) { return square(b - a * a) * 100 + square(1 - a); }, head, tail);
  });
}
void logistic_case(const Options& o) {
  const problems::Logistic p;
  const Tensor x = from(p.x, {p.rows, p.n}), y = from(p.y, {p.rows});
  gradient_case(o, "logistic_2000x50", p.n, [&](const Tensor& w) { return sum(softplus(-y * matmul(x, w))); });
}
void regression_case(const Options& o) {
  using P = problems::Regression;
  const P p;
  const Tensor x = from(p.x, {p.batch, p.in}), y = from(p.y, {p.batch, p.out});
  gradient_case(o, "mlp_64_32_10_b32", p.n, [&](const Tensor& w) {
    constexpr std::int64_t a = P::in * P::hidden, b = a + P::hidden, c = b + P::hidden * P::out;
    const Tensor h = tanh(linear(x, reshape(slice(w, 0, 0, a), {P::hidden, P::in}), slice(w, 0, a, b)));
    const Tensor z = linear(h, reshape(slice(w, 0, b, c), {P::out, P::hidden}), slice(w, 0, c, P::n));
    return sum(square(z - y));
  });
}
void poisson_case(const Options& o) {
  const problems::Poisson p;
  const Tensor index = from(p.index, {3 * p.observations}), y = from(p.y, {p.observations});
  gradient_case(o, "sparse_poisson_1e5", p.n, [&](const Tensor& w) {
    const Tensor eta = sum(reshape(index_select(w, 0, index), {p.observations, 3}), {1});
    return fuse_sum([](auto e, auto count) { return exp(e) - count * e; }, eta, y);
  });
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  auto mlp = [&](const std::string& name, const std::vector<std::int64_t>& sizes, std::int64_t batch, bool adam) {
    cases.push_back({name, [=](const Options& o) { mlp_case(o, name, sizes, batch, adam); }});
  };
  mlp("mlp_tiny_sgd", {64, 32, 10}, 32, false);
  mlp("mlp_tiny_adam", {64, 32, 10}, 32, true);
  mlp("mlp_784_b64", {784, 256, 128, 10}, 64, true);
  mlp("mlp_784_b512", {784, 256, 128, 10}, 512, true);
  for (const std::int64_t kernel : {3, 5}) {
    const std::string name = fmt::format("lenet_k{}_b64", kernel);
    cases.push_back({name, [=](const Options& o) { lenet_case(o, name, kernel, 64); }});
  }
  cases.push_back({"lstm_h128_t64_b32", [](const Options& o) { lstm_case(o, "lstm_h128_t64_b32"); }});
  cases.push_back(
      {"transformer_d128_h4_t64_b16", [](const Options& o) { transformer_case(o, "transformer_d128_h4_t64_b16"); }});
  for (const std::int64_t n : {1000000, 10000000})
    for (const int tensors : {1, 20}) {
      using Params = std::vector<Param>;
      cases.push_back({fmt::format("opt_adam_{}_t{}", n, tensors), [=](const Options& o) {
                         optimizer_case<optim::Adam<Params>>(o, "adam", n, tensors, 28, optim::AdamOptions{.lr = 1e-3});
                       }});
      cases.push_back({fmt::format("opt_sgdm_{}_t{}", n, tensors), [=](const Options& o) {
                         optimizer_case<optim::Sgd<Params>>(o, "sgdm", n, tensors, 20,
                                                            optim::SgdOptions{.lr = 1e-2, .momentum = 0.9});
                       }});
    }
  for (const Convolution& c : convolutions)
    cases.push_back({"conv_" + c.name, [=](const Options& o) { convolution_case(o, c); }});
  for (const std::string op : {"add", "mul", "tanh"})
    for (const std::int64_t n : {1, 16})
      cases.push_back({fmt::format("chain_{}_e{}", op, n), [=](const Options& o) {
                         chain_case(o, op, n, true);
                         chain_case(o, op, n, false);
                       }});
  cases.push_back({"grad_rosenbrock", rosenbrock_case});
  cases.push_back({"grad_logistic", logistic_case});
  cases.push_back({"grad_mlp", regression_case});
  cases.push_back({"grad_sparse", poisson_case});
  for (const std::string what : {"bwd", "destroy"})
    cases.push_back({"deep_" + what, [=](const Options& o) { deep_case(o, what); }});
  for (const Elementwise& e : elementwise_list())
    for (const std::int64_t n : {1024, 102400, 10240000})
      cases.push_back({fmt::format("ew_{}_n{}", e.name, n), [=](const Options& o) { elementwise_case(o, e, n); }});
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  set_threads(options.threads);
  return run(all_cases(), options);
}
