// Logistic regression: mean softplus(-s f(x)) + lambda |w|^2 with sides s = +1 or -1. Draws to logistic.svg how fast
// gradients, stochastic gradients, Adam and methods that see curvature come to the optimum, and two classes of points
// with the line between them.
//
//   logistic                    two clouds of points
//   logistic --data FOLDER      breast_cancer.csv, 569 rows of 30 features and a class: the learning curves

#include "common/contours.h"

#include <CLI/CLI.hpp>
#include <wengert/wengert.h>

using namespace wengert;

constexpr double lambda = 1e-3;

struct Points {
  Tensor x, sides;
  Points batch(std::int64_t first, std::int64_t n) const {
    return {slice(x, 0, first, first + n), slice(sides, 0, first, first + n)};
  }
};

struct Classifier {
  Param w, b = zeros({}, float64);
  Tensor operator()(const Tensor& x) const { return matmul(x, w) + b; }
};

Tensor risk(const Classifier& m, const Points& p) {
  return mean(softplus(-p.sides * m(p.x))) + lambda * sum(square(m.w));
}
double right(const Classifier& m, const Points& p) { return mean(to(p.sides * m(p.x).detach() > 0.0, float64)).item(); }

Points make_clouds() {
  Rng rng{1};
  const Tensor sides = 2.0 * rng.bernoulli({400}, 0.5, float64) - 1.0;
  const Tensor spread = matmul(rng.normal({400, 2}, 0, 1, float64), tensor({{1.2, 0.9}, {-0.3, 0.5}}, float64));
  return {spread + reshape(sides, {-1, 1}) * tensor({0.9, -0.4}, float64), sides};
}
// Features of mean 0 and variance 1.
Points read_cancer(const std::string& folder) {
  const Tensor all = data::read_csv(folder + "/breast_cancer.csv", {.header = true, .dtype = float64});
  const Tensor x = slice(all, 1, 0, 30), sides = 2.0 * select(all, 1, 30) - 1.0;
  const Tensor centred = x - mean(x, {.axes = {0}, .keep_dims = true});
  return {centred / sqrt(mean(square(centred), {.axes = {0}, .keep_dims = true})), sides};
}

int main(int argc, char** argv) {
  std::string folder;
  CLI::App app{"Logistic regression by gradients and by Newton's method."};
  app.add_option("--data", folder, "folder with breast_cancer.csv")->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  const Points points = folder.empty() ? make_clouds() : read_cancer(folder);
  const std::int64_t n = points.x.size(0), passes = 40;
  const Classifier start{.w = zeros({points.x.size(1)}, float64)};
  auto f = [&](const Classifier& m) { return risk(m, points); };

  Classifier best = start;
  optim::NewtonCg to_the_end{best};
  for (int k = 0; k < 50 && to_the_end.gradient_norm > 1e-12; ++k) to_the_end.step(best, f);
  const double least = f(best).item();

  common::Panel curves{.title = "f(w) - f(w*)",
                       .x_label = "pass over the points",
                       .logarithmic = true,
                       .low = 1e-13,
                       .number_format = "10^{%T}"};
  fmt::print("f(w) - f(w*) after {} passes over {} points, and points that are right\n", passes, n);
  auto follow = [&](const std::string& name, auto&& pass) {
    Classifier m = start;
    common::Curve curve{.name = name, .colour = static_cast<int>(curves.curves.size())};
    for (std::int64_t k = 0; k <= passes; ++k, pass(m))
      curve.add(static_cast<double>(k), std::max(f(m).item() - least, 2e-13));
    fmt::print("  {:<12} {:10.3e} {:8.1f} %\n", name, curve.y.back(), 100 * right(m, points));
    curves.curves.push_back(curve);
  };
  auto by_batches = [&](auto& optimizer, std::int64_t size) {
    return [&optimizer, &points, size, n](Classifier& m) {
      for (std::int64_t i = 0; i + size <= n; i += size)
        optimizer.step(m, grad([&](const Classifier& c) { return risk(c, points.batch(i, size)); }, m));
    };
  };
  optim::Sgd descent{start, {.lr = 1}}, stochastic{start, {.lr = 0.1}};
  optim::Adam adam{start, {.lr = 0.02}};
  optim::Lbfgs lbfgs{start, {.max_iter = 1, .history_size = 10, .tolerance_grad = 0, .tolerance_change = 0}};
  optim::NewtonCg newton{start, {.forcing = 1e-3}};
  follow("gradient", by_batches(descent, n));
  follow("stochastic", by_batches(stochastic, 10));
  follow("Adam", by_batches(adam, 10));
  follow("Lbfgs", [&](Classifier& m) { lbfgs.step(m, f); });
  follow("Newton", [&](Classifier& m) { newton.step(m, f); });
  common::tell(common::plot("logistic.svg", {curves}), "logistic.svg", "the learning curves");

  if (!folder.empty()) return 0;
  common::Map map{.title = "The line between two classes",
                  .left = -4.5,
                  .right = 4.5,
                  .bottom = -3.5,
                  .top = 3.5,
                  .height = [&](double x, double y) { return best(tensor({x, y}, float64)).item(); },
                  .levels = {0}};
  const auto x = points.x.to_vector<double>(), sides = points.sides.to_vector<double>();
  for (const double side : {1.0, -1.0}) {
    common::Path class_of{.name = side > 0 ? "+1" : "-1", .x = {}, .y = {}, .points = true};
    for (std::size_t i = 0; i < sides.size(); ++i)
      if (sides[i] == side) class_of.x.push_back(x[2 * i]), class_of.y.push_back(x[2 * i + 1]);
    map.paths.push_back(class_of);
  }
  common::tell(common::plot("logistic_line.svg", std::vector{map}), "logistic_line.svg", "the points");
}
