#include "support.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/optim/optim.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct Weights {
  Param w = zeros({5}, float64), b = zeros({}, float64);
  Tensor operator()(const Tensor& x) const { return matmul(x, w) + b; }
};

// Forty noisy rows, as a regression and as two classes.
struct Problem {
  Tensor x, y, sides;
  Problem() {
    Rng rng{3};
    x = rng.normal({40, 5}, 0, 1, float64) * tensor({1, 3, 0.3, 1, 2}, float64);
    y = matmul(x, tensor({1, -2, 3, 0.5, 0}, float64)) + rng.normal({40}, 0, 0.5, float64);
    sides = where(y > 0.0, ones({}, float64), -ones({}, float64));
  }
  Tensor ridge(const Weights& m) const { return mean(square(m(x) - y)) + 0.1 * (sum(square(m.w)) + square(m.b)); }
  Tensor logistic(const Weights& m) const {
    return mean(softplus(-sides * m(x))) + 0.01 * (sum(square(m.w)) + square(m.b));
  }
  // Vectors whose squares sum up to twice the same.
  Tensor ridge_residuals(const Weights& m) const {
    return cat({(m(x) - y) * std::sqrt(2.0 / 40), m.w * std::sqrt(0.2), reshape(m.b, {1}) * std::sqrt(0.2)});
  }
  Tensor logistic_residuals(const Weights& m) const {
    return cat(
        {sqrt(softplus(-sides * m(x)) * (2.0 / 40)), m.w * std::sqrt(0.02), reshape(m.b, {1}) * std::sqrt(0.02)});
  }
};

template <class F>
double slope(F&& f, const Weights& m) {
  const Tensor g = optim::flatten(grad(f, m));
  return std::sqrt(sum(square(g)).item());
}

// Both problems, from zero, until the gradient is small: the steps that were needed.
template <class Step>
void reaches_the_optimum(int most, Step&& step) {
  const Problem problem;
  auto ridge = [&](const Weights& m) { return problem.ridge(m); };
  auto logistic = [&](const Weights& m) { return problem.logistic(m); };
  auto run = [&](auto& f, auto&& step_with) {
    Weights m;
    int n = 0;
    while (n < most && slope(f, m) > 1e-10) step_with(m), ++n;
    CHECK(slope(f, m) <= 1e-10);
  };
  step(run, ridge, [&](const Weights& m) { return problem.ridge_residuals(m); });
  step(run, logistic, [&](const Weights& m) { return problem.logistic_residuals(m); });
}

}  // namespace

TEST_CASE("flatten: puts all trained numbers in one vector, and fill puts them back") {
  Weights m;
  optim::fill(m, arange(6, float64));
  CHECK(m.w.to_vector<double>() == std::vector<double>{0, 1, 2, 3, 4});
  CHECK(m.b.item() == 5);
  CHECK(m.b.is_trained());
  CHECK(optim::flatten(m).to_vector<double>() == std::vector<double>{0, 1, 2, 3, 4, 5});
  Tensor one = ones({2}, float64);
  const Tensor old = one;
  optim::fill(one, zeros({2}, float64));
  CHECK(old.to_vector<double>()[0] == 1);  // a handle on the old value keeps it
}

TEST_CASE("newton_cg: reaches the optimum of ridge and logistic regression to 1e-10") {
  reaches_the_optimum(20, [](auto& run, auto f, auto) {
    Weights any;
    optim::NewtonCg newton{any};
    run(f, [&](Weights& m) { newton.step(m, f); });
  });
}

TEST_CASE("lbfgs: reaches the optimum of ridge and logistic regression to 1e-10") {
  reaches_the_optimum(20, [](auto& run, auto f, auto) {
    Weights any;
    optim::Lbfgs lbfgs{any, {.tolerance_grad = 1e-12, .tolerance_change = 0}};
    run(f, [&](Weights& m) { lbfgs.step(m, f); });
  });
}

TEST_CASE("least_squares: reaches the optimum of ridge and logistic regression to 1e-10") {
  for (bool scaled : {false, true})
    reaches_the_optimum(100, [=](auto& run, auto f, auto residuals) {
      Weights any;
      optim::LeastSquares lm{any, {.scaled = scaled}};
      run(f, [&](Weights& m) { lm.step(m, residuals); });
    });
}

TEST_CASE("least_squares: Gauss and Newton's step solves a linear problem at once") {
  const Problem problem;
  Weights m;
  optim::LeastSquares gauss_newton{m, {.damping = 0}};
  gauss_newton.step(m, [&](const Weights& w) { return problem.ridge_residuals(w); });
  CHECK(slope([&](const Weights& w) { return problem.ridge(w); }, m) < 1e-13);
}

TEST_CASE("least_squares: fewer residuals than parameters, one of which has no effect, in float32 too") {
  for (const DType dtype : {float32, float64}) {
    Tensor w = ones({4}, dtype);
    optim::LeastSquares lm{w};
    const Tensor a = tensor({{1, 2, 3, 0}, {0, 1, -1, 0}}, dtype), b = tensor({3, 1}, dtype);
    for (int i = 0; i < 30; ++i) lm.step(w, [&](const Tensor& x) { return matmul(a, x) - b; });
    CHECK(sum(square(matmul(a, w) - b)).item() < (dtype == float32 ? 1e-10 : 1e-24));
    CHECK(to(w, float64).to_vector<double>()[3] == 1);
  }
}

TEST_CASE("full_adagrad: reaches the optimum of ridge and logistic regression to 1e-10") {
  reaches_the_optimum(3000, [](auto& run, auto f, auto) {
    Weights any;
    optim::FullAdagrad adagrad{any, {.lr = 1}};
    run(f, [&](Weights& m) { adagrad.step(m, grad(f, m)); });
  });
}

TEST_CASE("full_adagrad: on one parameter is the diagonal form") {
  Tensor a = full({1}, 2, float64), b = a;
  optim::FullAdagrad full{a, {.lr = 0.1, .eps = 1e-10}};
  optim::Adagrad diagonal{b, {.lr = 0.1}};
  for (int t = 0; t < 100; ++t) full.step(a, sin(3.0 * a)), diagonal.step(b, sin(3.0 * b));
  CHECK(a.item() == doctest::Approx(b.item()).epsilon(1e-12));
  Tensor large = zeros({5000});
  CHECK(contains(message<ValueError>([&] { optim::FullAdagrad{large}; }), "5000"));
}

TEST_CASE("line search: the exact step of a quadratic, in closed form and by bracketing") {
  const Problem problem;
  auto f = [&](const Weights& m) { return problem.ridge(m); };
  Weights m;
  optim::Line line(f, m);
  const auto closed = optim::exact_quadratic(line), searched = optim::exact(line);
  CHECK(closed.t > 0);
  CHECK(searched.found);
  CHECK(searched.t == doctest::Approx(closed.t).epsilon(1e-6));
  CHECK(searched.value == doctest::Approx(closed.value).epsilon(1e-12));
  CHECK(std::abs(line.at(closed.t).slope) < 1e-10);
  CHECK(closed.value == doctest::Approx(line.value(closed.t)).epsilon(1e-12));
  line.go(m, closed.t);
  CHECK(problem.ridge(m).item() == doctest::Approx(closed.value).epsilon(1e-12));
}

TEST_CASE("line search: backtracking takes the first step with sufficient decrease") {
  auto f = [](const Tensor& x) { return sum(square(square(x))); };
  const Tensor x = ones({1}, float64);
  optim::Line line(f, x);  // d = -4, phi(t) = (1 - 4 t)^4
  const auto found = optim::backtracking(line, {.start = 1, .shrink = 0.5, .sufficient = 0.1});
  CHECK(found.found);
  CHECK(found.t == 0.25);
  const Tensor up = ones({1}, float64);
  optim::Line uphill(f, x, up);
  CHECK(contains(message<ValueError>([&] { optim::backtracking(uphill); }), "uphill"));
  CHECK(contains(message<ValueError>([&] { optim::backtracking(line, {.shrink = 1}); }), "shrink"));
}

TEST_CASE("line search: the strong Wolfe conditions hold where it says so") {
  auto rosenbrock = [](const Tensor& x) {
    const Tensor a = slice(x, 0, 0, 1), b = slice(x, 0, 1, 2);
    return sum(100.0 * square(b - square(a)) + square(1.0 - a));
  };
  for (double start : {1e-4, 1e-2, 1.0, 30.0})
    for (double curvature : {0.1, 0.9}) {
      const Tensor x = tensor({-1.2, 1}, float64);
      optim::Line line(rosenbrock, x);
      const auto found = optim::strong_wolfe(line, {.start = start, .curvature = curvature});
      REQUIRE(found.found);
      const auto origin = line.at(0), p = line.at(found.t);
      CHECK(p.value <= origin.value + 1e-4 * p.t * origin.slope);
      CHECK(std::abs(p.slope) <= -curvature * origin.slope);
    }
}

TEST_CASE("lbfgs: finds the minimum of Rosenbrock's function, and a copy goes on as the original") {
  auto f = [](const Tensor& x) {
    const Tensor a = slice(x, 0, 0, 9), b = slice(x, 0, 1, 10);
    return sum(100.0 * square(b - square(a)) + square(1.0 - a));
  };
  Tensor x = full({10}, -1, float64);
  optim::Lbfgs lbfgs{x, {.max_iter = 10, .history_size = 5, .tolerance_change = 0}};
  lbfgs.step(x, f);
  optim::Lbfgs copy = lbfgs;
  Tensor y = x;
  for (int i = 0; i < 20; ++i) lbfgs.step(x, f), copy.step(y, f);
  CHECK(x.to_vector<double>() == y.to_vector<double>());
  CHECK(f(x).item() < 1e-12);
  CHECK(contains(message<ValueError>([&] { optim::Lbfgs(x, {.history_size = 0}); }), "history"));
}
