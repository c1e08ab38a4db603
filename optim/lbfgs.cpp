#include "wengert/optim/lbfgs.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim::detail {

namespace {

void check(const LbfgsOptions& o, Where where) {
  const Check c{"lbfgs", where};
  c.above_0("lr", o.lr), c.at_least_0("tolerance_grad", o.tolerance_grad);
  c.at_least_0("tolerance_change", o.tolerance_change);
  c.at_least("max_iter", 1, o.max_iter), c.at_least("history_size", 1, o.history_size);
  c.at_least("max_eval", 0, o.max_eval);
}

Tensor row(const Tensor& x, std::int64_t i) { return select(x, 0, i % x.size(0)); }

}  // namespace

LbfgsState::LbfgsState(const LbfgsOptions& o, std::int64_t n, DType dtype, Where where) {
  check(o, where);
  steps = zeros({o.history_size, n}, dtype), changes = zeros({o.history_size, n}, dtype);
  direction = zeros({n}, dtype), last_gradient = zeros({n}, dtype);
}

// Stores the pair of the last step unless its curvature is too small to be reliable.
void LbfgsState::remember(const Tensor& g) {
  const Tensor y = g - last_gradient, s = direction * length;
  const double ys = inner(y, s);
  if (!(ys > 1e-10)) return;
  row(steps, pairs).assign(s), row(changes, pairs).assign(y);
  pairs = pairs + 1;
  scale = ys / inner(y, y);
}

// -H g by the two-loop recursion, from the latest pair to the oldest and back.
Tensor LbfgsState::quasi_newton(const Tensor& g) const {
  const std::int64_t end = pairs, begin = std::max<std::int64_t>(0, end - steps.size(0));
  std::vector<double> rho, alpha;
  Tensor q = -g;
  for (std::int64_t i = end - 1; i >= begin; --i) {
    const Tensor s = row(steps, i), y = row(changes, i);
    rho.push_back(1 / inner(y, s));
    alpha.push_back(inner(s, q) * rho.back());
    q = q - alpha.back() * y;
  }
  q = q * double(scale);
  for (std::int64_t i = begin; i < end; ++i) {
    const auto k = static_cast<std::size_t>(end - 1 - i);
    const double beta = inner(row(changes, i), q) * rho[k];
    q = q + (alpha[k] - beta) * row(steps, i);
  }
  return q;
}

double LbfgsState::step(Objective& f, Tensor& x, const LbfgsOptions& o, Where where) {
  check(o, where);
  if (x.numel() != direction.numel() || x.dtype() != direction.dtype() || o.history_size != steps.size(0))
    fail<ShapeError>(where, "lbfgs: the model, or history_size, changed since the optimizer was made; make it anew");
  Tensor g;
  double value = f.value(x, g);
  const double before = value;
  const std::int64_t most = o.max_eval ? o.max_eval : o.max_iter * 5 / 4;
  std::int64_t evaluations = 1;
  gradient_norm = largest(g);
  for (std::int64_t n = 1; n <= o.max_iter && gradient_norm > o.tolerance_grad; ++n) {
    if (t > 0) remember(g);
    direction.assign(t > 0 ? quasi_newton(g) : -g);
    length = t > 0 ? o.lr : std::min(1.0, 1 / sum(abs(g)).item()) * o.lr;
    t = t + 1, last_gradient.assign(g);
    const LinePoint origin{0, value, inner(g, direction), g};
    if (origin.slope > -o.tolerance_change) break;
    const Tensor from = x;
    if (o.line_search) {
      LineFunction line(f, from, clone(direction));
      const WolfePoint p = strong_wolfe_from(line, origin, {.start = length});
      length = p.t, value = p.value, g = p.gradient, evaluations += p.evaluations;
      x = from + p.t * direction;
    } else {
      x = from + double(length) * direction;
      if (n < o.max_iter) value = f.value(x, g), ++evaluations;
    }
    gradient_norm = largest(g);
    if (evaluations >= most || largest(direction) * length <= o.tolerance_change) break;
    if (std::abs(value - origin.value) < o.tolerance_change && (o.line_search || n < o.max_iter)) break;
  }
  return before;
}

}  // namespace wengert::optim::detail
