// All optimizers on four surfaces of two variables: a curved valley (Rosenbrock), a plateau (Beale), a ravine and a
// saddle. Prints how far each came and draws their paths over the contours to surfaces.svg, in two maps for each
// surface: those that follow the size of the gradient or see curvature, and those with a rate for each variable.

#include "common/contours.h"

#include <fmt/format.h>
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

Tensor rosenbrock(const Tensor& x, const Tensor& y) { return square(1.0 - x) + 100.0 * square(y - square(x)); }
Tensor beale(const Tensor& x, const Tensor& y) {
  return square(1.5 - x + x * y) + square(2.25 - x + x * square(y)) + square(2.625 - x + x * y * square(y));
}
Tensor ravine(const Tensor& x, const Tensor& y) { return 0.02 * square(x) + 2.0 * square(y); }
Tensor saddle(const Tensor& x, const Tensor& y) { return square(x) - square(y) + 0.25 * square(square(y)); }

const std::vector<Surface> surfaces{
    {"Rosenbrock", rosenbrock, -2, 2, -1, 3, -1.2, 1, 1e-3, 0.05, 400, {0.5, 2, 8, 30, 100, 300, 800, 2000}},
    {"Beale", beale, -1, 4.5, -1.5, 2, 0.8, 1.6, 5e-3, 0.1, 400, {0.1, 0.5, 1.5, 4, 10, 20, 50, 150, 400}},
    {"Ravine", ravine, -10, 3, -3, 3, -9, 2.5, 0.35, 0.5, 60, {0.02, 0.1, 0.4, 1, 2, 4, 8, 16}},
    {"Saddle", saddle, -2, 2, -2.2, 2.2, -1.6, 1e-3, 0.05, 0.1, 100, {-0.95, -0.7, -0.3, 0, 0.5, 1.2, 2, 3.5}},
};

struct Point {
  Param at;  // [2]
};

struct Walk {
  const Surface& s;
  common::Map map;

  Walk(const Surface& s, const std::string& title)
      : s(s),
        map{.title = title,
            .left = s.left,
            .right = s.right,
            .bottom = s.bottom,
            .top = s.top,
            .height = [&s](double x, double y) { return s.f(scalar(x, float64), scalar(y, float64)).item(); },
            .levels = s.levels} {}
  Tensor operator()(const Point& p) const { return s.f(select(p.at, 0, 0), select(p.at, 0, 1)); }

  // step(point) makes one step of the method.
  template <class Step>
  void follow(const std::string& name, Step&& step) {
    Point p{tensor({s.x, s.y}, float64)};
    common::Path path{.name = name};
    for (int k = 0; k <= s.steps; ++k) {
      const auto at = p.at.to_vector<double>();
      path.x.push_back(at[0]), path.y.push_back(at[1]);
      step(p);
    }
    fmt::print("  {:<12} f = {:<12.3e} at ({:.4f}, {:.4f})\n", name, (*this)(p).item(), path.x.back(), path.y.back());
    map.paths.push_back(path);
  }
  // One that takes gradients.
  template <class Optimizer>
  void run(const std::string& name, Optimizer optimizer) {
    follow(name, [&](Point& p) {
      if constexpr (requires { optimizer.look_ahead(p); }) optimizer.look_ahead(p);
      optimizer.step(p, grad(*this, p));
    });
  }
};

int main() {
  std::vector<common::Map> maps;
  for (const Surface& s : surfaces) {
    fmt::print("\n{}, after {} steps\n", s.name, s.steps);
    const Point start{tensor({s.x, s.y}, float64)};
    const double slow = s.slow, fast = s.fast;

    Walk a(s, s.name);
    a.run("Sgd", optim::Sgd(start, {.lr = slow}));
    a.run("momentum", optim::Sgd(start, {.lr = slow / 2, .momentum = 0.9}));
    a.run("Nesterov", optim::Nesterov(start, {.lr = slow / 2}));
    a.run("Lion", optim::Lion(start, {.lr = fast / 5}));
    a.run("Rprop", optim::Rprop(start, {.lr = fast / 5}));
    optim::NewtonCg newton{start};
    a.follow("NewtonCg", [&](Point& p) { newton.step(p, a); });
    optim::Lbfgs lbfgs{start, {.max_iter = 1, .history_size = 10}};
    a.follow("Lbfgs", [&](Point& p) { lbfgs.step(p, a); });
    maps.push_back(a.map);

    Walk b(s, s.name);
    b.run("Adagrad", optim::Adagrad(start, {.lr = 4 * fast}));
    b.run("FullAdagrad", optim::FullAdagrad(start, {.lr = 4 * fast}));
    b.run("RmsProp", optim::RmsProp(start, {.lr = fast / 2, .alpha = 0.9}));
    b.run("Adadelta", optim::Adadelta(start, {.lr = 5}));
    b.run("Adam", optim::Adam(start, {.lr = 2 * fast}));
    b.run("AdamW", optim::AdamW(start, {.lr = 2 * fast}));
    b.run("Adamax", optim::Adamax(start, {.lr = 2 * fast}));
    b.run("Nadam", optim::Nadam(start, {.lr = 2 * fast}));
    b.run("Radam", optim::Radam(start, {.lr = slow}));  // whose first steps follow the gradient's size
    maps.push_back(b.map);
  }
  common::tell(common::plot("surfaces.svg", maps), "surfaces.svg", "the paths");
}
