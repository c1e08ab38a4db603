// First-order rules, and two that see curvature, on four surfaces: a curved valley (Rosenbrock), a plateau (Beale), a
// ravine and a saddle. Prints how far each came and draws their paths over the contours to surfaces.svg.

#include "common/contours.h"

#include <fmt/core.h>
#include <wengert/wengert.h>

using namespace wengert;

struct Surface {
  std::string name;
  Tensor (*f)(const Tensor& x, const Tensor& y);
  double left, right, bottom, top;
  double x, y;        // where the paths start
  double slow, fast;  // rates for rules that follow the gradient's size, and for those that do not
  int steps;
  std::vector<double> levels;
};

const std::vector<Surface> surfaces{
    {"Rosenbrock",
     [](const Tensor& x, const Tensor& y) { return square(1.0 - x) + 100.0 * square(y - square(x)); },
     -2,
     2,
     -1,
     3,
     -1.2,
     1,
     1e-3,
     0.05,
     400,
     {0.5, 2, 8, 30, 100, 300, 800, 2000}},
    {"Beale",
     [](const Tensor& x, const Tensor& y) {
       return square(1.5 - x + x * y) + square(2.25 - x + x * square(y)) + square(2.625 - x + x * y * square(y));
     },
     -1,
     4.5,
     -1.5,
     2,
     0.8,
     1.6,
     5e-3,
     0.1,
     400,
     {0.1, 0.5, 1.5, 4, 10, 20, 50, 150, 400}},
    {"Ravine",
     [](const Tensor& x, const Tensor& y) { return 0.02 * square(x) + 2.0 * square(y); },
     -10,
     3,
     -3,
     3,
     -9,
     2.5,
     0.35,
     0.5,
     60,
     {0.02, 0.1, 0.4, 1, 2, 4, 8, 16}},
    {"Saddle",
     [](const Tensor& x, const Tensor& y) { return square(x) - square(y) + 0.25 * square(square(y)); },
     -2,
     2,
     -2.2,
     2.2,
     -1.6,
     1e-3,
     0.05,
     0.1,
     100,
     {-0.95, -0.7, -0.3, 0, 0.5, 1.2, 2, 3.5}},
};

struct Point {
  Param at;  // [2]
};

// The path of one method from the start of a surface; `make` gives a function that makes one step.
template <class Make>
common::Path follow(const std::string& name, const Surface& s, Make&& make) {
  Point p{tensor({s.x, s.y}, float64)};
  auto f = [&](const Point& q) { return s.f(select(q.at, 0, 0), select(q.at, 0, 1)); };
  auto step = make(p, f);
  common::Path path{.name = name, .x = {}, .y = {}};
  for (int k = 0; k <= s.steps; ++k) {
    const auto at = p.at.to_vector<double>();
    path.x.push_back(at[0]), path.y.push_back(at[1]);
    step();
  }
  fmt::print("  {:<12} f = {:<12.3e} at ({:.4f}, {:.4f})\n", name, f(p).item(), path.x.back(), path.y.back());
  return path;
}

// A method that only needs gradients.
template <class Optimizer>
auto by_gradients(Optimizer (*make)(const Point&, const Surface&), const Surface& s) {
  return [=, &s](Point& p, auto& f) {
    return [&p, &f, optimizer = make(p, s)]() mutable { optimizer.step(p, grad(f, p)); };
  };
}

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "surfaces.svg";
  std::vector<common::Map> maps;
  for (const Surface& s : surfaces) {
    fmt::print("\n{}, after {} steps\n", s.name, s.steps);
    common::Map map{.title = s.name,
                    .left = s.left,
                    .right = s.right,
                    .bottom = s.bottom,
                    .top = s.top,
                    .height = [&s](double x, double y) { return s.f(scalar(x, float64), scalar(y, float64)).item(); },
                    .levels = s.levels};
    auto add = [&](const std::string& name, auto make) {
      map.paths.push_back(follow(name, s, by_gradients(+make, s)));
    };
    add("Sgd", [](const Point& p, const Surface& s) { return optim::Sgd(p, {.lr = s.slow}); });
    add("momentum",
        [](const Point& p, const Surface& s) { return optim::Sgd(p, {.lr = s.slow / 2, .momentum = 0.9}); });
    add("Adagrad", [](const Point& p, const Surface& s) { return optim::Adagrad(p, {.lr = 4 * s.fast}); });
    add("RmsProp",
        [](const Point& p, const Surface& s) { return optim::RmsProp(p, {.lr = s.fast / 2, .decay = 0.9}); });
    add("Adam", [](const Point& p, const Surface& s) { return optim::Adam(p, {.lr = 2 * s.fast}); });
    map.paths.push_back(follow("NewtonCg", s, [](Point& p, auto& f) {
      return [&p, &f, newton = optim::NewtonCg(p)]() mutable { newton.step(p, f); };
    }));
    map.paths.push_back(follow("Lbfgs", s, [](Point& p, auto& f) {
      return [&p, &f, lbfgs = optim::Lbfgs(p, {.iterations = 1, .history = 10})]() mutable { lbfgs.step(p, f); };
    }));
    maps.push_back(std::move(map));
  }
  if (common::plot(path, maps)) fmt::print("\n{} shows the paths\n", path);
  else fmt::print("\n{} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
}
