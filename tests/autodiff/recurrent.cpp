// rnn, gru and lstm: one node for a whole sequence.

#include "../support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/gradient.h"

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

struct Kind {
  const char* name;
  std::int64_t gates;
  bool cell;
  bool relu;
};
const Kind kinds[] = {
    {"rnn", 1, false, false}, {"rnn", 1, false, true}, {"gru", 3, false, false}, {"lstm", 4, true, false}};

// x, h, c, W, U and the biases.
Tensors draw(const Kind& k, std::int64_t steps, std::int64_t n, std::int64_t in, std::int64_t hidden) {
  const std::int64_t wide = k.gates * hidden;
  Tensors x;
  for (const Shape& s : {Shape{steps, n, in}, Shape{n, hidden}, Shape{n, hidden}, Shape{wide, in}, Shape{wide, hidden},
                         Shape{wide}, Shape{wide}})
    x.push_back(random(s, -1, 1, x.size() + 1));
  return x;
}
Recurrent run(const Kind& k, const Tensors& x, RecurrentOptions o = {}) {
  o.relu = k.relu;
  if (k.cell) return lstm(x[0], x[1], x[2], x[3], x[4], x[5], x[6], o);
  return (k.gates == 3 ? gru : rnn)(x[0], x[1], x[3], x[4], x[5], x[6], o);
}
Tensors states(const Recurrent& r) { return r.c.defined() ? Tensors{r.output, r.h, r.c} : Tensors{r.output, r.h}; }

// The formulas, a step at a time.
Recurrent by_hand(const Kind& k, const Tensors& x, bool reverse = false) {
  const std::int64_t steps = x[0].size(0), hidden = x[4].size(1);
  Tensor h = x[1], c = x[2];
  Tensors output(static_cast<std::size_t>(steps));
  for (std::int64_t s = 0; s < steps; ++s) {
    const std::int64_t t = reverse ? steps - 1 - s : s;
    const Tensor a = linear(select(x[0], 0, t), x[3], x[5]), b = linear(h, x[4], x[6]);
    const auto part = [&](const Tensor& of, int i) { return narrow(of, 1, i * hidden, hidden); };
    if (k.cell) {
      c = sigmoid(part(a + b, 1)) * c + sigmoid(part(a + b, 0)) * tanh(part(a + b, 2));
      h = sigmoid(part(a + b, 3)) * tanh(c);
    } else if (k.gates == 3) {
      const Tensor r = sigmoid(part(a + b, 0)), z = sigmoid(part(a + b, 1));
      h = (1 - z) * tanh(part(a, 2) + r * part(b, 2)) + z * h;
    } else {
      h = k.relu ? relu(a + b) : tanh(a + b);
    }
    output[static_cast<std::size_t>(t)] = h;
  }
  return {stack(output), h, k.cell ? c : Tensor()};
}

double distance(const Tensor& a, const Tensor& b) { return a.numel() ? amax(abs(a - b)).item() : 0; }

Tensors tracked(const Tensors& x) {
  Tensors all;
  for (const Tensor& t : x) all.push_back(t.track());
  return all;
}
// Cotangents of all operands, with ones for every result.
Tensors gradients(const Recurrent& r, const Tensors& x) {
  const Tensors y = states(r);
  Tensors y_bar;
  for (const Tensor& t : y) y_bar.push_back(random(t.shape(), -1, 1, y_bar.size() + 50));
  return grad(y, x, y_bar);
}

}  // namespace

TEST_CASE("recurrent: one node agrees with its formula step by step, in values and gradients, either way") {
  for (const Kind& k : kinds)
    for (const bool reverse : {false, true}) {
      const Tensors x = tracked(draw(k, 5, 19, 3, 21));  // sequences and numbers that fill no tile and no register
      const Recurrent got = run(k, x, {.reverse = reverse}), want = by_hand(k, x, reverse);
      INFO(std::string(k.name), k.relu, reverse);
      const Tensors a = states(got), b = states(want);
      for (std::size_t i = 0; i < a.size(); ++i) CHECK(distance(a[i], b[i]) < 1e-13);
      const Tensors g = gradients(got, x), w = gradients(want, x);
      for (std::size_t i = 0; i < g.size(); ++i) CHECK(distance(g[i], w[i]) < 1e-11);  // sums of a hundred terms
    }
}

TEST_CASE("recurrent: every derivative is right, with lengths, in reverse, and without what may be left out") {
  for (const Kind& k : kinds)
    for (const bool reverse : {false, true}) {
      Tensors x = draw(k, 3, 2, 2, 2);
      if (!k.cell) x[2] = Tensor(), x.erase(x.begin() + 2);
      const Tensor lengths = from(std::vector<std::int64_t>{3, 1}, {2});
      const auto whole = [&](const Tensors& t) {
        Tensors all = t;
        if (!k.cell) all.insert(all.begin() + 2, Tensor());
        return all;
      };
      INFO(std::string(k.name), k.relu, reverse);
      check_rule([&](const Tensors& t) { return states(run(k, whole(t), {.reverse = reverse, .lengths = lengths})); },
                 x);
      const Tensors few{x[0], x[k.cell ? 3 : 2], x[k.cell ? 4 : 3]};
      check_rule(
          [&](const Tensors& t) {
            return run(k, {t[0], Tensor(), Tensor(), t[1], t[2], Tensor(), Tensor()}, {.reverse = reverse}).output;
          },
          few);
    }
}

TEST_CASE("recurrent: no steps, no sequences, no inputs, single ones") {
  for (const Kind& k : kinds)
    for (const Shape& s : {Shape{0, 2, 2, 2}, Shape{2, 0, 2, 2}, Shape{2, 2, 0, 2}, Shape{1, 1, 1, 1}}) {
      Tensors x = draw(k, s[0], s[1], s[2], s[3]);
      if (!k.cell) x.erase(x.begin() + 2);
      INFO(std::string(k.name), to_string(s));
      check_rule(
          [&](const Tensors& t) {
            Tensors all = t;
            if (!k.cell) all.insert(all.begin() + 2, Tensor());
            return states(run(k, all));
          },
          x);
    }
  const Tensors x = draw(kinds[3], 0, 2, 3, 4);
  CHECK(distance(run(kinds[3], x).c, x[2]) == 0);  // the last state is the first
}

TEST_CASE("recurrent: sequences of different lengths come out as if each ran alone") {
  const std::vector<std::int64_t> lengths{4, 1, 0, 6, 3};
  for (const Kind& k : kinds)
    for (const bool reverse : {false, true}) {
      const Tensors x = tracked(draw(k, 6, 5, 3, 4));
      const Recurrent all = run(k, x, {.reverse = reverse, .lengths = from(lengths, {5})});
      Tensor sum_all = sum(square(all.output)) + sum(all.h), sum_alone = scalar(0, float64);
      for (std::int64_t i = 0; i < 5; ++i) {
        const std::int64_t n = lengths[static_cast<std::size_t>(i)];
        Tensors one = x;
        one[0] = narrow(narrow(x[0], 1, i, 1), 0, 0, n);
        one[1] = narrow(x[1], 0, i, 1), one[2] = narrow(x[2], 0, i, 1);
        const Recurrent alone = run(k, one, {.reverse = reverse});
        const Tensor output = narrow(all.output, 1, i, 1);
        CHECK(distance(narrow(output, 0, 0, n), alone.output) < 1e-14);
        CHECK(distance(narrow(output, 0, n, 6 - n), zeros({6 - n, 1, 4}, float64)) == 0);
        CHECK(distance(narrow(all.h, 0, i, 1), alone.h) < 1e-14);
        if (k.cell) CHECK(distance(narrow(all.c, 0, i, 1), alone.c) < 1e-14);
        sum_alone = sum_alone + sum(square(alone.output)) + sum(alone.h);
      }
      const Tensors g = grad({&sum_all, 1}, x), w = grad({&sum_alone, 1}, x);
      for (std::size_t i = 0; i < g.size(); ++i) CHECK(distance(g[i], w[i]) < 1e-12);
    }
}

TEST_CASE("recurrent: the same bits for any number of threads") {
  const int before = threads();
  for (const Kind& k : kinds) {
    Tensors x = draw(k, 12, 50, 8, 40), bits;
    for (Tensor& t : x) t = to(t, float32).track();
    for (const int n : {1, 2, 3}) {
      set_threads(n);
      const Recurrent r = run(k, x);
      const Tensor loss = sum(square(r.output));
      Tensors now = grad({&loss, 1}, x);
      now.push_back(r.output);
      if (bits.empty()) bits = now;
      for (std::size_t i = 0; i < now.size(); ++i) CHECK(now[i].to_vector<float>() == bits[i].to_vector<float>());
    }
  }
  set_threads(before);
}

TEST_CASE("recurrent: mistakes are named") {
  const Tensors x = draw(kinds[3], 3, 2, 4, 5);
  const auto says = [&](const Tensors& t, const RecurrentOptions& o = {}) {
    return message<Error>([&] { (void)run(kinds[3], t, o); });
  };
  Tensors wrong = x;
  wrong[0] = x[1];
  CHECK(contains(says(wrong), "lstm: x must be [steps, n, in], got [2, 5]"));
  wrong = x, wrong[3] = x[4];
  CHECK(contains(says(wrong), "lstm: weight_ih must be [20, 4] for x [3, 2, 4], got [20, 5]"));
  wrong = x, wrong[4] = x[3];
  CHECK(contains(says(wrong), "lstm: weight_hh must be [4 hidden, hidden], got [20, 4]"));
  wrong = x, wrong[2] = to(x[2], float32);
  CHECK(contains(says(wrong), "lstm: dtypes differ: x float64, c float32; convert with to()"));
  CHECK(contains(says(x, {.lengths = from(std::vector<std::int64_t>{3, 4}, {2})}),
                 "lstm: length 4 of sequence 1 is not in 0..3"));
  CHECK(contains(says(x, {.lengths = from(std::vector<std::int64_t>{3}, {1})}),
                 "needs lengths [2], one for each sequence, got [1]"));
}
