// Elementwise functions made of others: their derivatives come with the parts.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"

#include <cmath>

namespace wengert {

using detail::axis_of;
using detail::CalledBy;

Tensor polygamma_of(int n, Operand x);
Tensor polygamma(int n, Operand x) {
  if (n < 0) fail<ValueError>(x.where(), "polygamma: the order must be >= 0, got {}", n);
  return polygamma_of(n, x);
}

// The slope base^x log(base) is 0 for base 0.
Tensor power_of(double base, double log_base, Operand x);
Tensor pow(double base, Operand x) { return power_of(base, base == 0 ? 0 : std::log(base), x); }

Tensor lerp(Operand x, Operand end, Operand weight) {
  const CalledBy by(x);
  return add(x, by(mul(by(weight), by(sub(by(end), x)))));
}

Tensor clamp(Operand x, Operand low, Operand high) {
  const CalledBy by(x);
  Tensor y = x;
  if (low->defined()) y = where(by(less(by(y), low)), low, by(y));
  if (high->defined()) y = where(by(greater(by(y), high)), high, by(y));
  return y;
}

Tensor softplus(Operand x, double beta, double threshold) {
  const CalledBy by(x);
  const Tensor scaled = affine(x, beta, 0), bent = affine(by(softplus(by(scaled))), 1 / beta, 0);
  return threshold < 1e300 ? where(by(greater(by(scaled), threshold)), x, by(bent)) : bent;
}

Tensor prelu(Operand x, Operand slope) {
  const CalledBy by(x);
  const std::int64_t n = slope->numel();
  if (slope->rank() > 1 || (n != 1 && (x->rank() < 2 || x->size(1) != n)))
    fail<ShapeError>(x.where(), "prelu: slope {} must have one entry, or one for each of axis 1 of {}", slope->shape(),
                     x->shape());
  Shape along;
  if (n != 1)
    for (int i = 1; i < x->rank(); ++i) along.push_back(i == 1 ? n : 1);
  return where(by(greater(x, 0)), x, by(mul(by(reshape(slope, along)), x)));
}

Tensor glu(Operand x, int axis) {
  const CalledBy by(x);
  axis = axis_of("glu", x, axis);
  const std::int64_t n = x->shape()[axis];
  if (n % 2) fail<ShapeError>(x.where(), "glu: the size of axis {} of {} must be even", axis, x->shape());
  return mul(by(narrow(x, axis, 0, n / 2)), by(sigmoid(by(narrow(x, axis, n / 2, n / 2)))));
}

}  // namespace wengert
