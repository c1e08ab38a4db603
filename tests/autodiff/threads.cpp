#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/custom.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <atomic>
#include <latch>
#include <thread>

// Sweeps of two threads through the same nodes: one of them is refused, and no derivative is ever wrong.

using namespace wengert;

namespace {

const Tensor start = tensor({0.5, -2, 3}, float64);

// A point in a derivative at which its thread waits, the first time it comes there.
struct Halt {
  std::latch reached{1}, go_on{1};
  std::atomic<bool> first{true};

  Tensor operator()(const Tensor& x) {
    return on_gradient(x, [this](const Tensor&) {
      if (!first.exchange(false)) return;
      reached.count_down();
      go_on.wait();
    });
  }
  // Runs f on another thread, and `meanwhile` here while f waits.
  template <class F, class Meanwhile>
  void during(F f, Meanwhile meanwhile) {
    std::thread other(f);
    reached.wait();
    meanwhile();
    go_on.count_down();
    other.join();
  }
};

void is(const Tensor& x, std::vector<double> values) { CHECK(x.to_vector<double>() == values); }

}  // namespace

TEST_CASE("threads: a derivative through nodes that another thread differentiates is refused, and right afterwards") {
  Halt halt;
  const Tensor x = start.track(), shared = halt(x * 2);
  const Tensor a = sum(shared * 3), b = sum(square(shared));
  Tensor a_bar;
  halt.during([&] { a_bar = grad(a, x, {.keep_graph = true}); },
              [&] {
                CHECK_THROWS_AS((void)grad(b, x), GraphError);
                CHECK_THROWS_AS(backward(b), GraphError);
                CHECK_THROWS_AS((void)push_forward({&b, 1}, {&x, 1}, {&start, 1}), GraphError);
                is(grad(sum(x.detach().track() * 2), x.detach().track(), {.keep_graph = true}), {0, 0, 0});
              });
  is(a_bar, {6, 6, 6});
  CHECK(!x.grad().defined());
  is(grad(b, x, {.keep_graph = true}), {4, -16, 24});
  is(grad(a, x, {.keep_graph = true}), {6, 6, 6});
}

TEST_CASE("threads: what a refused derivative had reached already is free again") {
  Halt halt;
  const Tensor x = start.track(), z = start.track();
  const Tensor mine = tanh(z) * z;  // reached before the node of the other thread, or after it
  const Tensor shared = halt(x * 2), both = sum(shared * mine), other_way = sum(mine * shared);
  const Tensor expected = grad(sum(mine), z, {.keep_graph = true});
  halt.during([&] { (void)grad(sum(shared), x, {.keep_graph = true}); },
              [&] {
                CHECK_THROWS_AS((void)grad(both, z, {.keep_graph = true}), GraphError);
                CHECK_THROWS_AS((void)grad(other_way, z, {.keep_graph = true}), GraphError);
                std::thread third([&] { is(grad(sum(mine), z, {.keep_graph = true}), expected.to_vector<double>()); });
                third.join();
              });
  const Tensor last = grad(both, z, {.keep_graph = true});
  is(grad(other_way, z), last.to_vector<double>());
}

TEST_CASE("threads: a leaf that another thread differentiates by is refused as a variable, and may be a constant") {
  Halt halt;
  const Tensor w = start.track(), x = start.track();
  const Tensor theirs = sum(halt(w * 2)), mine = sum(w * x), deeper = sum(w * tanh(w) * x);
  const Tensor expected = grad(deeper, x, {.keep_graph = true});
  halt.during([&] { backward(theirs); },
              [&] {
                is(grad(mine, x, {.keep_graph = true}), {0.5, -2, 3});
                is(grad(deeper, x, {.keep_graph = true}), expected.to_vector<double>());
                CHECK_THROWS_AS((void)grad(mine, w, {.keep_graph = true}), GraphError);
                CHECK_THROWS_AS(backward(mine, {.keep_graph = true}), GraphError);
              });
  is(w.grad(), {2, 2, 2});
  CHECK(!x.grad().defined());
  backward(mine);
  is(w.grad(), {2.5, 0, 5});
}

TEST_CASE("threads: a pullback that is being called is refused, on another thread and inside itself") {
  Halt halt;
  const auto [y, pullback] = vjp([&](const Tensor& t) { return halt(t * 2) * t; }, start);
  const Tensor y_bar = ones({3}, float64);
  Tensor theirs;
  halt.during([&, &pull = pullback] { theirs = pull(y_bar); },
              [&, &pull = pullback] { CHECK_THROWS_AS((void)pull(2 * y_bar), GraphError); });
  is(theirs, {2, -8, 12});
  is(pullback(2 * y_bar), {4, -16, 24});

  const Pullback<Tensor>* itself = nullptr;
  int refused = 0;
  const auto [z, again] = vjp(
      [&](const Tensor& t) {
        return on_gradient(t * 2, [&](const Tensor&) {
          try {
            (void)(*itself)(y_bar);
          } catch (const GraphError&) {
            ++refused;
          }
        });
      },
      start);
  itself = &again;
  is(again(y_bar), {2, 2, 2});
  CHECK(refused == 1);
}

TEST_CASE("threads: many sweeps at the same time are right, or refused") {
  const Tensor w = start.track(), x = start.track(), shared = square(x) * w;
  const Tensor y = sum(shared * 2);
  std::atomic<int> added{0}, wrong{0}, refused{0};
  const auto attempt = [&](auto f) {
    try {
      f();
      return true;
    } catch (const GraphError&) {
      ++refused;
      return false;
    }
  };
  std::vector<std::thread> team;
  for (int t = 0; t < 4; ++t)
    team.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        attempt([&] { wrong += grad(y, x, {.keep_graph = true}).to_vector<double>() != std::vector{1.0, 16.0, 36.0}; });
        attempt([&] { wrong += grad(y, w, {.keep_graph = true}).to_vector<double>() != std::vector{0.5, 8.0, 18.0}; });
        // A graph of its own on a shared leaf.
        added += attempt([&] { backward(sum(w * start)); });
        const Tensor own = start.track();
        wrong += grad(sum(own * own * w), own).to_vector<double>() != std::vector{0.5, 8.0, 18.0};
      }
    });
  for (auto& t : team) t.join();
  CHECK(wrong == 0);
  MESSAGE("refused: ", refused.load(), " of 3600");
  if (added) {
    const double n = added;
    is(w.grad(), {0.5 * n, -2 * n, 3 * n});
  }
}
