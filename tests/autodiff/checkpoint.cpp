#include "wengert/autodiff/transforms/checkpoint.h"

#include "support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <cmath>
#include <cstring>
#include <functional>

using namespace wengert;
using test::contains;
using test::message;
using test::random;

namespace {

struct Layer {
  Param weight, bias;
  Tensor operator()(const Tensor& x) const { return tanh(linear(x, weight, bias)); }
};
struct Deep {
  std::vector<Layer> layers;
  Param scale = full({1}, 1.1);
};
Deep make(int depth, std::int64_t width) {
  Rng rng{5};
  Deep m;
  for (int i = 0; i < depth; ++i)
    m.layers.push_back({rng.normal({width, width}, 0, 1.2 / std::sqrt(double(width))), rng.normal({width}, 0, 0.1)});
  return m;
}

Tensor plain(const Deep& m, const Tensor& x) {
  Tensor h = x;
  for (const Layer& layer : m.layers) h = layer(h * m.scale);
  return mean(square(h));
}
Tensor in_segments(const Deep& m, const Tensor& x, std::size_t each = 7) {
  Tensor h = x;
  for (std::size_t begin = 0; begin < m.layers.size(); begin += each)
    h = checkpoint(
        [&m, begin, end = std::min(begin + each, m.layers.size())](Tensor t) {
          for (std::size_t i = begin; i < end; ++i) t = m.layers[i](t * m.scale);
          return t;
        },
        h);
  return mean(square(h));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  const Tensor x = contiguous(a.detach()), y = contiguous(b.detach());
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         std::memcmp(detail::Access::body(x)->data(), detail::Access::body(y)->data(),
                     std::size_t(x.numel()) * size_of(x.dtype())) == 0;
}
template <class M>
bool same_bits(const M& a, const M& b) {
  bool same = true;
  for_each_param(a, b, [&](const Tensor& x, const Tensor& y) { same = same && same_bits(x, y); });
  return same;
}

const Tensor x0 = random({4, 3});
Tensor f(const Tensor& t) { return sin(exp(t * 0.5) * t) + t; }
Tensor saved(const Tensor& t) { return checkpoint(f, t); }
using Function = std::function<Tensor(const Tensor&)>;

}  // namespace

TEST_CASE("checkpoint: 50 layers in segments of 7 need at most 35 % of the memory, to the bit") {
  const Deep m = make(50, 32);
  Rng rng{2};
  const Tensor x = rng.normal({512, 32});
  auto measure = [&](auto loss_of) {
    auto run = [&] { return value_and_grad([&](const Deep& d) { return loss_of(d, x); }, m); };
    reset_peak_memory();
    const auto before = memory_stats().in_use;
    auto result = run();
    return std::pair(std::move(result), memory_stats().peak - before);
  };
  const auto [expected, all] = measure([](const Deep& d, const Tensor& t) { return plain(d, t); });
  const auto [got, some] = measure([](const Deep& d, const Tensor& t) { return in_segments(d, t); });
  MESSAGE("peak ", some, " of ", all, " bytes: ", 100.0 * double(some) / double(all), " %");
  CHECK(double(some) <= 0.35 * double(all));
  CHECK(same_bits(expected.value, got.value));
  CHECK(same_bits(expected.grads, got.grads));  // scale is used in every layer: the order of sums is the same, too
}

TEST_CASE("checkpoint: backward() reaches captured parameters, and memory stays flat") {
  const Deep m = make(9, 8), other = copy(m);
  const Tensor x = random({6, 8});
  const Tensor t = to(x, float32);
  backward(plain(m, t));
  backward(in_segments(other, t, 3));
  for_each_param(m, other, [](const Tensor& a, const Tensor& b) { CHECK(same_bits(a.grad(), b.grad())); });
  auto round = [&] {
    zero_grad(other);
    backward(in_segments(other, t, 3));
  };
  for (int i = 0; i < 3; ++i) round();
  const auto before = memory_stats();
  for (int i = 0; i < 50; ++i) round();
  CHECK(memory_stats().in_use == before.in_use);
  CHECK(memory_stats().system_allocations == before.system_allocations);
}

TEST_CASE("checkpoint: operands are tensors, models and plain values") {
  const Deep m = make(4, 3);
  auto pass = [](const Deep& d, const Tensor& t, int n, const std::string&) {
    Tensor h = t;
    for (int i = 0; i < n; ++i) h = d.layers[std::size_t(i)](h * d.scale);
    return h;
  };
  const Tensor t = to(x0, float32);
  auto loss = [&](const Deep& d) { return sum(square(checkpoint(pass, d, t, 4, "name"))); };
  CHECK(same_bits(grad(loss, m), grad([&](const Deep& d) { return sum(square(pass(d, t, 4, ""))); }, m)));
  backward(sum(square(checkpoint(pass, m, t, 2, "name"))));
  CHECK(m.layers[1].weight.grad().defined());
  CHECK_FALSE(m.layers[2].weight.grad().defined());
}

TEST_CASE("checkpoint: a local model may die before the derivative, when it is an operand") {
  const Tensor x = to(x0, float32).track();
  Tensor y;
  {
    const Deep m = make(2, 3);
    y = checkpoint([](const Deep& d, const Tensor& t) { return d.layers[1](d.layers[0](t)); }, m, x);
  }
  CHECK(sum(abs(grad(sum(y), x))).item() > 0);
}

TEST_CASE("checkpoint: several results, of any struct") {
  struct State {
    Tensor h, c;
  };
  auto step = [](const Tensor& h, const Tensor& c) { return State{tanh(h * c), sigmoid(c + h)}; };
  auto run = [&](auto&& one) {
    return [one](const Tensor& h, const Tensor& c) {
      State s{h, c};
      for (int i = 0; i < 3; ++i) s = one(s.h, s.c);
      return sum(s.h * s.c);
    };
  };
  const std::pair x(random({5}), random({5}, -1, 1, 2));
  const auto expected = grad(run(step), x);
  const auto got = grad(run([&](const Tensor& h, const Tensor& c) { return checkpoint(step, h, c); }), x);
  CHECK(same_bits(expected, got));
  const auto some = grad([&](const Tensor& h, const Tensor& c) { return sum(checkpoint(step, h, c).c); }, x);
  CHECK(same_bits(some, grad([&](const Tensor& h, const Tensor& c) { return sum(step(h, c).c); }, x)));
  const Tensor same = checkpoint([](const Tensor& t) { return t; }, x.first);
  CHECK(same_bits(same, x.first));
}

TEST_CASE("checkpoint: derivatives of any mode and order have the bits of the plain run") {
  auto compare = [](auto&& transform) {
    const Tensor expected = transform(Function(f)), got = transform(Function(saved));
    CHECK(same_bits(expected, got));
    const Tensor nested = transform(Function([](const Tensor& t) {
      return checkpoint(
          [](const Tensor& s) { return sin(checkpoint([](const Tensor& u) { return exp(u * 0.5) * u; }, s)) + s; }, t);
    }));
    CHECK(same_bits(expected, nested));
    const Tensor twice = transform(Function([](const Tensor& t) { return checkpoint(saved, t); }));
    CHECK(same_bits(expected, twice));
    const Tensor deep = transform(Function([](const Tensor& t) {
      return checkpoint([](const Tensor& s) { return checkpoint([](const Tensor& u) { return checkpoint(f, u); }, s); },
                        t);
    }));
    CHECK(same_bits(expected, deep));
  };
  const Tensor v = random({4, 3}, -1, 1, 3), w = random({4, 3}, -1, 1, 4);
  auto total = [](const Function& g) { return [g](const Tensor& t) { return sum(g(t)); }; };
  compare([&](const Function& g) { return g(x0); });
  compare([&](const Function& g) { return grad(total(g), x0); });
  compare([&](const Function& g) { return vjp(g, x0).pullback(v); });
  compare([&](const Function& g) { return jvp(g, x0, v).y_dot; });
  compare([&](const Function& g) { return hvp(total(g), x0, v); });
  compare([&](const Function& g) { return jacobian(g, x0); });
  compare([&](const Function& g) { return hessian(total(g), x0); });
  compare([&](const Function& g) { return jvp([&](const Tensor& t) { return jvp(g, t, v).y_dot; }, x0, w).y_dot; });
  compare([&](const Function& g) { return grad([&](const Tensor& t) { return sum(jvp(g, t, v).y_dot * w); }, x0); });
  compare([&](const Function& g) { return jvp([&](const Tensor& t) { return grad(total(g), t); }, x0, v).y_dot; });
  compare([&](const Function& g) {
    auto g1 = [&](const Tensor& t) { return sum(grad(total(g), t) * v); };
    auto g2 = [&](const Tensor& t) { return sum(grad(g1, t) * w); };
    return grad(g2, x0);
  });
  compare([&](const Function& g) {
    const Tensor x = x0.track(), y = g(x);
    const std::vector<Tensor> once = grad({&y, 1}, {&x, 1}, {&v, 1}, {.keep_graph = true});
    return once[0] + grad({&y, 1}, {&x, 1}, {&w, 1})[0];
  });
}

TEST_CASE("checkpoint: transforms stand inside, too") {
  auto slope = [](const Tensor& t) { return grad([](const Tensor& s) { return sum(f(s)); }, t); };
  auto along = [](const Tensor& t) { return jvp(f, t, ones({4, 3}, float64)).y_dot; };
  auto through = [](const Tensor& t) { return grad([](const Tensor& s) { return sum(saved(s)); }, t); };
  for (const Function& g : {Function(slope), Function(along), Function(through)}) {
    auto loss = [&](const Tensor& t) { return sum(square(g(t))); };
    auto loss_again = [&](const Tensor& t) { return sum(square(checkpoint(g, t))); };
    CHECK(same_bits(grad(loss, x0), grad(loss_again, x0)));
    CHECK(same_bits(hvp(loss, x0, x0), hvp(loss_again, x0, x0)));
    CHECK(same_bits(jvp(loss, x0, x0).y_dot, jvp(loss_again, x0, x0).y_dot));
  }
  // outside any transform create_graph is asked for by name
  const Tensor x = x0.track();
  auto explicitly = [](const Tensor& t) {
    return grad([](const Tensor& s) { return sum(f(s)); }, t, {.create_graph = true});
  };
  CHECK(same_bits(grad(sum(square(checkpoint(explicitly, x))), x), grad(sum(square(explicitly(x))), x)));
}

TEST_CASE("checkpoint: random numbers are the same again, and the generator moves on once") {
  auto noisy = [](const Tensor& t, Rng& rng) {
    const Tensor mask = rng.bernoulli(t.shape(), 0.5, float64);
    const Tensor noise = rng.normal(t.shape(), 0, 1, float64), more = rng.split().uniform(t.shape(), 0, 1, float64);
    const Tensor order = rng.permutation(4);
    return t * mask * t + t * noise + exp(t) * more + take(t, 0, order) * t;
  };
  Rng a{3}, b{3};
  auto loss = [&](const Tensor& t) { return sum(noisy(noisy(t, a), a)); };
  auto step = [&](const Tensor& s) { return noisy(s, b); };  // lives as long as the graph, which runs it again
  auto loss_again = [&](const Tensor& t) {
    return sum(checkpoint([&](const Tensor& s) { return checkpoint(step, checkpoint(step, s)); }, t));
  };
  CHECK(same_bits(grad(loss, x0), grad(loss_again, x0)));
  CHECK(a == b);
  CHECK(same_bits(hvp(loss, x0, x0), hvp(loss_again, x0, x0)));
  CHECK(a == b);
  CHECK(same_bits(a.normal({3}), b.normal({3})));
}

TEST_CASE("checkpoint: changes in place by assign() happen once, by write() are refused") {
  Buffer seen = zeros({3}, float64);
  auto counts = [&](const Tensor& t) {
    seen.assign(seen + sum(t.detach(), {0}));
    Tensor mine = zeros({3}, float64);  // one's own may be written
    mine.write<double>()[1] = 2, mine.write<double>()[2] = 3;
    return square(t) * mine;
  };
  const Tensor g = grad([&](const Tensor& t) { return sum(checkpoint(counts, t)); }, x0);
  CHECK(same_bits(seen, sum(x0, {0})));
  CHECK(g.to_vector<double>()[1] == 4 * x0.to_vector<double>()[1]);
  auto writes = [&](const Tensor& t) {
    seen.write<double>()[0] += 1;
    return square(t);
  };
  CHECK(contains(message<GraphError>([&] { grad([&](const Tensor& t) { return sum(checkpoint(writes, t)); }, x0); }),
                 "assign()"));
}

TEST_CASE("checkpoint: an f that does something else the second time is an error that names its line") {
  const Tensor x = x0.track();
  int n = 2, line = 0;
  Tensor w = random({4, 3}, 1, 2);
  std::vector<Tensor> ws{random({4, 3}).track(), random({4, 3}, -1, 1, 2).track()};
  std::size_t which = 0;
  auto cure = [&](auto&& g, auto&& change) {
    n = 2, which = 0;
    const Tensor y = sum(square(checkpoint(g, x)));
    change();
    return message<GraphError>([&] { backward(y); });
  };
  const auto shapes = cure([&](const Tensor& t) { return line = __LINE__, exp(slice(t, 0, 0, n)); }, [&] { n = 3; });
  CHECK(contains(shapes, "checkpoint: f, run again for its derivative, gave float64 [3, 3] as result of slice"));
  CHECK(contains(shapes, "checkpoint.cpp:" + std::to_string(line)));
  CHECK(contains(shapes, "where it first gave float64 [2, 3]"));
  const auto kinds = cure([&](const Tensor& t) { return n == 2 ? exp(t) : sin(t); }, [&] { n = 3; });
  CHECK(contains(kinds, "ran sin where it first ran exp"));
  const auto more = cure(
      [&](Tensor t) {
        for (int i = 0; i < n; ++i) t = exp(t);
        return t;
      },
      [&] { n = 3; });
  CHECK(contains(more, "ran 3 recorded operators where it first ran 2"));
  const auto others = cure([&](const Tensor& t) { return t * ws[which]; }, [&] { which = 1; });
  CHECK(contains(others, "ran mul (at checkpoint.cpp"));
  CHECK(contains(others, "on other operands"));
  const auto numbers = cure([&](const Tensor& t) { return t * w; }, [&] { w.assign(w * 2.0); });
  CHECK(contains(numbers, "gave other numbers"));
  const auto fewer = cure(
      [&](const Tensor& t) {
        Rng rng{1};
        for (int i = 0; i < n; ++i) rng.bits();
        return exp(t);
      },
      [&] { n = 1; });
  CHECK(contains(fewer, "fewer random numbers"));
  const auto draws = cure(
      [&](const Tensor& t) {
        Rng rng{1};
        for (int i = 0; i < n; ++i) rng.bits();
        return exp(t);
      },
      [&] { n = 3; });
  CHECK(contains(draws, "more random numbers"));
  CHECK(contains(message<GraphError>([&] {
                   checkpoint(
                       [&](const Tensor& t) {
                         backward(sum(t * ws[0]));
                         return t;
                       },
                       x);
                 }),
                 "inside checkpoint()"));
  CHECK_FALSE(ws[0].grad().defined());
  // after all these the graph is well
  n = 2;
  CHECK(same_bits(grad(sum(saved(x)), x), grad(sum(f(x)), x)));
}

TEST_CASE("checkpoint: exceptions of f go through, the first time and the second") {
  const Tensor x = x0.track();
  bool broken = true;
  auto g = [&](const Tensor& t) {
    const Tensor y = exp(t);
    if (broken) throw ValueError("mine", Where());
    return y;
  };
  CHECK_THROWS_AS(checkpoint(g, x), ValueError);
  broken = false;
  const Tensor y = sum(checkpoint(g, x));
  broken = true;
  CHECK_THROWS_AS(backward(y, {.keep_graph = true}), ValueError);
  broken = false;
  CHECK(same_bits(grad(y, x), exp(x0)));
}

TEST_CASE("checkpoint: what f puts away is on the tape like anything else") {
  const Tensor x = x0.track();
  Tensor away;
  auto g = [&](const Tensor& t) {
    away = exp(t) * t;
    return sin(away);
  };
  const Tensor y = sum(checkpoint(g, x));
  const Tensor first = away;
  CHECK(same_bits(grad(y, x, {.keep_graph = true}), grad(sum(sin(exp(x) * x)), x)));
  CHECK(same_bits(grad(sum(first), x, {.keep_graph = true}), grad(sum(exp(x) * x), x)));
  CHECK(same_bits(grad(sum(away), x), grad(sum(exp(x) * x), x)));
}

TEST_CASE("checkpoint: records nothing under no_grad, nor of constants") {
  int runs = 0;
  auto g = [&](const Tensor& t) { return ++runs, exp(t); };
  {
    const no_grad off;
    CHECK_FALSE(checkpoint(g, x0.track()).tracked());
  }
  CHECK_FALSE(checkpoint(g, x0).tracked());
  CHECK(runs == 2);
  const auto before = memory_stats().in_use;
  for (int i = 0; i < 20; ++i) checkpoint(g, x0);
  CHECK(memory_stats().in_use == before);
}

TEST_CASE("checkpoint: a hundred thousand in a row die without a deep stack") {
  Tensor y = scalar(1, float64).track();
  const Tensor x = y;
  for (int i = 0; i < 100'000; ++i) y = checkpoint([](const Tensor& t) { return t * 0.99999; }, y);
  CHECK(grad(y, x).item() > 0);
}
