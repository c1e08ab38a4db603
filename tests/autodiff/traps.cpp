// What once trained nothing, or the wrong thing, without a word: it works now, or is an error that names the cure.

#include "support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/layers.h"
#include "wengert/nn/tools.h"
#include "wengert/optim/adam.h"
#include "wengert/optim/adamw.h"
#include "wengert/optim/average.h"
#include "wengert/optim/clip.h"
#include "wengert/optim/lbfgs.h"
#include "wengert/optim/least_squares.h"
#include "wengert/optim/newton.h"
#include "wengert/optim/sgd.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

using Floats = std::vector<float>;

struct Net {
  Param first = tensor({1, 2}), second = tensor({3, 4});
  Tensor operator()(const Tensor& x) const { return sum(x * first * first) + sum(x * second); }
};
struct Untrained {
  Tensor weight = ones({2});
};

Floats values(const Tensor& t) { return t.to_vector<float>(); }
const Tensor x = ones({2});
const auto loss = [](const Net& m) { return m(x); };

Net half_frozen() {
  Net m;
  m.first.freeze();
  return m;
}

}  // namespace

// ---------------------------------------------------------------- frozen parameters

TEST_CASE("freeze: a parameter is off the tape until unfreeze, and so are its copies") {
  Net m = half_frozen();
  CHECK(m.first.is_frozen());
  CHECK_FALSE(m.first.is_trained());
  CHECK_FALSE(m.first.tracked());
  Net twin = m;
  CHECK(twin.first.is_frozen());
  twin.first.assign(x);
  CHECK(values(m.first) == Floats{1, 2});
  m.first = tensor({5, 6});
  CHECK(m.first.is_frozen());
  CHECK(num_parameters(m) == 2);
  const auto* elements = m.first.read<float>().data();
  m.first.unfreeze();
  CHECK(m.first.is_trained());
  CHECK(m.first.read<float>().data() == elements);
  backward(loss(m));
  CHECK(values(m.first.grad()) == Floats{10, 12});
}

TEST_CASE("freeze: transforms leave gradients of frozen parameters undefined") {
  const Net m = half_frozen();
  const auto [y, grads] = value_and_grad(loss, m);
  CHECK_FALSE(grads.first.defined());
  CHECK(values(grads.second) == Floats{1, 1});
  const auto [value, pullback] = vjp(loss, m);
  CHECK_FALSE(pullback(ones({})).first.defined());
  CHECK_FALSE(jacobian(loss, m).first.defined());
  CHECK(hessian(loss, m).shape() == Shape{2, 2});
  const Net along = zeros_like(Net());
  CHECK(jvp(loss, m, along).y_dot.item() == 0);
  CHECK_FALSE(hvp([](const Net& n) { return sum(n.first * n.second * n.second); }, m, along).first.defined());
}

TEST_CASE("freeze: no way of training moves a frozen parameter, and clipping does not count it") {
  Net m = half_frozen();
  const auto stayed = [&] {
    const bool moved = values(m.second) != Floats{3, 4};
    m.second = tensor({3, 4});
    return moved && values(m.first) == Floats{1, 2};
  };
  const auto bowl = [](const Net& n) { return sum(n.first * square(n.second)); };
  optim::AdamW adam{m, {.lr = 0.1, .weight_decay = 0.1}};
  const Net full = grad(bowl, Net());
  adam.step(m, full);  // gradients of a model that was not frozen
  CHECK(stayed());
  backward(bowl(m));
  const double norm = optim::clip_norm(m, 1.0);
  CHECK(norm == doctest::Approx(std::sqrt(6. * 6 + 16. * 16)));
  CHECK(values(m.first) == Floats{1, 2});
  adam.step(m);
  CHECK(stayed());
  backward(bowl(m));
  optim::clip_value(m, 1.0);
  CHECK(values(m.second.grad()) == Floats{1, 1});
  CHECK(values(m.first) == Floats{1, 2});
  zero_grad(m);
  optim::Lbfgs lbfgs{m};
  lbfgs.step(m, bowl);
  CHECK(stayed());
  optim::NewtonCg newton{m};
  newton.step(m, bowl);
  CHECK(stayed());
  optim::LeastSquares squares{m};
  squares.step(m, [](const Net& n) { return n.first * n.second; });
  CHECK(stayed());
  CHECK(optim::flatten(m).numel() == 2);
  optim::fill(m, zeros({2}));
  CHECK(stayed());
}

TEST_CASE("freeze: an average has the very elements of what is frozen, and moves again after unfreeze") {
  Net m = half_frozen();
  m.first.assign(tensor({0.1, 0.3}));
  optim::Ema average{m, {.decay = 0.9}};
  for (int i = 0; i < 20; ++i) average.update(m);
  CHECK(values(average.average.first) == values(m.first));
  m.first.unfreeze();
  m.first.assign(tensor({1.1, 1.3}));
  average.update(m);
  CHECK(average.average.first.item({0}) == doctest::Approx(0.2));
  optim::Lookahead lookahead{m, {.every = 1, .alpha = 0.5}};
  m.first.freeze();
  lookahead.update(m);
  CHECK(values(m.first) == values(tensor({1.1, 1.3})));
}

TEST_CASE("freeze: an optimizer that was made before unfreeze trains what is trained again") {
  Net m = half_frozen();
  optim::Adam adam{m, {.lr = 0.1}};
  for (int i = 0; i < 3; ++i) adam.step(m, grad(loss, m));
  CHECK(values(m.first) == Floats{1, 2});
  m.first.unfreeze();
  adam.step(m, grad(loss, m));
  CHECK(m.first.item({0}) < 1);
}

// ---------------------------------------------------------------- parameters that stay parameters

TEST_CASE("param: operators with = change a parameter in place, under no_grad, and it trains on") {
  Net m;
  const auto* elements = m.first.read<float>().data();
  {
    no_grad values_only;
    m.first -= 0.5 * x;
    m.first *= 2;
    Tensor& handle = m.first;
    handle += tensor({1, 1});
    handle /= 2;
  }
  CHECK(values(m.first) == Floats{1, 2});
  CHECK(m.first.read<float>().data() == elements);
  CHECK(m.first.is_trained());
  backward(loss(m));
  CHECK(values(m.first.grad()) == Floats{2, 4});
  const std::string what = message<GraphError>([&] { m.first *= 0.999; });
  CHECK(contains(what, "no_grad"));
  CHECK(contains(what, "traps.cpp"));
  CHECK_THROWS_AS(m.first -= m.second, GraphError);
}

TEST_CASE("param: a parameter that is assigned to through a Tensor& stays a parameter") {
  Net m;
  Tensor& handle = m.first;
  handle = tensor({5, 6});
  CHECK(m.first.is_trained());
  for_each_param(m, [](Tensor& w) { w = w.detach() - 1; });
  CHECK(values(m.first) == Floats{4, 5});
  backward(loss(m));
  CHECK(values(m.first.grad()) == Floats{8, 10});
  CHECK_THROWS_AS(handle = handle * 2, GraphError);
  Tensor value = m.first;  // a handle of its own
  value *= 2;
  CHECK(values(m.first) == Floats{4, 5});
}

TEST_CASE("param: inside a transform a copy of the model takes new values and stays connected") {
  const Net slopes = grad(
      [](const Net& m) {
        Net faster = m;
        faster.second -= 2 * m.second;
        return faster(x);
      },
      Net());
  CHECK(values(slopes.second) == Floats{-1, -1});
}

TEST_CASE("lint: a copy of a parameter is another leaf, and is found") {
  const auto found = nn::lint(Net(), [](const Net& m) {
    auto w = m.first;
    return m(x) + sum(w * w);
  });
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == nn::Finding::Kind::copied);
  CHECK(found[0].path == "first");
  CHECK(contains(found[0].sentence, "const auto&"));
  CHECK(nn::lint(Net(), loss).empty());
}

// ---------------------------------------------------------------- models and losses that train nothing

TEST_CASE("a model without a parameter to train is an error, for optimizers and for transforms") {
  Untrained none;
  const auto of = [](const Untrained& m) { return sum(m.weight); };
  CHECK(contains(message<GraphError>([&] { optim::Adam adam{none}; }), "declare it Param"));
  CHECK(contains(message<GraphError>([&] { optim::Adam adam{none}; }), "traps.cpp"));
  CHECK_THROWS_AS(optim::Sgd{none}, GraphError);
  CHECK_THROWS_AS(optim::Lbfgs{none}, GraphError);
  CHECK(contains(message<GraphError>([&] { (void)value_and_grad(of, none); }), "declare it Param"));
  Net frozen;
  nn::freeze(frozen);
  CHECK(contains(message<GraphError>([&] { optim::Adam adam{frozen}; }), "unfreeze()"));
  CHECK_THROWS_AS((void)grad(loss, frozen), GraphError);
}

TEST_CASE("a loss that depends on no variable is an error, not a gradient of zeros") {
  const Net model;
  const auto captured = [&](const Net&) { return model(x); };
  CHECK(contains(message<GraphError>([&] { (void)value_and_grad(captured, model); }), "captured model"));
  CHECK(contains(message<GraphError>([&] { (void)grad(captured, model); }), "traps.cpp"));
  CHECK_THROWS_AS((void)vjp(captured, model).pullback(ones({})), GraphError);
  CHECK_THROWS_AS((void)hvp(captured, model, model), GraphError);
  CHECK_THROWS_AS((void)hessian(captured, model), GraphError);
  CHECK_THROWS_AS((void)jacobian(captured, model), GraphError);
  CHECK_THROWS_AS((void)jvp(captured, model, model), GraphError);
  CHECK_THROWS_AS((void)grad([](const Tensor& t) { return sum(t.detach()); }, x), GraphError);
  // One that is reached is enough; and a derivative that f takes may well be constant.
  CHECK(values(grad([](const Net& m) { return sum(m.first); }, model).second) == Floats{0, 0});
  const auto slope = [](const Tensor& t) { return sum(grad([](const Tensor& s) { return sum(3 * s); }, t)); };
  CHECK(values(grad(slope, x)) == Floats{0, 0});
}

TEST_CASE("grad: a derivative of a derivative is right inside a transform, and an error where it is not on the tape") {
  const Tensor t = tensor({2, 3});
  const auto penalty = [](const Tensor& s) { return sum(square(grad(sum(s * s * s), s))); };
  // sum (3 s^2)^2 has the slope 36 s^3.
  CHECK(values(grad(penalty, t)) == Floats{288, 972});
  const Tensor s = t.track(), y = sum(s * s * s);
  const Tensor slope = grad(y, s, {.keep_graph = true});
  const std::string what = message<GraphError>([&] { (void)grad(sum(slope), s); });
  CHECK(contains(what, "create_graph = true"));
  CHECK(contains(what, "traps.cpp"));
  CHECK(values(grad(sum(grad(y, s, {.create_graph = true})), s)) == Floats{12, 18});
  const auto forward = [](const Tensor& v) {
    const Tensor cube = v * v * v, along = ones({2});
    return sum(push_forward({&cube, 1}, {&v, 1}, {&along, 1})[0]);
  };
  CHECK(values(grad(forward, t)) == Floats{12, 18});
}

// ---------------------------------------------------------------- models side by side

TEST_CASE("std::tie: gradients are values, and the models stay as they are") {
  Net a, b;
  const auto both = [](const Net& p, const Net& q) { return p(x) + 2 * q(x); };
  auto [y, grads] = value_and_grad(both, std::tie(a, b));
  static_assert(std::is_same_v<decltype(grads), std::tuple<Net, Net>>);
  CHECK(values(std::get<1>(grads).second) == Floats{2, 2});
  CHECK(values(a.first) == Floats{1, 2});
  CHECK(values(b.second) == Floats{3, 4});
  CHECK(a.first.is_trained());
  CHECK(values(std::get<0>(grad(both, std::tie(a, b))).first) == Floats{2, 4});
  const auto zero = zeros_like(std::tie(a, b));
  CHECK(values(std::get<0>(zero).first) == Floats{0, 0});
  const auto constants = detach(std::tie(a, b));
  CHECK_FALSE(std::get<0>(constants).first.tracked());
  CHECK(a.first.is_trained());
  CHECK(values(a.first) == Floats{1, 2});
  const auto twins = copy(std::tie(a, b));
  static_assert(std::is_same_v<decltype(twins), const std::tuple<Net, Net>>);
}

TEST_CASE("detach: a generator learns through a discriminator that collects nothing") {
  Net generator, discriminator;
  const Tensor fake = generator.first * x;
  backward(detach(discriminator)(fake));
  CHECK(values(generator.first.grad()) == Floats{4, 8});
  for_each_param(discriminator, [](const Tensor& w) { CHECK_FALSE(w.grad().defined()); });
}
