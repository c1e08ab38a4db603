#include "models.h"
#include "support.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/optim/optim.h"

using namespace wengert;
using test::contains;
using test::make_pair;
using test::message;
using test::Pair;

namespace {

// torch.optim.SGD in plain numbers.
void check_sgd(const optim::SgdOptions& o, DType dtype = float64, double tolerance = 1e-12) {
  Pair model = make_pair(dtype);
  optim::Sgd sgd{model, o};
  std::vector<double> velocity(48);
  test::follow(sgd, model, 100, tolerance, [&](std::size_t i, int t, double& w, double g) {
    if (o.maximize) g = -g;
    g += o.weight_decay * w;
    if (o.momentum != 0) {
      double& b = velocity[i];
      b = t == 1 ? g : o.momentum * b + (1 - o.dampening) * g;
      g = o.nesterov ? g + o.momentum * b : b;
    }
    w -= o.lr * g;
  });
}

Pair ones_like(const Pair& model) {
  Pair grads = zeros_like(model);
  grads.a = ones({3, 5}, model.a.dtype()), grads.b = ones({33}, model.a.dtype());
  return grads;
}

}  // namespace

TEST_CASE("sgd: follows plain numbers for 100 steps, with every option") {
  check_sgd({.lr = 0.1});
  check_sgd({.lr = 0.05, .weight_decay = 0.1});
  check_sgd({.lr = 0.02, .momentum = 0.9});
  check_sgd({.lr = 0.02, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01});
  check_sgd({.lr = 0.02, .momentum = 0.8, .weight_decay = 0.01, .nesterov = true});
  check_sgd({.lr = 0.001, .momentum = 0.5, .maximize = true});
}

TEST_CASE("sgd: in float32 stays within rounding of plain numbers for 100 steps") {
  check_sgd({.lr = 0.02, .momentum = 0.9}, float32,
            1e-4);  // near the minima the map contracts: rounding of 1e-7 does not grow beyond this
}

TEST_CASE("sgd: momentum 0 keeps no velocity, and a velocity begun later starts with the gradient") {
  Pair model = make_pair(float64);
  optim::Sgd sgd{model, {.lr = 0.1}};
  CHECK_FALSE(sgd.velocity.has_value());
  const Pair grads = ones_like(model);
  sgd.step(model, grads);
  sgd.momentum = 0.5, sgd.dampening = 0.5;
  sgd.step(model, grads);
  REQUIRE(sgd.velocity.has_value());
  CHECK(sgd.velocity->b.to_vector<double>()[0] == 1);
  sgd.step(model, grads);
  CHECK(sgd.velocity->b.to_vector<double>()[0] == 1);  // 0.5 + 0.5
}

TEST_CASE("sgd: a copy of the optimizer goes on as the original does") {
  Pair model = make_pair(float64);
  const Pair grads = ones_like(model);
  optim::Sgd sgd{model, {.lr = 0.1, .momentum = 0.9, .dampening = 0.5}};
  sgd.step(model, grads);
  Pair other = model;
  optim::Sgd copy = sgd;
  for (int i = 0; i < 3; ++i) sgd.step(model, grads), copy.step(other, grads);
  CHECK(test::numbers(model) == test::numbers(other));
}

TEST_CASE("step: uses what backward left, once, and skips what received nothing") {
  Pair model = make_pair(float64);
  optim::Sgd sgd{model, {.lr = 0.5, .momentum = 0.9}};
  const auto a = model.a.to_vector<double>(), b = model.b.to_vector<double>();
  backward(sum(model.a * 2.0));
  sgd.step(model);
  CHECK(model.a.to_vector<double>()[0] == doctest::Approx(a[0] - 1));
  CHECK(model.b.to_vector<double>() == b);
  CHECK(model.a.grad().to_vector<double>()[0] == 2);  // a step leaves gradients as they are
  CHECK(contains(message<GraphError>([&] { sgd.step(model); }), "backward(loss)"));
  backward(sum(model.b));
  sgd.step(model);
  CHECK(model.a.to_vector<double>()[0] == doctest::Approx(a[0] - 1));  // no second time, not even by momentum
  CHECK(model.b.to_vector<double>()[0] == doctest::Approx(b[0] - 0.5));
}

TEST_CASE(
    "step: leaves gradients alone, and a derivative that needs the numbers before it is an error naming the step") {
  Pair model = make_pair(float32);
  optim::Sgd sgd{model, {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.1}};
  const Tensor y = sum(model.a * model.a);
  const Pair grads = ones_like(model);
  sgd.step(model, grads);
  CHECK(sum(grads.b).item() == 33);
  CHECK(contains(message<GraphError>([&] { backward(y); }), "sgd.cpp"));
}

TEST_CASE(
    "step: a gradient of another shape, a computed parameter and a model that changed are errors naming the "
    "parameter") {
  Pair model = make_pair(float32);
  optim::Sgd sgd{model, {.lr = 0.5, .momentum = 0.5}};
  Pair grads = ones_like(model);
  const auto before = test::numbers(model);
  grads.b = ones({7});
  const auto what = message<ShapeError>([&] { sgd.step(model, grads); });
  CHECK(contains(what, "'b'"));
  CHECK(contains(what, "[7]"));
  CHECK(contains(what, "sgd.cpp"));
  CHECK(test::numbers(model) == before);  // all or nothing
  Pair computed = make_pair(float32);
  computed.a = Param(tanh(computed.a));
  CHECK(contains(message<GraphError>([&] { sgd.step(computed, zeros_like(model)); }), "'a'"));
  Pair larger = make_pair(float32);
  larger.a = ones({9});
  CHECK(contains(message<ShapeError>([&] { sgd.step(larger, zeros_like(larger)); }), "optimizer"));
}

TEST_CASE("step: expanded gradients are read as they are") {
  Pair model = make_pair(float32);
  const auto before = test::numbers(model);
  optim::Sgd sgd{model, {.lr = 1}};
  Pair grads = zeros_like(model);
  grads.a = expand(ones({1, 1}), {3, 5}), grads.b = expand(ones({1}), {33});
  sgd.step(model, grads);
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(test::numbers(model)[i] == doctest::Approx(before[i] - 1));
}

TEST_CASE("sgd: trains a tensor, and a handle on its old value keeps it") {
  Tensor w = ones({3}, float64);
  const Tensor old = w;
  optim::Sgd sgd{w, {.lr = 0.25}};
  sgd.step(w, full({3}, 2, float64));
  CHECK(w.to_vector<double>() == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(old.to_vector<double>() == std::vector<double>{1, 1, 1});
}

TEST_CASE("sgd: options outside their range are ValueErrors that name them, at construction and at a step") {
  Pair model = make_pair(float32);
  const Pair grads = zeros_like(model);
  CHECK(contains(message<ValueError>([&] { optim::Sgd(model, {.lr = -1}); }), "lr must be >= 0, got -1"));
  CHECK(contains(message<ValueError>([&] { optim::Sgd(model, {.lr = std::nan("")}); }), "lr"));
  CHECK(contains(message<ValueError>([&] { optim::Sgd(model, {.momentum = 1}); }), "momentum"));
  CHECK(contains(message<ValueError>([&] { optim::Sgd(model, {.weight_decay = -0.1}); }), "weight_decay"));
  CHECK(contains(message<ValueError>([&] { optim::Sgd(model, {.nesterov = true}); }), "nesterov"));
  optim::Sgd sgd{model};
  sgd.lr = -2;
  CHECK(contains(message<ValueError>([&] { sgd.step(model, grads); }), "lr"));
}

TEST_CASE("step: a part that stands in two places of a model is trained once, with both gradients") {
  struct Dense {
    Param w = ones({2});
  };
  struct Tied {
    Shared<Dense> first{Dense()}, second = share(first);
    Param bias = zeros({2});
  };
  Tied model;
  optim::Sgd sgd{model, {.lr = 0.1, .momentum = 0.5}};
  auto f = [](const Tied& m) { return sum(m.first->w) + 2.0 * sum(m.second->w) + sum(m.bias); };
  for (int i = 0; i < 2; ++i) {
    auto [loss, grads] = value_and_grad(f, model);
    sgd.step(model, grads);
  }
  CHECK(model.first->w.to_vector<float>()[0] == doctest::Approx(1 - 0.3 - 0.45));
  CHECK(model.second->w.to_vector<float>()[0] == model.first->w.to_vector<float>()[0]);
  CHECK(model.bias.to_vector<float>()[0] == doctest::Approx(-0.25));
}

TEST_CASE("step: a model that has grown since the optimizer was made is an error, and stays as it is") {
  std::vector<Tensor> model{ones({2}), ones({3})};
  optim::Adam adam{model};
  model.push_back(ones({4}));
  const std::vector<Tensor> grads = model;
  CHECK_THROWS_AS(adam.step(model, grads), ValueError);
  CHECK(model[0].to_vector<float>() == std::vector<float>{1, 1});
}
