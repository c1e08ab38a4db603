#include "wengert/optim/newton.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim::detail {

NewtonStep newton_step(Objective& f, Tensor& x, const NewtonCgOptions& o, Where where) {
  const Check check{"newton_cg", where};
  check.above_0("forcing", o.forcing), check.fraction("forcing", o.forcing), check.fraction("sufficient", o.sufficient);
  check.at_least("max_cg_iter", 0, o.max_cg_iter);
  Tensor g;
  NewtonStep done{f.value(x, g), 0, 0};
  const double norm = done.gradient_norm = length(g);
  if (norm == 0) return done;

  // H p = -g, with the residual r = H p + g.
  const double enough = std::min(o.forcing, std::sqrt(norm)) * norm;
  const std::int64_t most = o.max_cg_iter ? o.max_cg_iter : x.numel();
  Tensor p = zeros(x.shape(), x.dtype()), r = g, d = -g;
  double rr = norm * norm;
  for (std::int64_t n = 0; n < most && std::sqrt(rr) > enough; ++n) {
    const Tensor hd = f.curvature(x, d);
    const double curvature = inner(d, hd);
    ++done.products;
    if (!(curvature > 0)) {
      if (n == 0) p = d;
      break;
    }
    const double alpha = rr / curvature;
    p = p + alpha * d, r = r + alpha * hd;
    const double before = std::exchange(rr, inner(r, r));
    d = (rr / before) * d - r;
  }

  // Near the minimum values differ by rounding only, and the full step is accepted.
  const double slope = inner(g, p), rounding = 1e-14 * std::abs(done.value);
  double t = 1;
  for (int n = 0; n < 60; ++n, t /= 2)
    if (f.value(x + t * p) <= done.value + o.sufficient * t * slope + rounding) return x = x + t * p, done;
  return done;
}

}  // namespace wengert::optim::detail
