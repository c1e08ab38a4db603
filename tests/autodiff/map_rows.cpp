#include "wengert/autodiff/transforms/map_rows.h"

#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"

using namespace wengert;
using test::contains;
using test::message;
using test::random;
using testing::check_close;

namespace {

struct Model {
  Param weight = random({2, 3}), bias = random({2}, -1, 1, 2);
  Tensor operator()(const Tensor& x) const { return tanh(linear(x, weight, bias)); }
};
const Tensor x = random({5, 3}, -1, 1, 3), y = random({5, 2}, -1, 1, 4);
auto loss = [](const Model& m, const Tensor& a, const Tensor& b) { return sum(square(m(a) - b)); };

}  // namespace

TEST_CASE("map_rows: f of each row, stacked") {
  const Tensor a = random({4, 2, 3}), b = random({4, 3, 2}, -1, 1, 2);
  check_close(map_rows([](const Tensor& s, const Tensor& t) { return matmul(s, t); }, a, b), matmul(a, b), 1e-14);
  check_close(map_rows([](const Tensor& s) { return sum(s); }, a), sum(a, {1, 2}), 1e-14);
  const auto [first, second] = map_rows([](const Tensor& s) { return std::pair(s * 2.0, exp(s)); }, a);
  check_close(first, 2.0 * a, 0);
  check_close(second, exp(a), 0);
}

TEST_CASE("map_rows: derivatives go through, and it goes into itself") {
  const Tensor a = random({4, 3});
  auto f = [](const Tensor& t) { return map_rows([](const Tensor& s) { return sum(exp(s)) * s; }, t); };
  test::check_rule([&](const auto& v) { return f(v[0]); }, {a});
  const Tensor table =
      map_rows([&](const Tensor& s) { return map_rows([&](const Tensor& t) { return sum(s * t); }, a); }, a);
  check_close(table, matmul(a, transpose(a)), 1e-14);
  const Tensor slopes =
      map_rows([](const Tensor& s) { return grad([](const Tensor& t) { return sum(t * t * t); }, s); }, a);
  check_close(slopes, 3.0 * a * a, 1e-14);
}

TEST_CASE("map_rows: mistakes are named, with the line of the call") {
  const Tensor a = random({4, 3});
  const auto sizes = message<ShapeError>([&] { map_rows([](const Tensor& s, const Tensor&) { return s; }, a, y); });
  CHECK(contains(sizes, "map_rows: axis 0 must have the same size in all operands, got [4, 3] and [5, 2]"));
  CHECK(contains(sizes, "map_rows.cpp:" + std::to_string(__LINE__ - 2)));
  auto same = [](const Tensor& s) { return s; };
  CHECK(contains(message<ShapeError>([&] { map_rows(same, scalar(1)); }), "scalar"));
  CHECK(contains(message<ValueError>([&] { map_rows(same, zeros({0, 3})); }), "must not be empty"));
  int n = 0;
  const auto shapes = message<ShapeError>([&] { map_rows([&](const Tensor&) { return zeros({++n}); }, a); });
  CHECK(contains(shapes, "map_rows: f returned [2], and [1] the first time"));
}

TEST_CASE("batched_jacobian: one pullback for each entry of a row; those of the rows by themselves") {
  const Tensor w = random({3, 2}, -1, 1, 5);
  auto f = [&](const Tensor& t) { return sin(matmul(t, w)) * sum(t, {.axes = {-1}, .keep_dims = true}); };
  const Tensor j = batched_jacobian(f, x);
  CHECK(j.shape() == Shape{5, 2, 3});
  const Tensor by_row = map_rows(
      [&](const Tensor& row) {
        return jacobian([&](const Tensor& t) { return reshape(f(reshape(t, {1, 3})), {2}); }, row);
      },
      x);
  check_close(j, by_row, 1e-14);
  // its derivative: all entries of the Jacobian of x^3 are 3 x^2
  auto total = [](const Tensor& t) { return sum(batched_jacobian([](const Tensor& s) { return s * s * s; }, t)); };
  check_close(grad(total, x), 6.0 * x, 1e-13);
  CHECK(batched_jacobian(f, zeros({0, 3}, float64)).shape() == Shape{0, 2, 3});
}

TEST_CASE("batched_jacobian: rows that depend on each other are found") {
  const auto what =
      message<ValueError>([] { batched_jacobian([](const Tensor& t) { return t - mean(t, {.axes = {0}, .keep_dims = true}); }, x); });
  CHECK(contains(what, "must not depend on other rows of x"));
  CHECK(contains(what, "map_rows.cpp"));
  CHECK_THROWS_AS(batched_jacobian([](const Tensor& t) { return sum(t); }, x), ShapeError);
  CHECK_THROWS_AS(batched_jacobian([](const Tensor& t) { return to(t, int64); }, x), TypeError);
}

TEST_CASE("per_example_gradients: those of the examples by themselves, with a leading axis") {
  const Model model;
  const Model g = per_example_gradients(loss, model, x, y);
  CHECK(g.weight.shape() == Shape{5, 2, 3});
  CHECK(g.bias.shape() == Shape{5, 2});
  CHECK_FALSE(g.weight.tracked());
  const Model all = grad([](const Model& m) { return loss(m, x, y); }, model);
  check_close(sum(g.weight, {0}), all.weight, 1e-14);
  for (int i = 0; i < 5; ++i) {
    const Model one = grad([&](const Model& m) { return loss(m, narrow(x, 0, i, 1), narrow(y, 0, i, 1)); }, model);
    check_close(select(g.weight, 0, i), one.weight, 0);
    check_close(select(g.bias, 0, i), one.bias, 0);
  }
  const Tensor of_tensor =
      per_example_gradients([](const Tensor& w, const Tensor& t) { return sum(w * t); }, random({3}), x);
  check_close(of_tensor, x, 0);
}

TEST_CASE("per_example_gradients: on threads, the same bits; exceptions of f come out") {
  const Model model;
  const Tensor many = random({64, 3}), target = random({64, 2}, -1, 1, 9);
  const Model serial = per_example_gradients(loss, model, many, target);
  const int before = threads();
  for (int n : {1, 2, 5}) {
    set_threads(n);
    const Model parallel = per_example_gradients(loss, model, many, target, {.parallel = true});
    CHECK(parallel.weight.to_vector<double>() == serial.weight.to_vector<double>());
    CHECK_THROWS_AS(
        per_example_gradients([](const Model& m, const Tensor& t) { return m(t); }, model, many, {.parallel = true}),
        ShapeError);
  }
  set_threads(before);
}

TEST_CASE("per_example_gradients: differentiable inside another transform") {
  const Model model;
  auto spread = [](const Model& m) {
    const Model g = per_example_gradients(loss, m, x, y, {.parallel = true});
    return sum(square(g.weight));
  };
  const Model g = grad(spread, model);
  for (std::size_t i = 0; i < 6; ++i) {
    auto moved = [&](double h) {
      Model m = model;
      m.weight.write<double>()[i] += h;
      return spread(m).item();
    };
    CHECK(g.weight.to_vector<double>()[i] == doctest::Approx((moved(1e-5) - moved(-1e-5)) / 2e-5).epsilon(1e-7));
  }
}
