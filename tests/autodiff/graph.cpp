#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <pthread.h>

#include <cmath>
#include <thread>

using namespace wengert;
using test::contains;
using test::message;
using test::random;

namespace {

// Bytes in use after 5 and after 300 rounds; flat when they are equal.
template <class F>
void check_flat(F&& round) {
  for (int i = 0; i < 5; ++i) round();
  const auto before = memory_stats();
  for (int i = 0; i < 300; ++i) round();
  const auto after = memory_stats();
  CHECK(after.in_use == before.in_use);
  CHECK(after.system_allocations == before.system_allocations);
}

Tensor net(const Tensor& w, const Tensor& x) { return sum(square(tanh(mul(x, w)))); }

}  // namespace

TEST_CASE("memory stays flat in a training loop") {
  const Tensor x = random({32, 16});
  Tensor w = random({16}).track();
  check_flat([&] {
    backward(net(w, x));
    detail::mark_leaf_used(*detail::Access::node(w));
  });
}

TEST_CASE("memory stays flat in an evaluation loop that forgot no_grad") {
  const Tensor x = random({32, 16}), w = random({16}).track();
  double total = 0;
  check_flat([&] { total += net(w, x).item(); });
}

TEST_CASE("memory stays flat with two losses on one graph, each with its own backward") {
  const Tensor x = random({32, 16}), w = random({16}).track();
  check_flat([&] {
    const Tensor h = tanh(mul(x, w));
    backward(sum(h), {.keep_graph = true});
    backward(sum(square(h)));
  });
}

TEST_CASE("a list of logged losses keeps their numbers and nothing else") {
  const Tensor x = random({32, 16}), w = random({16}).track();
  std::vector<Tensor> logged;
  logged.reserve(400);
  auto round = [&] {
    const Tensor loss = net(w, x);
    backward(loss);
    logged.push_back(loss);
  };
  for (int i = 0; i < 5; ++i) round();
  const auto before = memory_stats().in_use;
  for (int i = 0; i < 300; ++i) round();
  const auto each = (memory_stats().in_use - before) / 300;
  CHECK(each <= 1024);  // a scalar and its released node; the graph would be 32 x 16 x 8 bytes several times over
  CHECK(logged[0].item() == logged[304].item());
}

TEST_CASE("memory stays flat in truncated back-propagation with detach") {
  const Tensor x = random({32, 16}), w = random({16}).track();
  Tensor state = random({32, 16});
  check_flat([&] {
    state = tanh(add(mul(state, w), x));
    backward(sum(state));
    state = state.detach();
  });
}

TEST_CASE("memory stays flat when graphs built on one thread are dropped on another") {
  const Tensor x = random({32, 16}), w = random({16}).track();
  auto round = [&] {
    std::vector<Tensor> built;
    std::thread([&] {
      for (int i = 0; i < 20; ++i) built.push_back(net(w, x));
    }).join();
    built.clear();
  };
  for (int i = 0; i < 60; ++i) round();  // until this thread's cache is full and hands blocks on
  const auto before = memory_stats();
  for (int i = 0; i < 50; ++i) round();
  const auto after = memory_stats();
  CHECK(after.in_use == before.in_use);
  CHECK(after.reserved == before.reserved);
}

TEST_CASE("threads differentiate graphs of their own at the same time") {
  const Tensor x = random({64}), start = random({64}, -1, 1, 2);
  std::vector<std::vector<double>> g(8);
  std::vector<std::thread> team;
  for (auto& mine : g)
    team.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const Tensor w = start.track();
        mine = grad(net(w, x), w).to_vector<double>();
      }
    });
  for (auto& t : team) t.join();
  for (auto& other : g) CHECK(other == g[0]);
}

TEST_CASE("ten million chained nodes run, differentiate and die on a stack of 256 kB") {
  auto work = [](void*) -> void* {
    const Tensor x = full({1}, 1).track(), c = full({1}, 0.9999999f);
    Tensor y = x;
    for (int i = 0; i < 10'000'000; ++i) y = mul(y, c);
    CHECK(grad(y, x, {.keep_graph = true}).item() > 0);
    y = Tensor();
    return nullptr;
  };
  pthread_attr_t small;
  pthread_attr_init(&small);
  REQUIRE(pthread_attr_setstacksize(&small, 256 * 1024) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &small, work, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&small);
  trim();
}

TEST_CASE("a cotangent is overwritten when nobody else holds it, and only then") {
  const Tensor x = random({100000}, 1).track(), y_bar = random({100000}, 2);
  const Tensor a = tanh(x), b = tanh(a), c = b * a, y = tanh(c);
  const auto by = [&](std::vector<Tensor> of) { return grad({&y, 1}, of, {&y_bar, 1}, {.keep_graph = true}); };
  const auto together = by({x, a, b, c});
  const Tensor alone[] = {by({x})[0], by({a})[0], by({b})[0], by({c})[0]};
  for (std::size_t i = 0; i < 4; ++i) CHECK(together[i].to_vector<double>() == alone[i].to_vector<double>());
  CHECK(y_bar.to_vector<double>() == random({100000}, 2).to_vector<double>());

  Tensor deep = x;
  for (int i = 0; i < 20; ++i) deep = tanh(deep);
  reset_peak_memory();
  const auto before = memory_stats().in_use;
  (void)grad({&deep, 1}, {&x, 1}, {&y_bar, 1}, {.keep_graph = true});
  CHECK(memory_stats().peak - before < 1300000);  // one cotangent of 800 kB for all of the chain
}

TEST_CASE("an operand that dies is overwritten when nobody else holds its numbers, and only then") {
  const Tensor x = random({50}, 1), leaf = x.track(), plain = tanh(x * 2), squares = square(x * 2);
  const auto at = [](const Tensor& t) { return t.read<double>().data(); };
  const auto same = [](const Tensor& a, const Tensor& b) { CHECK(a.to_vector<double>() == b.to_vector<double>()); };

  for (const Tensor& start : {x, leaf}) {
    Tensor dies = start * 2;
    const double* place = at(dies);
    const Tensor y = tanh(std::move(dies));  // the result is kept for the derivative, the operand is not
    CHECK(at(y) == place);
    CHECK(!dies.defined());
    same(y, plain);
  }
  Tensor both = x + 1;
  const double* place = at(both);
  CHECK(at(x + std::move(both)) == place);

  Tensor held = x * 2;
  const Tensor holder = held, view = slice(holder, 0, 0, 10);
  same(tanh(std::move(held)), plain);
  same(holder, x * 2);
  CHECK(held.defined());
  Tensor part = slice(x * 2, 0, 0, 10);  // numbers of its own nobody has
  same(tanh(std::move(part)), slice(plain, 0, 0, 10));
  same(view, slice(x * 2, 0, 0, 10));

  Tensor kept = leaf * 2;
  const Tensor y = square(std::move(kept));  // the operand is kept
  same(y, squares);
  same(kept, x * 2);
  same(grad(sum(y), leaf), 8 * x);

  Tensor again = leaf * 2;  // derivatives of the derivative, through a result where its operand was
  const Tensor first = grad(sum(tanh(std::move(again))), leaf, {.create_graph = true});
  const Tensor second = grad(sum(first), leaf);
  CHECK(amax(abs(second + 8 * plain * (1 - square(plain))), {0}).item() < 1e-14);
}

namespace {
struct AddsUp {
  static constexpr std::string_view name = "adds_up";
  int* times = nullptr;
  Tensor forward(const Tensor& x) { return x.detach() * 2; }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * 2; }
  bool add_vjp(arg<0>, const Tensor& y_bar, Tensor& sum) const {
    sum = sum + y_bar * 2;
    return ++*times < 3;  // the third time it adds and refuses, and counts twice
  }
};
}  // namespace
TEST_CASE("add_vjp is asked when there is a sum that nobody else holds") {
  const Tensor x = random({3}, 1).track();
  int times = 0;
  const auto use = [&] { return apply(AddsUp{&times}, Operand(x)); };
  const auto is = [](const Tensor& g, double value) { CHECK(g.to_vector<double>() == std::vector(3, value)); };
  is(grad(sum(use() + use() + use()), x), 6);
  CHECK(times == 2);  // the first cotangent is sent
  is(grad(sum(use() + use()), x, {.create_graph = true}), 4);
  CHECK(times == 2);  // a recorded derivative is made of operators
  is(grad(sum(use() + use()), x), 6);
  CHECK(times == 3);
}

TEST_CASE("slices of one tensor add their cotangents to one sum") {
  constexpr std::int64_t rows = 200, columns = 50;
  const Tensor x = random({rows, columns}, 1).track();
  // Windows that overlap, along both axes, with a step now and then: entry (i, j) counts for every window it is in.
  Tensor loss = scalar(0, float64);
  std::vector<double> weight(rows * columns);
  const auto window = [&](int axis, std::int64_t begin, std::int64_t end, std::int64_t step, double factor) {
    loss = loss + sum(square(slice(x, axis, begin, end, step))) * factor;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t at = axis == 0 ? i : j;
        if (at >= begin && at < end && (at - begin) % step == 0) weight[std::size_t(i * columns + j)] += factor;
      }
  };
  for (std::int64_t i = 0; i + 3 <= rows; ++i) window(0, i, i + 3, 1, 0.5 + 0.01 * double(i));
  for (std::int64_t j = 0; j + 7 <= columns; ++j) window(1, j, j + 7, 1, 0.25);
  window(0, 1, 150, 3, 2), window(1, 0, 50, 7, 3), window(0, 5, 5, 1, 1);

  const auto gradient = grad(loss, x, {.keep_graph = true}).to_vector<double>();
  const auto value = x.to_vector<double>();
  for (std::size_t k = 0; k < weight.size(); ++k) CHECK(gradient[k] == doctest::Approx(2 * weight[k] * value[k]));

  // By operators, where each cotangent is as large as the tensor.
  const auto recorded = grad(loss, x, {.create_graph = true}).to_vector<double>();
  for (std::size_t k = 0; k < weight.size(); ++k) CHECK(recorded[k] == doctest::Approx(gradient[k]));
}

TEST_CASE("backward: a tensor used twice receives both cotangents") {
  const Tensor x = scalar(3, float64).track();
  backward(add(mul(x, x), x));
  CHECK(x.grad().item() == 7);
}

TEST_CASE("backward: gradients add up until an optimizer has used them") {
  const Tensor x = scalar(3, float64).track();
  backward(mul(x, x));
  backward(mul(x, x));
  CHECK(x.grad().item() == 12);
  detail::mark_leaf_used(*detail::Access::node(x));
  backward(mul(x, x));
  CHECK(x.grad().item() == 6);
}

TEST_CASE("backward twice without keeping the graph names both places") {
  const Tensor x = scalar(3, float64).track();
  const Tensor h = exp(x), y = sin(h), z = cos(h);
  const int made = __LINE__ - 1, first = __LINE__ + 1;
  backward(y);
  const int second = __LINE__ + 1;
  const std::string text = message<GraphError>([&] { backward(z); });
  CHECK(contains(text, "exp (called at graph.cpp:" + std::to_string(made)));
  CHECK(contains(text, "already released by the backward at graph.cpp:" + std::to_string(first)));
  CHECK(contains(text, "graph.cpp:" + std::to_string(second)));
  CHECK(contains(text, "keep_graph"));
  CHECK(contains(message<GraphError>([&] { backward(y); }), "already released"));
}

TEST_CASE("a value that a derivative needs must not be changed meanwhile; the error names both places") {
  Tensor w = random({4});
  const Tensor x = random({4}).track();
  const int made = __LINE__ + 1;
  const Tensor y = sum(mul(x, w));
  const int changed = __LINE__ + 1;
  w.write<double>()[0] = 7;
  const std::string text = message<GraphError>([&] { backward(y); });
  CHECK(contains(
      text, "mul: a value that its derivative needs was changed in place at graph.cpp:" + std::to_string(changed)));
  CHECK(contains(text, "graph.cpp:" + std::to_string(made)));
}

TEST_CASE("changing through a view counts for the tensor behind it") {
  Tensor w = random({2, 4});
  const Tensor x = random({2, 4}).track(), y = sum(mul(x, w));
  Tensor row = select(w, 0, 1);
  row.write<double>()[0] = 7;
  CHECK_THROWS_AS(backward(y), GraphError);
}

TEST_CASE("after an error in the middle, the graph still differentiates") {
  Tensor w = random({4});
  const Tensor x = random({4}).track();
  const Tensor h = mul(x, w), good = sum(exp(x)), y = add(sum(h), good);
  w.write<double>()[0] = 7;
  CHECK_THROWS_AS(backward(y, {.keep_graph = true}), GraphError);
  const auto g = grad(good, x).to_vector<double>();
  CHECK(g[1] == doctest::Approx(std::exp(x.to_vector<double>()[1])));
}

TEST_CASE("backward: mistakes are named") {
  const Tensor x = random({4}).track();
  CHECK(contains(message<ShapeError>([&] { backward(exp(x)); }), "y must have one element, got [4]"));
  CHECK(contains(message<GraphError>([&] { backward(scalar(1).track()); }), "leaf"));
  CHECK(contains(message<GraphError>([&] { backward(scalar(1)); }), "not on the tape"));
  CHECK(contains(message<TypeError>([&] { backward(scalar(1, int64)); }), "int64"));
  CHECK(contains(message<TypeError>([&] { (void)scalar(1, int64).track(); }), "int64 has no derivative"));
  CHECK(contains(message<ShapeError>([&] { backward(exp(x), zeros({3}, float64)); }),
                 "cotangent must be float64 [4] like y, got float64 [3]"));
  CHECK(contains(message<GraphError>([&] { (void)grad(sum(exp(x)), random({4})); }), "track()"));
  CHECK(contains(message<ValueError>([&] { (void)exp(Tensor()); }), "undefined"));
}

TEST_CASE("no_grad and detach: nothing is recorded") {
  const Tensor x = random({4}).track();
  CHECK(exp(x).tracked());
  CHECK(!exp(x.detach()).tracked());
  no_grad quiet;
  CHECK(!exp(x).tracked());
}

TEST_CASE("grad: an x that nothing depends on receives zeros of its type") {
  const Tensor x = random({4}).track(), other = random({2, 3}).track();
  const Tensor g = grad(sum(x), other);
  CHECK(g.shape() == Shape{2, 3});
  CHECK(g.dtype() == float64);
  CHECK(sum(abs(g)).item() == 0);
}

TEST_CASE("grad: by an intermediate result, leaving the gradients of leaves alone") {
  const Tensor x = scalar(2, float64).track(), h = mul(x, x), y = mul(h, h);
  CHECK(grad(y, h).item() == 8);
  CHECK(!x.grad().defined());
}

TEST_CASE("create_graph: derivatives up to the fourth") {
  const Tensor x = scalar(0.7, float64).track();
  Tensor d = mul(sin(x), exp(x));  // its fourth derivative is -4 sin(x) exp(x)
  const double want = -4 * d.item();
  for (int order = 0; order < 4; ++order) d = grad(d, x, {.create_graph = true});
  CHECK(d.item() == doctest::Approx(want).epsilon(1e-13));
}

TEST_CASE("jvp of a vjp and vjp of a jvp agree") {
  const Tensor x = random({3}).track(), v = random({3}, -1, 1, 2), u = random({3}, -1, 1, 3);
  const Tensor y = mul(exp(x), sum(x));
  const auto vjp = grad({&y, 1}, {&x, 1}, {&v, 1}, {.create_graph = true});
  const Tensor forward_over_reverse = push_forward(vjp, {&x, 1}, {&u, 1})[0];
  const Tensor z = mul(exp(x), sum(x));
  const Tensor s = sum(mul(push_forward({&z, 1}, {&x, 1}, {&u, 1}, true)[0], v));
  const Tensor reverse_over_forward = grad(s, x);
  for (int i = 0; i < 3; ++i)
    CHECK(forward_over_reverse.to_vector<double>()[i] ==
          doctest::Approx(reverse_over_forward.to_vector<double>()[i]).epsilon(1e-13));
}

namespace {

// Differentiates on its own inside forward and inside vjp: sweeps nest.
struct Nested {
  static constexpr std::string_view name = "nested";
  Saved x;
  Tensor forward(const Tensor& a) { return exp(x = a); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor inner = x.get().detach().track();
    const Tensor y = exp(inner);
    return grad({&y, 1}, {&inner, 1}, {&y_bar, 1})[0];
  }
};

struct WrongShape {
  static constexpr std::string_view name = "wrong_shape";
  Tensor forward(const Tensor& a) { return exp(a); }
  Tensor vjp(arg<0>, const Tensor&) const { return ones({7}, float64); }
};

struct KeepsIntermediate {
  static constexpr std::string_view name = "keeps_intermediate";
  Saved twice;
  Tensor forward(const Tensor& a) { return exp(twice = a + a); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * exp(twice) * 2.0; }
};

Tensor run(auto rule, Operand x) { return apply(std::move(rule), x); }

}  // namespace

TEST_CASE("a rule may differentiate by itself") {
  const Tensor x = random({3}).track();
  CHECK(grad(sum(run(Nested{}, x)), x).to_vector<double>() == exp(x.detach()).to_vector<double>());
}

TEST_CASE("mistakes in a rule are named") {
  const Tensor x = random({3}).track();
  CHECK(contains(message<GraphError>([&] { backward(sum(run(WrongShape{}, x))); }),
                 "wrong_shape: its vjp returned float64 [7] for operand 0, which is float64 [3]"));
  const Tensor y = run(WrongShape{}, x), u = random({3});
  CHECK(contains(message<GraphError>([&] { (void)push_forward({&y, 1}, {&x, 1}, {&u, 1}); }),
                 "wrong_shape: has no jvp for operand 0, and none can be derived"));
  CHECK(contains(message<GraphError>([&] { (void)grad(sum(run(KeepsIntermediate{}, x)), x, {.create_graph = true}); }),
                 "neither operand nor result"));
  (void)grad(sum(run(KeepsIntermediate{}, x)), x);  // a first derivative is fine
}
