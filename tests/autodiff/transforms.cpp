#include "wengert/autodiff/transforms/transforms.h"

#include "support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/transforms/map_rows.h"

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct Layer {
  Param weight, bias;
  Layer() = default;
  Layer(std::int64_t in, std::int64_t out, Rng& rng)
      : weight(rng.normal({out, in}, 0, 0.5, float64)), bias(rng.normal({out}, 0, 0.5, float64)) {}
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }
  Tensor operator()(Operand x) const { return linear(x, weight, bias); }
};
struct Mlp {
  Layer hidden, output;
  Param unused = ones({2}, float64), absent = {};
  Tensor mask = ones({4}, float64);
  Tensor operator()(const Tensor& x) const { return output(tanh(hidden(x) * mask)); }
};
Mlp make(std::uint64_t seed = 1) {
  Rng rng{seed};
  return {.hidden = Layer(3, 4, rng), .output = Layer(4, 2, rng)};
}
const Tensor x = test::random({5, 3}, -1, 1, 7);
auto loss_of = [](const Mlp& m) { return mean(square(m(x))); };

void check_close(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  REQUIRE(a.shape() == b.shape());
  if (a.numel()) CHECK(amax(abs(a.detach() - b.detach())).item() <= tolerance * (1 + amax(abs(b.detach())).item()));
}
double at(const Tensor& t, std::size_t i) { return t.to_vector<double>()[i]; }

}  // namespace

TEST_CASE("value_and_grad: gives the loss and gradients of the model's type, as backward does") {
  Mlp model = make();
  auto [loss, grads] = value_and_grad(loss_of, model);
  CHECK_FALSE(loss.tracked());
  const Tensor y = loss_of(model);
  CHECK(loss.item() == y.item());
  backward(y);
  int seen = 0;
  for_each_param(model, grads, [&](std::string_view name, Param& w, Param& g) {
    CHECK_FALSE(g.tracked());
    if (name == "unused") CHECK(sum(abs(g)).item() == 0);
    else check_close(g, w.grad());
    ++seen;
  });
  CHECK(seen == 5);
  CHECK_FALSE(grads.absent.defined());
  CHECK_FALSE(grads.mask.defined());
}

TEST_CASE("value_and_grad: leaves the model's own gradients alone, and a later backward is not disturbed") {
  Mlp model = make();
  const Tensor before = loss_of(model);
  value_and_grad(loss_of, model);
  CHECK_FALSE(model.hidden.weight.grad().defined());
  backward(before);
  CHECK(model.hidden.weight.grad().defined());
}

TEST_CASE("value_and_grad: a copy of the model taken inside f stays connected") {
  const Mlp model = make();
  const auto by_value = value_and_grad([](Mlp m) { return mean(square(m(x))); }, model);
  check_close(by_value.grads.hidden.weight, grad(loss_of, model).hidden.weight);
}

TEST_CASE("value_and_grad: takes a tensor, a vector, a tuple, and calls f with the elements of a tuple") {
  const Tensor a = test::random({3}), b = test::random({3}, -1, 1, 2);
  check_close(grad([](const Tensor& t) { return sum(t * t); }, a), 2.0 * a);
  const std::vector<Tensor> list{a, b};
  const auto from_list = grad([](const std::vector<Tensor>& v) { return sum(v[0] * v[1]); }, list);
  check_close(from_list[0], b), check_close(from_list[1], a);
  const auto from_tuple = grad([](const Tensor& s, const Tensor& t) { return sum(s * t); }, std::tuple(a, b));
  check_close(std::get<0>(from_tuple), b), check_close(std::get<1>(from_tuple), a);
  const Mlp model = make();
  auto [value, grads] =
      value_and_grad([](const Mlp& m, const Tensor& t) { return mean(square(m(t))); }, std::pair(model, x));
  CHECK(grads.second.shape() == x.shape());
  check_close(grads.first.output.bias, grad(loss_of, model).output.bias);
  const auto shared = grad([](const auto& v) { return sum(v[0] * v[1]); }, std::array{a, a});
  check_close(shared[0], a);
}

TEST_CASE("value_and_grad: works under no_grad, and with an x that is on a tape") {
  const no_grad off;
  check_close(grad([](const Tensor& t) { return sum(exp(t)); }, zeros({2}, float64)), ones({2}, float64));
  CHECK_FALSE(recording());
  const Tensor t = ones({2}, float64).track();
  check_close(grad([](const Tensor& s) { return sum(s * s); }, t), full({2}, 2, float64));
  CHECK_FALSE(t.grad().defined());
}

TEST_CASE("value_and_grad: NaN is no error, and f may return its argument") {
  const auto r = value_and_grad([](const Tensor& s) { return sum(log(s)); }, full({2}, -1, float64));
  CHECK(std::isnan(r.value.item()));
  check_close(grad([](const Tensor& s) { return s; }, scalar(3, float64)), scalar(1, float64));
}

TEST_CASE("value_and_grad: a loss of several numbers or of integers is an error that names the caller's line") {
  const Tensor t = ones({3}, float64);
  const auto what = message<ShapeError>([&] { value_and_grad([](const Tensor& s) { return s; }, t); });
  CHECK(contains(what, "[3]"));
  CHECK(contains(what, "mean"));
  CHECK(contains(what, "transforms.cpp"));
  CHECK_THROWS_AS(value_and_grad([](const Tensor&) { return arange(1); }, t), TypeError);
  CHECK_THROWS_AS(grad([](const Tensor& s) { return sum(s); }, arange(3)), TypeError);
  CHECK_THROWS_AS(grad(
                      [](const Tensor& s) -> Tensor {
                        throw ValueError("mine", Where());
                        return s;
                      },
                      t),
                  ValueError);
  check_close(grad([](const Tensor& s) { return sum(s); }, t),
              ones({3}, float64));  // an exception leaves nothing behind
}

TEST_CASE("value_and_grad: several threads differentiate one const model") {
  const Mlp model = make();
  const auto expected = value_and_grad(loss_of, model);
  std::vector<double> losses(4), slopes(4);
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < 4; ++i)
    workers.emplace_back([&, i] {
      for (int k = 0; k < 200; ++k) {
        const auto r = value_and_grad(loss_of, model);
        losses[i] = r.value.item(), slopes[i] = at(r.grads.hidden.weight, 3);
      }
    });
  for (auto& w : workers) w.join();
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(losses[i] == expected.value.item());
    CHECK(slopes[i] == at(expected.grads.hidden.weight, 3));
  }
}

TEST_CASE("value_and_grad: does not release graphs that f only borrows") {
  const Tensor w = ones({3}, float64).track();
  const Tensor features = tanh(w * 2.0);
  const Tensor g = grad([&](const Tensor& v) { return sum(v * features); }, ones({3}, float64));
  check_close(g, features);
  backward(sum(features));
  CHECK(w.grad().defined());
}

TEST_CASE("value_and_grad: with create_graph the gradient can be differentiated, back to the model's leaves") {
  Mlp model = make();
  auto [loss, grads] = value_and_grad(loss_of, model, {.create_graph = true});
  CHECK(loss.tracked());
  backward(sum(square(grads.output.weight)));
  // <H g> by differences along the gradient's own direction
  const Tensor slope = model.hidden.bias.grad();
  REQUIRE(slope.defined());
  const double h = 1e-5;
  for (std::size_t i = 0; i < 4; ++i) {
    auto shifted = [&](double step) {
      Mlp m = model;
      m.hidden.bias.write<double>()[i] += step;
      return sum(square(grad(loss_of, m).output.weight)).item();
    };
    CHECK(at(slope, i) == doctest::Approx((shifted(h) - shifted(-h)) / (2 * h)).epsilon(1e-7));
  }
}

TEST_CASE("value_and_grad: nests: a step of descent inside f is differentiated through") {
  // f(w) = (w - r w^2)^2 after one step from w^3 / 3, whose slope is w^2
  const double r = 0.1, w0 = 0.7;
  auto after_step = [&](const Tensor& w) {
    const Tensor g = grad([](const Tensor& t) { return sum(t * t * t) / 3.0; }, w);
    return sum(square(w - r * g));
  };
  const double g = grad(after_step, full({}, w0, float64)).item();
  CHECK(g == doctest::Approx(2 * (w0 - r * w0 * w0) * (1 - 2 * r * w0)).epsilon(1e-12));
}

TEST_CASE("value_and_grad: nests on models: the adapted copy stays connected") {
  const Mlp model = make();
  const double rate = 0.3;
  auto adapted_loss = [&](const Mlp& m) {
    Mlp fast = m;
    const Mlp g = grad(loss_of, m);
    for_each_param(fast, g, [&](Param& w, const Param& slope) { w = w - rate * slope; });
    return loss_of(fast);
  };
  const Mlp meta = grad(adapted_loss, model);
  const double h = 1e-5;
  for (std::size_t i = 0; i < 3; ++i) {
    auto shifted = [&](double step) {
      const no_grad values;
      Mlp m = model;
      m.hidden.weight.write<double>()[i] += step;
      return adapted_loss(m).item();
    };
    CHECK(at(meta.hidden.weight, i) == doctest::Approx((shifted(h) - shifted(-h)) / (2 * h)).epsilon(1e-6));
  }
}

TEST_CASE("grad: of grad of grad of sin is minus cos") {
  auto f = [](const Tensor& t) { return sin(t); };
  auto f1 = [&](const Tensor& t) { return grad(f, t); };
  auto f2 = [&](const Tensor& t) { return grad(f1, t); };
  CHECK(grad(f2, scalar(0.4, float64)).item() == doctest::Approx(-std::cos(0.4)).epsilon(1e-13));
}

TEST_CASE("vjp: gives any result, and a pullback that may be called again") {
  const Mlp model = make();
  auto [y, pullback] = vjp([](const Mlp& m) { return m(x); }, model);
  CHECK(y.shape() == Shape{5, 2});
  CHECK_FALSE(y.tracked());
  const Tensor y_bar = test::random({5, 2}, -1, 1, 4);
  const Mlp once = pullback(y_bar), twice = pullback(2.0 * y_bar);
  check_close(twice.hidden.weight, 2.0 * once.hidden.weight);
  check_close(once.hidden.weight, grad([&](const Mlp& m) { return sum(m(x) * y_bar); }, model).hidden.weight);
  CHECK_THROWS_AS(pullback(ones({5}, float64)), ShapeError);
}

TEST_CASE("jvp: agrees with vjp: <y_bar, J x_dot> = <J^T y_bar, x_dot>") {
  const Mlp model = make(), direction = make(9);
  auto f = [](const Mlp& m) { return m(x); };
  const auto [y, y_dot] = jvp(f, model, direction);
  CHECK(y_dot.shape() == Shape{5, 2});
  const Tensor y_bar = test::random({5, 2}, -1, 1, 4);
  const Mlp x_bar = vjp(f, model).pullback(y_bar);
  double right = 0;
  for_each_param(x_bar, direction, [&](const Param& g, const Param& d) { right += sum(g * d).item(); });
  CHECK(sum(y_bar * y_dot).item() == doctest::Approx(right).epsilon(1e-12));
  CHECK_THROWS_AS(jvp([](const Tensor& t) { return t; }, ones({2}), ones({3})), ShapeError);
}

TEST_CASE("jvp: of grad is the Hessian times a direction, as hvp") {
  const Tensor t = test::random({4}), v = test::random({4}, -1, 1, 3);
  auto f = [](const Tensor& s) { return sum(exp(s) * s); };
  const auto [g, along] = jvp([&](const Tensor& s) { return grad(f, s); }, t, v);
  check_close(along, exp(t) * (t + 2.0) * v, 1e-12);
  check_close(hvp(f, t, v), along, 1e-12);
}

TEST_CASE("hvp: on a model, against differences of the gradient") {
  const Mlp model = make(), v = make(5);
  const Mlp hv = hvp(loss_of, model, v);
  const double h = 1e-5;
  auto moved = [&](double step) {
    Mlp m = model;
    for_each_param(m, v, [&](Param& w, const Param& d) { w.assign(w + step * d); });
    return grad(loss_of, m);
  };
  for_each_param(hv, moved(h), moved(-h), [&](const Param& got, const Param& up, const Param& down) {
    check_close(got, (up - down) / (2 * h), 1e-8);
  });
}

TEST_CASE("jacobian and hessian: of closed forms, in shapes [y..., x...]") {
  const Tensor t = test::random({2, 3});
  const Tensor j = jacobian([](const Tensor& s) { return sum(square(s), {1}); }, t);
  CHECK(j.shape() == Shape{2, 2, 3});
  const auto numbers = j.to_vector<double>(), xs = t.to_vector<double>();
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t k = 0; k < 6; ++k) CHECK(numbers[i * 6 + k] == doctest::Approx(k / 3 == i ? 2 * xs[k] : 0));
  const Tensor a = test::random({3});
  const Tensor h = hessian([](const Tensor& s) { return sum(exp(s)) + square(sum(s)); }, a);
  CHECK(h.shape() == Shape{3, 3});
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 3; ++k)
      CHECK(at(h, i * 3 + k) == doctest::Approx(2 + (i == k ? std::exp(at(a, i)) : 0)));
  CHECK(jacobian([](const Tensor& s) { return slice(s, 0, 0, 0); }, a).shape() == Shape{0, 3});
}

TEST_CASE("jacobian: nests inside grad") {
  // d/dt of the trace of the Jacobian of s^3
  const Tensor t = test::random({3});
  const Tensor g = grad([](const Tensor& s) { return sum(jacobian([](const Tensor& u) { return u * u * u; }, s)); }, t);
  check_close(g, 6.0 * t, 1e-12);
}

TEST_CASE("value_and_grad: a shared part receives the cotangents of all its places, once") {
  struct Twice {
    Shared<Layer> first, second;
    Tensor operator()(const Tensor& t) const { return second(tanh(first(t))); }
  };
  struct Separate {
    Layer first, second;
    Tensor operator()(const Tensor& t) const { return second(tanh(first(t))); }
  };
  Rng rng{3};
  const Layer layer(3, 3, rng);
  Shared<Layer> one(layer);
  auto other = share(one);
  const Twice tied{std::move(one), std::move(other)};
  const Separate apart{layer, layer};
  auto f = [](const auto& m) { return mean(square(m(x))); };
  const Twice g = grad(f, tied);
  const Separate h = grad(f, apart);
  check_close(g.first->weight, h.first.weight + h.second.weight);
  CHECK(&*g.first == &*g.second);
  CHECK(num_parameters(g) == 12);
}

TEST_CASE("transforms: errors name the one that was called") {
  const Tensor x = from(std::vector<double>{1, 2, 3}, {3});
  const auto square = [](const Tensor& t) { return t * t; };
  const auto loss = [](const Tensor& t) { return sum(t * t); };
  const auto counts = [](const Tensor& t) { return sum(to(t, int64)); };
  const auto begins = [](const std::string& what, const std::string& name) { return what.starts_with(name + ": "); };
  CHECK(begins(message<ShapeError>([&] { grad(square, x); }), "grad"));
  CHECK(begins(message<ShapeError>([&] { value_and_grad(square, x); }), "value_and_grad"));
  CHECK(begins(message<ShapeError>([&] { hvp(square, x, x); }), "hvp"));
  CHECK(begins(message<ShapeError>([&] { hessian(square, x); }), "hessian"));
  CHECK(begins(message<TypeError>([&] { jacobian(counts, x); }), "jacobian"));
  CHECK(begins(message<TypeError>([&] { grad(counts, x); }), "grad"));
  CHECK(begins(message<ShapeError>([&] {
                 per_example_gradients([&](const std::tuple<Tensor>& m, const Tensor& t) { return std::get<0>(m) * t; },
                                       std::tuple<Tensor>(x), ones({2, 3}, float64));
               }),
               "per_example_gradients"));
  const auto wrong = ones({2}, float64);
  CHECK(begins(message<ShapeError>([&] { jvp(square, x, wrong); }), "jvp"));
  CHECK(begins(message<ShapeError>([&] { hvp(loss, x, wrong); }), "hvp"));
  const auto [y, pullback] = vjp(square, x);
  const Where here = Where::current();
  const std::string what = message<ShapeError>([&] { pullback(wrong); });
  CHECK(begins(what, "vjp"));
  CHECK(contains(what, "transforms.cpp:" + std::to_string(here.line() + 1)));
  using Several = std::vector<Tensor>;
  CHECK(begins(
      message<ShapeError>([&] { hvp([](const Several& s) { return sum(s[0] * s[1]); }, Several{x, x}, Several{x}); }),
      "hvp"));
}

TEST_CASE("track: a variable made of a tensor that is on the tape stays connected") {
  test::check_rule([](const std::vector<Tensor>& v) { return sin(exp(v[0]).track()); }, {test::random({3, 2})});
}
