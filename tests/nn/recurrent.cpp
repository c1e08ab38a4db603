#include "wengert/nn/recurrent.h"

#include "../support.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/layers.h"
#include "wengert/optim/adam.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;
using test::random;

namespace {

double distance(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  return a.numel() ? amax(abs(a - b)).item() : 0;
}

std::vector<std::string> names(const auto& model) {
  std::vector<std::string> all;
  for (const auto& [name, t] : named_parameters(model)) all.push_back(name);
  return all;
}

}  // namespace

TEST_CASE("Lstm: parameters have PyTorch's names, shapes and spread, in any model") {
  Rng rng{1};
  struct Model {
    nn::Lstm rnn;
  };
  const Model model{nn::Lstm(3, 4, rng, {.num_layers = 2, .bidirectional = true})};
  const auto all = named_parameters(model);
  REQUIRE(all.size() == 16);
  CHECK(all[0].first == "rnn.weight_ih_l0");
  CHECK(all[0].second.shape() == Shape{16, 3});
  CHECK(all[7].first == "rnn.bias_hh_l0_reverse");
  CHECK(all[8].first == "rnn.weight_ih_l1");
  CHECK(all[8].second.shape() == Shape{16, 8});
  CHECK(all[13].first == "rnn.weight_hh_l1_reverse");
  for (const auto& [name, t] : all) {
    const double most = amax(abs(t)).item();
    CHECK(most <= 0.5);  // 1 / sqrt(4)
    CHECK(most > 0.3);
  }
  CHECK(names(nn::Gru(3, 4, rng, {.bias = false})) == std::vector<std::string>{"weight_ih_l0", "weight_hh_l0"});
  CHECK(names(nn::LstmCell(3, 4)) == std::vector<std::string>{"weight_ih", "weight_hh", "bias_ih", "bias_hh"});
}

TEST_CASE("Lstm: layers stand on each other, directions side by side, as operators written out") {
  Rng rng{2};
  const nn::Lstm f(3, 4, rng, {.num_layers = 2, .bidirectional = true, .dtype = float64});
  const Tensor x = random({5, 2, 3}), h = random({4, 2, 4}, -1, 1, 2), c = random({4, 2, 4}, -1, 1, 3);
  const Recurrent got = f(x, {.h = h, .c = c});
  Tensor below = x;
  std::vector<Tensor> last_h, last_c;
  for (int layer = 0; layer < 2; ++layer) {
    std::vector<Tensor> outputs;
    for (int d = 0; d < 2; ++d) {
      const int i = 2 * layer + d;
      const auto w = [&](int k) -> const Tensor& { return f.weights[static_cast<std::size_t>(4 * i + k)]; };
      const Recurrent r = lstm(below, select(h, 0, i), select(c, 0, i), w(0), w(1), w(2), w(3), {.reverse = d == 1});
      outputs.push_back(r.output), last_h.push_back(r.h), last_c.push_back(r.c);
    }
    below = cat(outputs, 2);
  }
  CHECK(distance(got.output, below) == 0);
  CHECK(distance(got.h, stack(last_h)) == 0);
  CHECK(distance(got.c, stack(last_c)) == 0);
  nn::Lstm turned = f;
  turned.options.batch_first = true;
  CHECK(distance(turned(transpose(x, 0, 1), {.h = h, .c = c}).output, transpose(below, 0, 1)) == 0);
}

TEST_CASE("Gru: packed sequences come out as if each ran alone, through layers and directions") {
  Rng rng{3};
  const nn::Gru f(3, 4, rng, {.num_layers = 2, .bidirectional = true, .dtype = float64});
  const std::vector<std::int64_t> lengths{2, 5, 3};
  const Tensor x = random({5, 3, 3});
  const Recurrent all = f(x, {.lengths = from(lengths, {3})});
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t n = lengths[static_cast<std::size_t>(i)];
    const Recurrent alone = f(narrow(narrow(x, 1, i, 1), 0, 0, n));
    CHECK(distance(narrow(narrow(all.output, 1, i, 1), 0, 0, n), alone.output) < 1e-14);
    CHECK(distance(narrow(all.h, 1, i, 1), alone.h) < 1e-14);
  }
}

TEST_CASE("Rnn: dropout between layers is there in training only, and needs a generator") {
  Rng rng{4};
  const nn::Rnn f(3, 8, rng, {.num_layers = 2, .dropout = 0.5});
  const Tensor x = rng.normal({4, 2, 3});
  const Tensor quiet = f(x).output;
  CHECK(distance(f(x, nn::eval).output, quiet) == 0);
  CHECK(distance(f(x, nn::training(rng)).output, quiet) > 0.01);
  CHECK(contains(message<ValueError>([&] { (void)f(x, nn::training()); }), "generator"));
}

TEST_CASE("cells: one step of the layer") {
  Rng rng{5};
  const nn::LstmCell cell(3, 4, rng, {.dtype = float64});
  const Tensor x = random({3, 2, 3});
  nn::LstmState s;
  for (int t = 0; t < 3; ++t) s = cell(select(x, 0, t), s);
  const Recurrent r = lstm(x, Tensor(), Tensor(), cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh);
  CHECK(distance(s.h, r.h) < 1e-15);
  CHECK(distance(s.c, r.c) < 1e-15);
  const nn::GruCell gru_cell(3, 4, rng, {.dtype = float64});
  CHECK(gru_cell(select(x, 0, 0)).shape() == Shape{2, 4});
  const nn::RnnCell bent(3, 4, rng, {.relu = true, .dtype = float64});
  CHECK(amin(bent(select(x, 0, 0))).item() == 0);
  CHECK(contains(message<ShapeError>([&] { (void)cell(x); }), "LstmCell: x must be [n, 3], got [3, 2, 3]"));
}

TEST_CASE("Lstm: learns to remember the first of eight numbers") {
  struct Memory {
    nn::Lstm rnn{1, 8, {.dtype = float64}};
    nn::Linear last{8, 1, {.dtype = float64}};
    Tensor operator()(const Tensor& x) const { return last(squeeze(rnn(x).h, 0)); }
  };
  seed(6);
  Memory model;
  const Tensor x = random({8, 32, 1}), y = select(x, 0, 0);
  const auto loss = [&](const Memory& m) { return mean(square(m(x) - y)); };
  const double before = loss(model).item();
  optim::Adam adam{model, {.lr = 0.03}};
  for (int i = 0; i < 200; ++i) adam.step(model, value_and_grad(loss, model).grads);
  CHECK(loss(model).item() < 0.2 * before);
}

TEST_CASE("recurrent layers: mistakes are named") {
  const nn::Lstm f(3, 4);
  CHECK(contains(message<ShapeError>([&] { (void)f(zeros({5, 2, 4})); }),
                 "Lstm: x must be [steps, n, 3], got [5, 2, 4]"));
  CHECK(contains(message<ShapeError>([&] { (void)f(zeros({5, 2, 3}), {.h = zeros({2, 4})}); }),
                 "Lstm: h must be [num_layers directions, n, hidden] = [1, 2, 4] for x [5, 2, 3], got [2, 4]"));
  CHECK(contains(message<ValueError>([] { nn::Gru(3, 0); }), "Gru: hidden must be >= 1, got 0"));
  CHECK(contains(message<ValueError>([] { nn::Rnn(3, 4, {.dropout = 2}); }), "Rnn: dropout must be in [0, 1], got 2"));
}
