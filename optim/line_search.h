#pragma once

#include "wengert/optim/flat.h"

// Line searches: the length t of a step along a direction d, from phi(t) = f(w + t d).
//
//   optim::Line line{f, model};                    // d = -gradient; or Line{f, model, direction}
//   const auto found = optim::backtracking(line);
//   line.go(model, found.t);

namespace wengert::optim {

/// A point on a line, with value phi(t) and slope phi'(t).
struct LinePoint {
  double t = 0, value = 0, slope = 0;
  Tensor gradient = {};  ///< of f, flattened
};

struct LineResult {
  double t, value;
  std::int64_t evaluations;
  bool found;  ///< true if the conditions of the search hold at t
};

namespace detail {
class WENGERT_API LineFunction {
 public:
  LineFunction(Objective& f, Tensor x, Tensor d) : f_(f), x_(std::move(x)), d_(std::move(d)) {}
  double value(double t);
  LinePoint at(double t);
  /// phi''(t).
  double curvature(double t);
  const Tensor& direction() const { return d_; }
  Tensor point(double t) const;

 private:
  Objective& f_;
  Tensor x_, d_;
};
template <class F, class Model>
struct HeldObjective {
  OnModel<F, Model> objective;
};
}  // namespace detail

/// f along a direction, which has the type of the model, or along the negative gradient. Copies the model; f must
/// outlive the line.
template <class F, class Model>
class Line : private detail::HeldObjective<F, Model>, public detail::LineFunction {
  using Held = detail::HeldObjective<F, Model>;

 public:
  Line(F& f, const Model& model, const Model& direction)
      : Held{{f, model}}, LineFunction(Held::objective, flatten(model), flatten(direction)) {}
  Line(F& f, const Model& model)
      : Held{{f, model}}, LineFunction(Held::objective, flatten(model), -flatten(wengert::grad(f, model))) {}

  void go(Model& model, double t) const { fill(model, point(t)); }
};

struct BacktrackingOptions {
  double start = 1;          ///< the first t
  double shrink = 0.5;       ///< in (0, 1)
  double sufficient = 1e-4;  ///< delta, in (0, 1): requires phi(t) <= phi(0) + delta t phi'(0)
  std::int64_t max_eval = 60;
};
/// The first of start, shrink start, shrink^2 start, ... with sufficient decrease. Armijo 1966; along -g that is
/// f(w - t g) <= f(w) - delta t |g|^2.  ValueError unless phi'(0) <= 0.
WENGERT_API LineResult backtracking(detail::LineFunction&, BacktrackingOptions = {}, Where = Where::current());

/// argmin phi for a quadratic f: t = -phi'(0) / phi''(0), by one product with the Hessian.  ValueError when phi'' <= 0.
WENGERT_API LineResult exact_quadratic(detail::LineFunction&, Where = Where::current());

struct ExactOptions {
  double start = 1;         ///< first step of the bracketing; steps grow by the golden ratio
  double tolerance = 1e-8;  ///< relative tolerance of t; values differ by its square
  std::int64_t max_eval = 200;
};
/// A local minimum of phi on t > 0: a bracket around it, then golden sections with parabolas (Brent 1973).
WENGERT_API LineResult exact(detail::LineFunction&, ExactOptions = {}, Where = Where::current());

struct StrongWolfeOptions {
  double start = 1;
  double sufficient = 1e-4;  ///< c1: phi(t) <= phi(0) + c1 t phi'(0)
  double curvature = 0.9;    ///< c2: |phi'(t)| <= c2 |phi'(0)|
  std::int64_t max_eval = 25;
  double tolerance = 1e-9;  ///< smallest length of a bracket times the maximum of |d|
};
/// Nocedal & Wright 2006, Algorithms 3.5 and 3.6, with cubic interpolation, step by step as in PyTorch's LBFGS.
/// Where values differ by rounding only, slopes decide: Hager & Zhang 2005, equation 4.1.
WENGERT_API LineResult strong_wolfe(detail::LineFunction&, StrongWolfeOptions = {}, Where = Where::current());

namespace detail {
struct WolfePoint : LinePoint {
  std::int64_t evaluations = 0;
  bool found = false;
};
WENGERT_API WolfePoint strong_wolfe_from(LineFunction&, const LinePoint& origin, const StrongWolfeOptions&);
}  // namespace detail

}  // namespace wengert::optim
