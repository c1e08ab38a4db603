#include "wengert/autodiff/inspect/growth.h"

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <stdexcept>
#include <thread>

using namespace wengert;
using test::contains;

namespace {

struct Reports {
  std::vector<GrowthReport>* to;
  void operator()(const GrowthReport& r) const { to->push_back(r); }
};

}  // namespace

TEST_CASE("growth: a graph with too many operators is told once, with the calls that recorded the oldest") {
  std::vector<GrowthReport> told;
  const GrowthWatch watch(Reports{&told}, {.max_nodes = 100});
  Tensor y = ones({2}).track();
  y = exp(y);
  const unsigned first = __LINE__ - 1;
  for (int i = 0; i < 150; ++i) y = sin(y);
  const unsigned then = __LINE__ - 1;
  REQUIRE(told.size() == 1);
  CHECK(told[0].reason == GrowthReport::Reason::nodes);
  CHECK(told[0].bound == 100);
  CHECK(told[0].nodes > 100);
  CHECK(told[0].nodes < 110);
  REQUIRE(told[0].oldest.size() == 2);
  CHECK(told[0].oldest[0].name == "exp");
  CHECK(told[0].oldest[0].where.line() == first);
  CHECK(told[0].oldest[1].where.line() == then);
  const std::string text = to_string(told[0]);
  CHECK(contains(text, "operators, more than 100; the oldest:\n  exp at "));
  CHECK(contains(text, "growth.cpp:" + std::to_string(first) + ", since step 0: 1 node\n  sin at "));
  for (int i = 0; i < 100; ++i) y = sin(y);
  CHECK(told.size() == 2);  // the bound was doubled
}

TEST_CASE("growth: nodes that have gone are not counted") {
  std::vector<GrowthReport> told;
  const GrowthWatch watch(Reports{&told}, {.max_nodes = 100});
  for (int k = 0; k < 20; ++k) {
    Tensor y = ones({2}).track();
    for (int i = 0; i < 90; ++i) y = sin(y);
    if (k % 2) backward(sum(y));
    std::thread([gone = std::move(y)] {}).join();
  }
  CHECK(told.empty());
  CHECK(watch.report().nodes == 0);
}

TEST_CASE("growth: a sum of losses with their graphs is told after some steps, and where it is made") {
  std::vector<GrowthReport> told;
  const GrowthWatch watch(Reports{&told}, {.max_steps = 5});
  const Tensor w = ones({3}).track();
  Tensor total = zeros({});
  unsigned line = 0;
  for (int step = 0; step < 8; ++step) {
    const Tensor loss = sum(w * w);
    backward(loss);
    line = __LINE__ + 1;
    total = total + loss;
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].reason == GrowthReport::Reason::steps);
  CHECK(told[0].steps == 6);
  REQUIRE(!told[0].oldest.empty());
  CHECK(told[0].oldest[0].name == "add");
  CHECK(told[0].oldest[0].where.line() == line);
  CHECK(contains(to_string(told[0]), "graphs of 6 earlier steps are still there"));
  CHECK(contains(to_string(told[0]), "loss.detach()"));
}

TEST_CASE("growth: loops that keep nothing, that log their losses or carry a state for some steps are not told") {
  std::vector<GrowthReport> told;
  const GrowthWatch watch(Reports{&told}, {.max_steps = 5});
  const Tensor w = ones({3}).track();
  std::vector<Tensor> losses;
  Tensor state = ones({3});
  for (int step = 0; step < 30; ++step) {
    const Tensor loss = sum(w * state);
    backward(loss);
    losses.push_back(loss);
    if (step % 4 == 0) state = state.detach();
    (void)value_and_grad([](const Tensor& x) { return sum(exp(x)); }, w.detach());
  }
  CHECK(told.empty());
}

TEST_CASE("growth: a loop without backward tells its steps itself") {
  std::vector<GrowthReport> told;
  GrowthWatch watch(Reports{&told}, {.max_steps = 5});
  const Tensor w = ones({3}).track();
  Tensor total = zeros({});
  for (int step = 0; step < 8; ++step) total = total + sum(w), watch.step();
  CHECK(told.size() == 1);
}

TEST_CASE("growth: memory beyond a bound is told") {
  std::vector<GrowthReport> told;
  const GrowthWatch watch(Reports{&told}, {.max_bytes = 1 << 20});
  std::vector<Tensor> kept;
  for (int i = 0; i < 12; ++i) kept.push_back(full({1 << 15}, 1) * 2);
  REQUIRE(told.size() == 1);
  CHECK(told[0].reason == GrowthReport::Reason::bytes);
  CHECK(told[0].bytes > 1 << 20);
  CHECK(contains(to_string(told[0]), "are in use, more than 1.0 MiB"));
}

TEST_CASE("growth: what the callback throws comes out of the operator, and its own operators are not watched") {
  const GrowthWatch watch(
      [](const GrowthReport&) {
        Tensor y = ones({1}).track();
        for (int i = 0; i < 100; ++i) y = sin(y);
        throw std::runtime_error("enough");
      },
      {.max_nodes = 10});
  Tensor y = ones({1}).track();
  auto grow = [&] {
    for (int i = 0; i < 15; ++i) y = sin(y);
  };
  CHECK_THROWS_WITH(grow(), "enough");
  CHECK(watch.report().nodes == 11);
}

TEST_CASE("growth: watches nest, and nodes of other threads are not counted") {
  std::vector<GrowthReport> outer, inner;
  const GrowthWatch watch(Reports{&outer}, {.max_nodes = 30});
  Tensor y = ones({1}).track();
  for (int i = 0; i < 20; ++i) y = sin(y);
  {
    const GrowthWatch second(Reports{&inner}, {.max_nodes = 30});
    for (int i = 0; i < 20; ++i) y = sin(y);
    std::thread([] {
      Tensor z = ones({1}).track();
      for (int i = 0; i < 50; ++i) z = sin(z);
    }).join();
    CHECK(second.report().nodes == 20);
  }
  CHECK(watch.report().nodes == 40);
  CHECK(outer.size() == 1);
  CHECK(inner.empty());
}
