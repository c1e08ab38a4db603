#include "wengert/optim/stopping.h"

#include "files.h"
#include "support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/optim/optim.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct One {
  Param w = zeros({4});
};
One filled(double value, std::int64_t n = 4) { return {.w = full({n}, value)}; }
double first(const One& m) { return m.w.to_vector<float>()[0]; }

// Feeds values until it stops: the epochs that were run.
int run(optim::EarlyStopping<One>& stopping, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (stopping(values[i], filled(double(i)))) return int(i) + 1;
  return int(values.size());
}

struct Training {
  One model = filled(1);
  optim::AdamW<One> adam{model};
  optim::Ema<One> average{model};
  optim::EarlyStopping<One> stopping{model};
  optim::schedule::Plateau plateau{0.1};
  optim::Stored<Rng> rng = Rng{42};
  optim::Stored<std::int64_t> epoch = 0;
};

}  // namespace

TEST_CASE("early stopping: ends after `patience` epochs without improvement, and has the best model") {
  optim::EarlyStopping stopping{filled(9), {.patience = 2}};
  CHECK(run(stopping, {5, 4, 4.5, 3, 3, std::nan(""), 1}) == 6);
  CHECK(stopping.stopped);
  CHECK(stopping.best == 3);
  CHECK(stopping.best_epoch == 3);
  CHECK(first(stopping.best_model) == 3);
}

TEST_CASE("early stopping: min_delta, baseline, start and maximize") {
  optim::EarlyStopping delta{filled(9), {.patience = 2, .min_delta = 0.5}};
  CHECK(run(delta, {5, 4.7, 4.6, 4.3}) == 3);
  optim::EarlyStopping base{filled(9), {.patience = 3, .baseline = 1}};
  CHECK(run(base, {5, 4, 3, 2, 0}) == 3);  // improves, but never below the baseline
  CHECK(base.best == 3);
  optim::EarlyStopping late{filled(9), {.patience = 2, .start_from_epoch = 3}};
  CHECK(run(late, {1, 1, 1, 5, 6, 7, 8}) == 6);
  CHECK(late.best == 5);
  optim::EarlyStopping up{filled(9), {.patience = 1, .maximize = true}};
  CHECK(run(up, {-3, -2, -2, -1}) == 3);
  CHECK(up.best == -2);
  optim::EarlyStopping always{filled(9)};
  CHECK(run(always, {3, 2, 1}) == 3);
  CHECK_FALSE(always.stopped);
  CHECK(first(always.best_model) == 2);  // the best, whoever ended the training
  CHECK(contains(message<ValueError>([] { optim::EarlyStopping(filled(0), {.patience = -1}); }), "patience"));
}

TEST_CASE("checkpoints: everything in a struct of yours comes back, generators too") {
  const TemporaryFolder folder;
  Training a;
  optim::Checkpoints files{folder / "run", {.keep = 2}};
  CHECK_FALSE(files.load_latest(a).has_value());
  for (int epoch = 0; epoch < 5; ++epoch) {
    auto rng = a.rng.borrow();
    a.adam.step(a.model, {.w = Param(rng.normal({4}))});
    a.average.update(a.model), a.plateau(1), a.stopping(1, a.model);
    a.epoch = a.epoch + 1;
    a.rng = rng;
    files.save(a, epoch, epoch == 2 ? 0.1 : 1);
  }
  CHECK(files.steps() == std::vector<std::int64_t>{3, 4});
  Training b;
  CHECK(files.load_latest(b) == 4);
  CHECK(b.model.w.to_vector<float>() == a.model.w.to_vector<float>());
  CHECK(b.adam.t == 5);
  CHECK(Rng(b.rng) == Rng(a.rng));
  CHECK(b.plateau.num_bad == a.plateau.num_bad);
  CHECK(b.epoch == 5);
  Training best;
  CHECK(files.load_best(best));
  CHECK(best.epoch == 3);
  optim::Checkpoints again{folder / "run"};
  again.save(a, 9, 0.5);  // worse than the best of the run before
  CHECK(files.load_best(best));
  CHECK(best.epoch == 3);
  CHECK(contains(message<ValueError>([&] { optim::Checkpoints(folder / "x", {.keep = 0}); }), "keep"));
}

TEST_CASE("checkpoints: a process that is killed while it saves, 50 times, never harms the last one") {
  const TemporaryFolder folder;
  constexpr std::int64_t n = 200'000;
  optim::Checkpoints files{folder / "run", {.keep = 2}};
  files.save(filled(0, n), 0);
  std::uint64_t dice = 1;
  for (int round = 1; round <= 50; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      set_threads(1);  // those of the parent are not here
      for (std::int64_t step = round * 1000;; ++step) files.save(filled(double(step), n), step);
    }
    // Every other child is killed after its first file at the earliest, however slow the disk is.
    while (round % 2 == 0 && files.steps().back() < round * 1000) usleep(200);
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    usleep(static_cast<useconds_t>(300 + (dice >> 40) % 8000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    One m = filled(-1, n);
    const auto step = files.load_latest(m);
    REQUIRE(step.has_value());
    const auto w = m.w.to_vector<float>();
    REQUIRE(std::ranges::all_of(w, [&](float x) { return x == float(*step); }));
  }
  CHECK(files.steps().back() >= 50000);
}
