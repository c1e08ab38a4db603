// What optimizers remember: parameter groups, averages, and that training goes on bit for bit from files.

#include "wengert/train/state.h"

#include "files.h"
#include "support.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/data/data.h"
#include "wengert/optim/optim.h"

#include <cstdlib>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct Layer {
  Param weight = ones({2, 2}, float64), bias = ones({2}, float64);
};
struct Deep {
  Layer hidden, output;
  Param gain = ones({1}, float64);
  Buffer seen = zeros({1}, float64);
};

Deep ones_like(const Deep& model) { return optim::unflatten(ones({num_parameters(model)}, float64), model); }
double first(const Tensor& t) { return t.to_vector<double>()[0]; }

}  // namespace

TEST_CASE("group: parameters whose path fits have options of their own, which may change") {
  Deep model;
  optim::Sgd sgd{model, {.lr = 0.1}};
  sgd.group("*.bias|gain", {.lr = 0.2});
  sgd.group("output.*", {.lr = 0});
  const Deep grads = ones_like(model);
  sgd.step(model, grads);
  CHECK(first(model.hidden.weight) == doctest::Approx(0.9));
  CHECK(first(model.hidden.bias) == doctest::Approx(0.8));
  CHECK(first(model.gain) == doctest::Approx(0.8));
  CHECK(first(model.output.weight) == 1);
  CHECK(first(model.output.bias) == 1);  // the latest group counts
  sgd.group("*.bias|gain").lr = 0.5;
  sgd.step(model, grads);
  CHECK(first(model.gain) == doctest::Approx(0.3));
  const auto unknown = message<ValueError>([&] { sgd.group("*.bais", {.lr = 1}); });
  CHECK(contains(unknown, "'*.bais'"));
  CHECK(contains(unknown, "hidden.weight, hidden.bias"));
  CHECK(contains(message<ValueError>([&] { sgd.group("gain", {.lr = -1}); }), "lr"));
  sgd.groups[0].options.lr = -3;
  CHECK(contains(message<ValueError>([&] { sgd.step(model, grads); }), "lr"));
}

TEST_CASE("group: one with momentum beside others without, and each Nadam group with its own product") {
  Deep model;
  optim::Sgd sgd{model, {.lr = 0.1}};
  sgd.group("gain", {.lr = 0.1, .momentum = 0.5});
  const Deep grads = ones_like(model);
  for (int i = 0; i < 3; ++i) sgd.step(model, grads);
  CHECK(first(model.hidden.bias) == doctest::Approx(0.7));
  CHECK(first(model.gain) == doctest::Approx(1 - 0.1 * (1 + 1.5 + 1.75)));
  Deep together, apart;
  optim::Nadam grouped{together}, alone{apart, {.beta1 = 0.5}};
  grouped.group("*", {.beta1 = 0.5});
  for (int i = 0; i < 5; ++i) grouped.step(together, ones_like(together)), alone.step(apart, ones_like(apart));
  CHECK(first(together.gain) == first(apart.gain));
}

TEST_CASE("patterns: stars, question marks and alternatives") {
  using optim::detail::fits;
  CHECK(fits("hidden.weight", "*.weight"));
  CHECK(fits("blocks.0.norm.gain", "blocks.*.gain"));
  CHECK(fits("blocks.7.gain", "blocks.?.gain"));
  CHECK(fits("bias", "weight|bias"));
  CHECK(fits("aab", "*a*b"));
  CHECK_FALSE(fits("hidden.weight", "weight"));
  CHECK_FALSE(fits("hidden.weights", "*.weight"));
  CHECK_FALSE(fits("ab", "a"));
  CHECK(fits("", "*"));
}

TEST_CASE("averages: the exponential, the mean of all, and what is not trained") {
  Deep model;
  optim::Ema ema{model, {.decay = 0.9}};
  optim::Swa swa{model};
  double average = 1, total = 0;
  for (int t = 1; t <= 50; ++t) {
    optim::fill(model, full({num_parameters(model)}, t, float64));
    model.seen.assign(full({1}, t, float64));
    ema.update(model), swa.update(model);
    average = 0.9 * average + 0.1 * t, total += t;
  }
  CHECK(first(ema.average.hidden.weight) == doctest::Approx(average).epsilon(1e-13));
  CHECK(first(swa.average.gain) == doctest::Approx(total / 50).epsilon(1e-13));
  CHECK(first(ema.average.seen) == 50);
  CHECK(swa.updates == 50);
  CHECK(contains(message<ValueError>([&] { optim::Ema(model, {.decay = 1}); }), "decay"));
}

TEST_CASE("lookahead: every k steps the slow weights move, and the fast ones go on from there") {
  Deep model;
  optim::Lookahead lookahead{model, {.every = 3, .alpha = 0.5}};
  double fast = 1, slow = 1;
  for (int t = 1; t <= 10; ++t) {
    fast -= 0.3, optim::fill(model, full({num_parameters(model)}, first(model.gain) - 0.3, float64));
    lookahead.update(model);
    if (t % 3 == 0) slow += 0.5 * (fast - slow), fast = slow;
    CHECK(first(model.output.bias) == doctest::Approx(fast).epsilon(1e-13));
  }
}

namespace {

struct Small {
  Param w = Rng{1}.normal({5, 8}, 0, 0.5), v = Rng{2}.normal({8}, 0, 0.5);
};

// A training with shuffled batches, dropout, a schedule, clipping and an average, everything that has to be kept. Nine
// batches are an epoch, so that file is written inside one.
template <class Optimizer>
struct Training {
  Small model;
  Optimizer optimizer;
  optim::Ema<Small> average{model, {.decay = 0.9}};
  Rng order{7}, dropout{8};  // order: as it was before this epoch was shuffled
  train::State<Small, Optimizer, optim::Ema<Small>, Rng, Rng> state{model, optimizer, average, order, dropout};

  explicit Training(Optimizer (*make)(Small&)) : optimizer(make(model)) {}
  void run(int steps) {
    const data::Dataset points{Rng{3}.normal({33, 5}), Rng{4}.normal({33})};
    const optim::Schedule lr = optim::schedule::WarmUp{20} * optim::schedule::Cosine{.base = 0.02, .steps = 100};
    for (int i = 0; i < steps; ++i) {
      Rng shuffle = order;
      const data::Batches epoch = data::batches(points, {.batch_size = 4, .shuffle = shuffle});
      const auto [x, y] = epoch[state.step % 9];
      const Tensor keep = dropout.bernoulli({8}, 0.8, float32) / 0.8;
      auto residuals = [&, x = x, y = y](const Small& m) { return matmul(tanh(matmul(x, m.w)) * keep, m.v) - y; };
      auto loss = [&](const Small& m) { return mean(square(residuals(m))); };
      if constexpr (requires { optimizer.lr; }) optimizer.lr = lr(state.step);
      if constexpr (requires { optimizer.look_ahead(model); }) optimizer.look_ahead(model);
      if constexpr (requires {
                      { optimizer.step(model, model) } -> std::same_as<void>;
                    }) {
        Small grads = grad(loss, model);
        optim::clip_norm(grads, 1.0);
        optimizer.step(model, grads);
      } else if constexpr (std::is_same_v<Optimizer, optim::LeastSquares<Small>>) {
        optimizer.step(model, residuals);
      } else {
        optimizer.step(model, loss);
      }
      average.update(model);
      state.step = state.step + 1;
      if (state.step % 9 == 0) order = shuffle;
    }
  }
};

// The second half, in a process of its own when `file` was written by another.
template <class Optimizer>
void goes_on(const std::string& file, bool second_half, Optimizer (*make)(Small&)) {
  if (second_half) {
    Training<Optimizer> t(make);
    t.state.load(file);
    t.run(50);
    return t.state.save(file + ".end");
  }
  Training<Optimizer> whole(make), half(make);
  half.run(50), whole.run(100);
  half.state.save(file), whole.state.save(file + ".whole");
}

}  // namespace

TEST_CASE("resume: 50 steps, save, a new process, load, 50 steps are 100 steps, bit for bit, for every optimizer") {
  auto all = [](auto&& run) {
    run("sgd", +[](Small& p) { return optim::Sgd(p, {.momentum = 0.9, .dampening = 0.1}); });
    run("nesterov", +[](Small& p) { return optim::Nesterov(p); });
    run("adagrad", +[](Small& p) { return optim::Adagrad(p, {.lr_decay = 0.01}); });
    run("full_adagrad", +[](Small& p) { return optim::FullAdagrad(p); });
    run("rmsprop", +[](Small& p) { return optim::RmsProp(p, {.momentum = 0.9, .centered = true}); });
    run("adadelta", +[](Small& p) { return optim::Adadelta(p); });
    run("adam", +[](Small& p) { return optim::Adam(p, {.amsgrad = true}); });
    run("adamw", +[](Small& p) { return optim::AdamW(p); });
    run("adamax", +[](Small& p) { return optim::Adamax(p); });
    run("nadam", +[](Small& p) { return optim::Nadam(p); });
    run("radam", +[](Small& p) { return optim::Radam(p); });
    run("rprop", +[](Small& p) { return optim::Rprop(p); });
    run("lion", +[](Small& p) { return optim::Lion(p); });
    run("lbfgs", +[](Small& p) { return optim::Lbfgs(p, {.max_iter = 3, .history_size = 5}); });
    run("newton_cg", +[](Small& p) { return optim::NewtonCg(p); });
    run("least_squares", +[](Small& p) { return optim::LeastSquares(p); });
  };
  if (const char* folder = std::getenv("WENGERT_RESUME"))
    return all([=](const std::string& name, auto make) { goes_on(folder + name, true, make); });
  const TemporaryFolder folder;
  all([&](const std::string& name, auto make) { goes_on(folder / name, false, make); });
  const std::string command = "WENGERT_RESUME='" + folder / "" + "' '" +
                              std::filesystem::read_symlink("/proc/self/exe").string() +
                              "' --test-case='resume: 50 steps*' > /dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  all([&](const std::string& name, auto) {
    const auto end = load_tensors(folder / (name + ".end")), whole = load_tensors(folder / (name + ".whole"));
    REQUIRE(end.tensors.size() == whole.tensors.size());
    for (const NamedTensor& t : whole.tensors) {
      CAPTURE(name);
      CAPTURE(t.name);
      CHECK(to(t.tensor, float64).to_vector<double>() == to(end.at(t.name), float64).to_vector<double>());
    }
  });
}
