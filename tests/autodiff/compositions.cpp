// Transforms of transforms, on tensors and on models: every pair once, against closed forms.

#include "derivatives.h"
#include "wengert/autodiff/tape/custom.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <functional>

using namespace wengert;
using test::contains;
using test::message;
using test::random;
using testing::check_close;

namespace {

using Function = std::function<Tensor(const Tensor&)>;

struct Case {
  const char* name;
  Function f;                          // pointwise
  std::array<Function, 5> derivative;  // closed forms, from the function itself on
};
const custom power{.name = "power",
                   .forward = [](const Tensor& x) { return pow(x, 5.0); },
                   .vjp = [](const Tensor& y_bar, const Tensor& x) { return y_bar * 5.0 * pow(x, 4.0); }};
const std::vector<Case> cases{
    {"sin",
     [](const Tensor& x) { return sin(x); },
     {[](const Tensor& x) { return sin(x); }, [](const Tensor& x) { return cos(x); },
      [](const Tensor& x) { return -sin(x); }, [](const Tensor& x) { return -cos(x); },
      [](const Tensor& x) { return sin(x); }}},
    {"x exp(x)",
     [](const Tensor& x) { return checkpoint([](const Tensor& t) { return t * exp(t); }, x); },
     {[](const Tensor& x) { return x * exp(x); }, [](const Tensor& x) { return (x + 1.0) * exp(x); },
      [](const Tensor& x) { return (x + 2.0) * exp(x); }, [](const Tensor& x) { return (x + 3.0) * exp(x); },
      [](const Tensor& x) { return (x + 4.0) * exp(x); }}},
    {"power",
     [](const Tensor& x) { return power(x); },
     {[](const Tensor& x) { return pow(x, 5.0); }, [](const Tensor& x) { return 5.0 * pow(x, 4.0); },
      [](const Tensor& x) { return 20.0 * pow(x, 3.0); }, [](const Tensor& x) { return 60.0 * square(x); },
      [](const Tensor& x) { return 120.0 * x; }}},
    {"hooked",
     [](const Tensor& x) { return exp(2.0 * on_gradient(x, [](const Tensor&) {})); },
     {[](const Tensor& x) { return exp(2.0 * x); }, [](const Tensor& x) { return 2.0 * exp(2.0 * x); },
      [](const Tensor& x) { return 4.0 * exp(2.0 * x); }, [](const Tensor& x) { return 8.0 * exp(2.0 * x); },
      [](const Tensor& x) { return 16.0 * exp(2.0 * x); }}},
};

// Five ways to the derivative of a pointwise function; they are combined at will.
const Tensor one = ones({3}, float64);
Tensor by_grad(const Function& f, const Tensor& x) {
  return grad([&](const Tensor& t) { return sum(f(t)); }, x);
}
Tensor by_vjp(const Function& f, const Tensor& x) { return vjp(f, x).pullback(ones(x.shape(), x.dtype())); }
Tensor by_jvp(const Function& f, const Tensor& x) { return jvp(f, x, ones(x.shape(), x.dtype())).y_dot; }
Tensor by_jacobian(const Function& f, const Tensor& x) { return sum(jacobian(f, x), {1}); }
Tensor by_checkpoint(const Function& f, const Tensor& x) {
  return by_grad([&f](const Tensor& t) { return checkpoint([f](const Tensor& s) { return f(s); }, t); }, x);
}
using Way = Tensor (*)(const Function&, const Tensor&);
const std::vector<std::pair<const char*, Way>> ways{
    {"grad", by_grad}, {"vjp", by_vjp}, {"jvp", by_jvp}, {"jacobian", by_jacobian}, {"checkpoint", by_checkpoint}};

struct Model {
  Param weight = random({2, 3}), bias = random({2}, -1, 1, 2);
  Tensor scale = full({2}, 1.5, float64);
  Tensor operator()(const Tensor& x) const { return tanh(linear(x, weight, bias)) * scale; }
};
const Tensor data = random({4, 3}, -1, 1, 5);
auto loss = [](const Model& m) { return sum(square(m(data))); };

Tensor flat(const Model& m) { return cat({reshape(m.weight, {6}), reshape(m.bias, {2})}); }
Model model_of(const Tensor& numbers) {
  Model m;
  m.weight.assign(reshape(narrow(numbers, 0, 0, 6), {2, 3}));
  m.bias.assign(narrow(numbers, 0, 6, 2));
  return m;
}

}  // namespace

TEST_CASE("transforms compose: first to third order, each in any way, against closed forms") {
  const Tensor x = random({3}, 0.5, 1.5);
  for (const Case& c : cases) {
    CAPTURE(c.name);
    check_close(c.f(x), c.derivative[0](x), 1e-14);
    for (const auto& [outer, first] : ways) {
      CAPTURE(outer);
      check_close(first(c.f, x), c.derivative[1](x), 1e-13);
      for (const auto& [middle, second] : ways) {
        CAPTURE(middle);
        const Function d1 = [&, way = second](const Tensor& t) { return way(c.f, t); };
        check_close(first(d1, x), c.derivative[2](x), 1e-13);
        for (const auto& [inner, third] : ways) {
          CAPTURE(inner);
          const Function e1 = [&, way = third](const Tensor& t) { return way(c.f, t); };
          const Function e2 = [&, way = second](const Tensor& t) { return way(e1, t); };
          check_close(first(e2, x), c.derivative[3](x), 1e-12);
        }
      }
    }
  }
}

TEST_CASE("transforms compose: the fourth order, forwards over reverse and round again") {
  const Tensor x = random({3}, 0.5, 1.5);
  for (const Case& c : cases) {
    CAPTURE(c.name);
    for (const auto& [name, way] : ways) {
      CAPTURE(name);
      const Function d1 = [&, way = way](const Tensor& t) { return way(c.f, t); };
      const Function d2 = [&](const Tensor& t) { return by_grad(d1, t); };
      const Function d3 = [&, way = way](const Tensor& t) { return way(d2, t); };
      check_close(by_jvp(d3, x), c.derivative[4](x), 1e-11);
    }
  }
}

TEST_CASE("hvp: forward over reverse, reverse over forward and reverse over reverse agree, as does the Hessian") {
  const Tensor x = random({3}), v = random({3}, -1, 1, 2);
  auto f = [](const Tensor& t) { return sum(exp(t) * sum(t * t)); };
  const Tensor expected = hvp(f, x, v);
  auto slope = [&](const Tensor& t) { return grad(f, t); };
  check_close(jvp(slope, x, v).y_dot, expected, 1e-13);
  check_close(grad([&](const Tensor& t) { return jvp(f, t, v).y_dot; }, x), expected, 1e-13);
  check_close(grad([&](const Tensor& t) { return sum(grad(f, t) * v); }, x), expected, 1e-13);
  check_close(vjp(slope, x).pullback(v), expected, 1e-13);
  check_close(matmul(hessian(f, x), v), expected, 1e-13);
  auto again = [&](const Tensor& t) { return checkpoint(f, t); };
  CHECK(hvp(again, x, v).to_vector<double>() == expected.to_vector<double>());
}

TEST_CASE("on models: hvp, jvp of grad, and the matrix of hessian agree") {
  const Model m, v = model_of(random({8}, -1, 1, 7));
  const Tensor expected = flat(hvp(loss, m, v));
  CHECK(expected.shape() == Shape{8});
  const Tensor h = hessian(loss, m);
  CHECK(h.shape() == Shape{8, 8});
  check_close(h, transpose(h), 1e-13);
  check_close(matmul(h, flat(v)), expected, 1e-13);
  check_close(jvp([](const Model& t) { return flat(grad(loss, t)); }, m, v).y_dot, expected, 1e-13);
  check_close(flat(grad([&](const Model& t) { return jvp(loss, t, v).y_dot; }, m)), expected, 1e-13);
  auto again = [](const Model& t) { return checkpoint([](const Model& s) { return loss(s); }, t); };
  CHECK(hessian(again, m).to_vector<double>() == h.to_vector<double>());
  // the closed form of a quadratic: its matrix
  const Tensor a = matmul(random({8, 8}), transpose(random({8, 8})));
  auto quadratic = [&](const Model& t) { return 0.5 * sum(flat(t) * matmul(a, flat(t))); };
  check_close(hessian(quadratic, m), a, 1e-13);
  // third order: derivative of the trace
  auto trace = [&](const Model& t) { return sum(hessian(loss, t) * eye(8, float64)); };
  const Model third = grad(trace, m);
  for (std::size_t i = 0; i < 8; ++i) {
    auto moved = [&](double step) {
      std::vector<double> numbers = flat(m).to_vector<double>();
      numbers[i] += step;
      return trace(model_of(from(numbers, {8}))).item();
    };
    CHECK(flat(third).to_vector<double>()[i] == doctest::Approx((moved(1e-5) - moved(-1e-5)) / 2e-5).epsilon(1e-7));
  }
}

TEST_CASE("on models: jacobian is a model of Jacobians, and nests") {
  const Model m;
  auto f = [](const Model& t) { return t(data); };
  const Model j = jacobian(f, m);
  CHECK(j.weight.shape() == Shape{4, 2, 2, 3});
  CHECK(j.bias.shape() == Shape{4, 2, 2});
  CHECK_FALSE(j.scale.defined());
  const Tensor y_bar = random({4, 2}, -1, 1, 9);
  const Model x_bar = vjp(f, m).pullback(y_bar);
  check_close(matmul(reshape(y_bar, {1, 8}), reshape(j.weight, {8, 6})), reshape(x_bar.weight, {1, 6}), 1e-13);
  check_close(matmul(reshape(y_bar, {1, 8}), reshape(j.bias, {8, 2})), reshape(x_bar.bias, {1, 2}), 1e-13);
  // sum of squares of the Jacobian of a linear model does not depend on its weights, that of a quadratic one does
  auto size = [](const Model& t) {
    return sum(square(jacobian([](const Model& s) { return square(matmul(data, transpose(s.weight))); }, t).weight));
  };
  const Model g = grad(size, m);
  const double h = 1e-5;
  auto moved = [&](double step) {
    Model t = m;
    t.weight.write<double>()[4] += step;
    return size(t).item();
  };
  CHECK(g.weight.to_vector<double>()[4] == doctest::Approx((moved(h) - moved(-h)) / (2 * h)).epsilon(1e-7));
  const auto [a, b] =
      jacobian([](const Tensor& s, const Tensor& t) { return s * sum(t); }, std::pair(random({2}), random({3})));
  CHECK(a.shape() == Shape{2, 2});
  CHECK(b.shape() == Shape{2, 3});
}

TEST_CASE("detach and no_grad inside transforms: constants, on tensors and on models") {
  const Tensor x = random({3});
  // h h' with h' held fast: the first derivative is half that of h^2, the second that of a constant times h
  auto held = [](const Tensor& t) {
    const Tensor h = exp(t);
    return sum(h * h.detach());
  };
  check_close(grad(held, x), exp(2.0 * x), 1e-13);
  check_close(hvp(held, x, ones({3}, float64)), exp(2.0 * x), 1e-13);
  auto held_first = [](const Tensor& t) {
    const Tensor h = exp(t);
    return sum(h.detach() / h);
  };
  check_close(grad(held_first, x), -ones({3}, float64), 1e-13);
  check_close(hvp(held_first, x, ones({3}, float64)), ones({3}, float64), 1e-13);
  auto quiet = [](const Tensor& t) {
    const Tensor h = [&] {
      const no_grad off;
      return exp(t);
    }();
    return sum(h * t);
  };
  check_close(grad(quiet, x), exp(x), 1e-14);
  check_close(jvp(quiet, x, ones({3}, float64)).y_dot, sum(exp(x)), 1e-14);
  check_close(grad([&](const Tensor& t) { return checkpoint(held, t) + checkpoint(quiet, t); }, x),
              exp(2.0 * x) + exp(x), 1e-13);
  const Model m;
  auto distill = [](const Model& t) { return sum(square(t(data) - 0.5 * detach(t)(data))); };
  check_close(grad(distill, m).bias, 0.5 * grad(loss, m).bias, 1e-13);
  CHECK_FALSE(detach(m).weight.tracked());
  CHECK(detach(m).weight.to_vector<double>() == m.weight.to_vector<double>());
  CHECK_FALSE(detach(std::vector<Tensor>{x.track()})[0].tracked());
}

TEST_CASE("a variable and its constant twin may meet in one operator, at any order") {
  const Tensor x = random({3}, 1, 2), one = ones({3}, float64);
  // x / t by t, where x is the very tensor that t was made of
  auto f = [&](const Tensor& t) { return sum(x / t); };
  check_close(grad(f, x), -1.0 / x, 1e-14);
  check_close(hvp(f, x, one), 2.0 / square(x), 1e-14);
  check_close(jvp([&](const Tensor& t) { return grad(f, t); }, x, one).y_dot, 2.0 / square(x), 1e-14);
  auto g = [&](const Tensor& t) { return sum(t / x); };
  check_close(hvp(g, x, one), zeros({3}, float64), 0);
  // the same, where x is a variable of a transform around it
  auto outer = [&](const Tensor& s) { return sum(hvp([&](const Tensor& t) { return sum(s / t); }, s, one)); };
  check_close(grad(outer, x), -4.0 / (x * x * x), 1e-13);
}

TEST_CASE("create_graph: numbers by default, a graph on demand") {
  const Tensor x = random({3}).track();
  auto f = [](const Tensor& t) { return sum(exp(t)); };
  CHECK_FALSE(grad(f, x).tracked());
  CHECK_FALSE(vjp(f, x).pullback(scalar(1, float64)).tracked());
  CHECK_FALSE(jvp(f, x, x.detach()).y_dot.tracked());
  CHECK_FALSE(jacobian(f, x).tracked());
  CHECK_FALSE(hessian(f, x).tracked());
  CHECK_FALSE(hvp(f, x, x.detach()).tracked());
  const Tensor g = grad(f, x, {.create_graph = true});
  check_close(grad(sum(g), x), exp(x).detach(), 1e-14);
  check_close(grad(sum(hessian(f, x, {.create_graph = true})), x), exp(x).detach(), 1e-14);
  check_close(grad(sum(jacobian(f, x, {.create_graph = true})), x), exp(x).detach(), 1e-14);
}

TEST_CASE("transforms: mistakes name the transform and the line of the call") {
  const Tensor x = random({3});
  const Model m;
  auto same = [](const Tensor& t) { return t; };
  int line = 0;
  auto check = [&](const std::string& what, const std::string& part) {
    CAPTURE(what);
    CHECK(contains(what, part));
    CHECK(contains(what, "compositions.cpp:" + std::to_string(line)));
  };
  check(message<ShapeError>([&] { line = __LINE__, grad(same, x); }), "f must return one number, got [3]");
  check(message<ShapeError>([&] { line = __LINE__, hvp(same, x, x); }), "hvp: f must return one number");
  check(message<ShapeError>([&] { line = __LINE__, hessian(same, x); }), "hessian: f must return one number");
  check(message<ShapeError>([&] { line = __LINE__, hessian([](const Model& t) { return t(data); }, m); }),
        "hessian: f");
  check(message<TypeError>([&] { line = __LINE__, grad(same, arange(3)); }), "int64 has no derivative");
  check(message<TypeError>([&] { line = __LINE__, jvp(same, arange(3), arange(3)); }), "int64 has no derivative");
  check(message<TypeError>([&] { line = __LINE__, jacobian([](const Tensor& t) { return argmax(t); }, x); }),
        "jacobian: f returned int64");
  check(message<TypeError>([&] { line = __LINE__, grad([](const Tensor&) { return scalar(1, int64); }, x); }), "int64");
  check(message<ShapeError>([&] { line = __LINE__, jvp(same, x, zeros({2}, float64)); }),
        "tangent must be float64 [3] like x");
  check(message<ShapeError>([&] { line = __LINE__, jvp(same, x, zeros({3})); }),
        "tangent must be float64 [3] like x, got float32 [3]");
  const auto pullback = vjp(same, x).pullback;
  check(message<ShapeError>([&] { line = __LINE__, pullback(zeros({2}, float64)); }), "cotangent must be float64 [3]");
  const Tensor wide = zeros({1, 1, 1, 1, 1}, float64);
  check(message<ShapeError>([&] { line = __LINE__, jacobian(same, wide); }), "more than 8 axes");
}
