#include "wengert/train/fit.h"

#include "files.h"
#include "support.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/data.h"
#include "wengert/data/loader.h"
#include "wengert/nn.h"
#include "wengert/optim/optim.h"

#include <algorithm>
#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct Network {
  nn::Linear hidden{2, 8}, output{8, 2};
  Tensor operator()(const Tensor& x) const { return output(tanh(hidden(x))); }
};

struct Line {
  Param w = zeros({1});
  Tensor operator()(const Tensor& x) const { return w * x; }
};

// Is the point above the diagonal?
data::Dataset points(std::int64_t n) {
  Rng rng{3};
  const Tensor x = rng.normal({n, 2});
  return {x, to(select(x, 1, 0) < select(x, 1, 1), int64)};
}

// y = 2 x.
data::Dataset doubled() {
  const Tensor x = reshape(tensor({1, 2, 3, 4}), {4, 1});
  return {x, 2.0 * x};
}

const auto cross_entropy = [](const Tensor& y_hat, const Tensor& y) { return nn::cross_entropy(y_hat, y); };
const auto squares = [](const Tensor& y_hat, const Tensor& y) { return nn::mse(y_hat, y); };

std::vector<float> numbers(const Network& m) {
  std::vector<float> all;
  for (const Tensor& t : parameters(m))
    for (const float x : t.to_vector<float>()) all.push_back(x);
  return all;
}

}  // namespace

TEST_CASE("fit: makes the steps that the loop by hand makes, bit for bit") {
  seed(5);
  Network ours;
  Network by_hand = ours;
  const data::Dataset train = points(50);
  Rng rng{1}, same{1};
  optim::Adam a{ours, {.lr = 1e-2}}, b{by_hand};
  const optim::schedule::Cosine rate{.base = 1e-2, .steps = 40};
  const train::History history =
      train::fit(ours, cross_entropy, [&] { return data::batches(train, {.batch_size = 16, .shuffle = rng}); },
                 {.epochs = 5, .optimizer = a, .lr = rate, .clip_norm = 0.5});
  std::vector<double> losses;
  for (int epoch = 0, step = 0; epoch < 5; ++epoch) {
    double sum = 0;
    for (auto [x, y] : data::batches(train, {.batch_size = 16, .shuffle = same})) {
      auto [loss, grads] =
          value_and_grad([x = x, y = y](const Network& m) { return nn::cross_entropy(m(x), y); }, by_hand);
      optim::clip_norm(grads, 0.5);
      b.lr = rate(step++);
      b.step(by_hand, grads);
      sum += loss.item() * double(x.size(0));
    }
    losses.push_back(sum / 50);
  }
  CHECK(numbers(ours) == numbers(by_hand));
  CHECK(history["loss"] == losses);
  CHECK(history["step"] == std::vector<double>{4, 8, 12, 16, 20});
  CHECK(history["lr"].back() == rate(19));
}

TEST_CASE("fit: learns with nothing but a model, a loss and batches, and validates") {
  seed(6);
  Network model;
  const data::Dataset train = points(200), held_out = points(100);
  const data::Batches batches = data::batches(train, {.batch_size = 20});
  const train::History history =
      train::fit(model, cross_entropy, batches,
                 {.epochs = 30, .validation = {{"accuracy", [&](const Network& m) {
                                                  return train::evaluate(m, nn::accuracy,
                                                                         data::batches(held_out, {.batch_size = 30}));
                                                }}}});
  CHECK(history.size() == 30);
  CHECK(history["loss"].back() < history["loss"].front());
  CHECK(history.last("accuracy") > 0.9);
  CHECK(contains(message<ValueError>([&] { (void)history["acuracy"]; }), "there are epoch, step"));
}

TEST_CASE("fit: the loss may be called with the model, and batches be any range of pairs") {
  Line model;
  std::vector<std::pair<Tensor, Tensor>> batches;
  for (auto [x, y] : data::batches(doubled(), {.batch_size = 1})) batches.emplace_back(x, y);
  train::fit(model, [](const Line& m, const Tensor& x, const Tensor& y) { return nn::mse(m(x), y); }, batches,
             {.epochs = 50, .optimizer = optim::Sgd(model, {.lr = 0.02})});
  CHECK(model.w.item() == doctest::Approx(2));
  optim::Nesterov nesterov{model, {.lr = 0.01, .momentum = 0.5}};  // looks ahead before each gradient
  model.w.assign(zeros({1}));
  train::fit(model, squares, batches, {.epochs = 50, .optimizer = nesterov});
  CHECK(model.w.item() == doctest::Approx(2));
}

TEST_CASE("fit: tells its callbacks of every step and epoch, and one that returns true ends it") {
  Line model;
  std::vector<std::string> seen;
  const auto tell = [&](const train::FitEvent& e) {
    seen.push_back(std::to_string(e.epoch) + "." + std::to_string(e.batch) + "/" + std::to_string(e.batches) +
                   (e.end_of_epoch ? " epoch" : "") + (e.end ? " end" : ""));
    if (!e.end_of_epoch && !e.end) {
      CHECK(e.rows == 3 * e.batch - (e.batch == 2 ? 2 : 0));
      CHECK(e.seconds_left >= 0);
      CHECK(e.rows_per_second > 0);
      CHECK(std::isnan(e.gradient_norm));
    }
  };
  train::fit(model, squares, [] { return data::batches(doubled(), {.batch_size = 3}); },
             {.epochs = 9, .optimizer = optim::Sgd(model), .callbacks = {tell, [](const train::FitEvent& e) {
                                                                           return e.step == 3;
                                                                         }}});
  CHECK(seen == std::vector<std::string>{"1.1/2", "1.2/2", "1.2/2 epoch", "2.1/2", "2.1/2 end"});
}

TEST_CASE("fit: trains a surrogate, watches the true 0-1 loss, and stops early with the best model") {
  seed(7);
  Network model;
  const data::Dataset train = points(100), held_out = points(60);
  optim::EarlyStopping stopping{model, {.patience = 3}};
  const auto zero_one = [&](const Network& m) { return 1 - nn::accuracy(m(held_out.x), held_out.y); };
  const train::History history = train::fit(
      model, cross_entropy, data::batches(train, {.batch_size = 25}),
      {.epochs = 500, .validation = {{"0-1 loss", zero_one}}, .callbacks = {[&](const train::FitEvent& e) {
                                                                return e.end_of_epoch && stopping(e["0-1 loss"], model);
                                                              }}});
  CHECK(stopping.stopped);
  CHECK(history.size() < 500);
  CHECK(zero_one(stopping.best_model) == *std::ranges::min_element(history["0-1 loss"]));
}

TEST_CASE("fit: a loss that is not finite is an error, and the model is as it was before the step") {
  Line model;
  data::Dataset broken = doubled();
  broken.x = broken.x * reshape(tensor({1, 1, std::nan(""), 1}), {4, 1});
  const auto run = [&](bool allow) {
    train::fit(model, squares, data::batches(broken, {.batch_size = 1}),
               {.epochs = 1, .optimizer = optim::Sgd(model, {.lr = 0.1}), .allow_nonfinite = allow});
  };
  const std::string what = message<ValueError>([&] { run(false); });
  CHECK(contains(what, "the loss is nan in batch 3 of epoch 1, step 3"));
  CHECK(std::isfinite(model.w.item()));
  run(true);
  CHECK(std::isnan(model.w.item()));
}

TEST_CASE("fit: options and ranges without sense are ValueErrors") {
  Line model;
  const auto batches = data::batches(doubled());
  const auto zero = [](const Line&) { return 0.0; };
  CHECK(contains(message<ValueError>([&] { train::fit(model, squares, batches, {.epochs = -1}); }), "epochs"));
  CHECK(contains(message<ValueError>([&] { train::fit(model, squares, batches, {.clip_norm = -1}); }), "clip_norm"));
  CHECK(contains(message<ValueError>([&] { train::fit(model, squares, batches, {.validation = {{"loss", zero}}}); }),
                 "'loss'"));
  CHECK(contains(message<ValueError>([&] { train::fit(model, squares, std::vector<data::Dataset>()); }),
                 "has no batches"));
  CHECK(train::fit(model, squares, batches, {.epochs = 0}).size() == 0);
}

TEST_CASE("evaluate: weighs batches by their rows, and records nothing") {
  const Line model{.w = ones({1})};
  const auto size = [](const Line& m, const Tensor& x, const Tensor&) { return mean(m(x)); };
  CHECK(train::evaluate(model, size, data::batches(doubled(), {.batch_size = 3})) == doctest::Approx(2.5));
  CHECK(train::evaluate(model, squares, data::batches(doubled(), {.batch_size = 3})) == doctest::Approx(7.5));
}

namespace {

struct Training {
  Line model;
  optim::Adam<Line> adam{model, {.lr = 0.05}};
  optim::Ema<Line> average{model, {.decay = 0.9}};
  Rng rng{4};
  train::State<Line, optim::Adam<Line>, optim::Ema<Line>, Rng> state{model, adam, average, rng};

  // As far as `epochs`, and whoever comes after an end in between finds the files.
  void run(optim::Checkpoints& files, std::int64_t epochs) {
    train::fit(model, squares, [&] { return data::batches(doubled(), {.batch_size = 1, .shuffle = rng}); },
               {.epochs = epochs,
                .optimizer = adam,
                .lr = optim::schedule::Cosine{.base = 0.05, .steps = 40},
                .callbacks = {[&](const train::FitEvent& e) {
                  if (e.end_of_epoch) files.save(state, e.epoch, e["loss"]);
                  else if (!e.end) average.update(model);
                }},
                .state = &state});
  }
};

}  // namespace

TEST_CASE("train state: fit goes on from a file bit for bit, with its schedule, average and shuffling") {
  const TemporaryFolder folder;
  optim::Checkpoints files{folder / "run", {.keep = 2}}, others{folder / "other"};
  Training whole, first, second;
  CHECK_FALSE(files.load_latest(second.state).has_value());
  whole.run(others, 10);
  first.run(files, 4);
  CHECK(files.load_latest(second.state) == 4);
  CHECK(second.state.epoch == 4);
  CHECK(second.state.step == 16);
  CHECK(second.rng == first.rng);
  second.run(files, 10);
  CHECK(second.model.w.item() == whole.model.w.item());
  CHECK(second.average.average.w.item() == whole.average.average.w.item());
  CHECK(second.rng == whole.rng);
  CHECK(files.steps() == std::vector<std::int64_t>{9, 10});
  Training best;
  CHECK(files.load_best(best.state));
  second.state.save(folder / "one");
  best.state.load(folder / "one");
  CHECK(best.model.w.item() == whole.model.w.item());
  CHECK(best.rng == whole.rng);
}

TEST_CASE("train state: with a loader it goes on after any step, also after the last one of an epoch") {
  const TemporaryFolder folder;
  struct Run {
    Line model;
    optim::Adam<Line> adam{model, {.lr = 0.05}};
    data::Loader<> batches{doubled(), {.batch_size = 1, .shuffle = true, .seed = 9}};
    train::State<Line, optim::Adam<Line>, data::Loader<>> state{model, adam, batches};
    void go(const train::FitCallback& call) {
      train::fit(model, squares, batches, {.epochs = 3, .optimizer = adam, .callbacks = {call}, .state = &state});
    }
  };
  Run whole;
  whole.go([](const train::FitEvent&) {});
  CHECK(whole.state.step == 12);
  for (int step = 1; step <= 12; ++step) {
    Run killed, next;
    killed.go([&](const train::FitEvent& e) {
      if (e.step == step && !e.end && !e.end_of_epoch) killed.state.save(folder / "killed");
      return e.step == step;
    });
    next.state.load(folder / "killed");
    next.go([](const train::FitEvent&) {});
    CHECK(next.state.step == 12);
    CHECK(next.state.epoch == 3);
    CHECK(next.model.w.item() == whole.model.w.item());
  }
}
