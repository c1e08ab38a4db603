#include "wengert/optim/least_squares.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim::detail {

double LeastSquaresState::step(Residuals& f, Tensor& x, const LeastSquaresOptions& o, Where where) {
  Check{"least_squares", where}.at_least_0("damping", o.damping);
  const Tensor r = f.value(x), j = f.slopes(x), g = matmul(transpose(j), r), a = matmul(transpose(j), j);
  const double before = inner(r, r) / 2;
  gradient_norm = length(g);
  if (gradient_norm == 0) return before;
  if (o.damping == 0) return x = x - solve(a, g), before;

  const Tensor ones_on_it = ones({x.numel()}, x.dtype());
  // Keeps the matrix regular when residuals do not depend on a parameter or are fewer than parameters.
  const double tiny = x.dtype() == float32 ? 1e-6 : 1e-14;
  const Tensor d = o.scaled ? maximum(diagonal(a), tiny * largest(diagonal(a)) * ones_on_it) : ones_on_it;
  for (int tries = 0; tries < 60; ++tries) {
    mu = std::max<double>(mu, tiny);
    const Tensor step = -solve(a + diag(double(mu) * d), g), to = x + step, left = f.value(to);
    const double promised = inner(step, double(mu) * d * step - g) / 2, got = before - inner(left, left) / 2;
    const double ratio = got / promised;
    if (ratio > 0 || promised <= 1e-14 * before) {  // where only rounding is left, the step is accepted
      mu = mu * std::max(1.0 / 3, 1 - std::pow(2 * std::min(std::max(ratio, 0.0), 1.0) - 1, 3));
      growth = 2;
      return x = to, before;
    }
    mu = mu * growth, growth = growth * 2;
  }
  return before;
}

}  // namespace wengert::optim::detail
