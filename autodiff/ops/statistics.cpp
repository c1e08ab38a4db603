#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>
#include <cmath>

namespace wengert {

using detail::axes_of;
using detail::CalledBy;
using detail::joined;
using detail::needs_float;
using detail::product_of_others;
using detail::reduced_shape;

namespace {

Shape list_of(std::uint32_t axes, int rank) {
  Shape r;
  for (int i = 0; i < rank; ++i)
    if (axes >> i & 1) r.push_back(i);
  return r;
}

std::int64_t count_of(std::uint32_t axes, const Shape& shape) {
  std::int64_t n = 1;
  for (int i = 0; i < shape.rank(); ++i)
    if (axes >> i & 1) n *= shape[i];
  return n;
}

}  // namespace

// sum((x - mean)^2) / (n - correction), in two passes: the one-pass form loses all digits when |mean| >> spread.
// dx -> 2 / (n - correction) sum((x - mean) dx): the derivative of the mean cancels.
struct Var {
  static constexpr std::string_view name = "var";
  Shape axes;
  double factor = 1;  // 1 / (n - correction)
  bool keep_dims = false;
  void describe(detail::Attributes& a) const {
    a.add("axes", axes), a.add("factor", factor), a.add("keep_dims", keep_dims);
  }
  Saved x;
  Tensor deviation(const Tensor& a) const { return a - mean(a, {.axes = axes, .keep_dims = true}); }
  Tensor forward(const Tensor& a) {
    x = a;
    return sum(square(deviation(a.detach())), {.axes = axes, .keep_dims = keep_dims}) * factor;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    std::uint32_t mask = 0;
    for (auto i : axes) mask |= 1u << i;
    return deviation(x) * (reshape(y_bar, reduced_shape(x->shape(), mask, true)) * (2 * factor));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    return sum(deviation(x) * x_dot, {.axes = axes, .keep_dims = keep_dims}) * (2 * factor);
  }
};
Tensor var(Operand x, const VarOptions& options) {
  needs_float("var", x);
  const std::uint32_t mask = axes_of("var", x, options.axes);
  if (mask == 0) {  // a scalar
    const CalledBy by(x);
    return var(by(reshape(x, {1})), {.correction = options.correction});
  }
  const double n = static_cast<double>(count_of(mask, x->shape()));
  const double factor = n > options.correction ? 1 / (n - options.correction) : std::nan("");
  return apply(Var{list_of(mask, x->rank()), factor, options.keep_dims, {}}, x);
}

namespace {

// y^power for y >= 0, with slope zero at zero.
Tensor root(const Tensor& y, double power, const CalledBy& by) {
  const Tensor zero = equal(by(y.detach()), 0), nothing = scalar(0, y.dtype());
  const Tensor safe = where(by(zero), by(scalar(1, y.dtype())), by(y));
  return where(by(zero), by(nothing), by(power == 0.5 ? sqrt(by(safe)) : pow(by(safe), power)));
}

}  // namespace

Tensor stddev(Operand x, const VarOptions& options) {
  const CalledBy by(x);
  return root(var(x, options), 0.5, by);
}

// x_1 ... x_n along the last axis.  The derivative by one factor is the product of those before it and those after it:
// no division, so zeros are exact, and running products can be differentiated again.
struct Prod {
  static constexpr std::string_view name = "prod";
  Saved x;
  Tensor forward(const Tensor& a) {
    x = a;
    const std::int64_t n = a.size(-1);
    if (n == 0) return ones(reduced_shape(a.shape(), 1u << (a.rank() - 1), false), a.dtype());
    return contiguous(select(cumprod(a.detach(), -1), -1, n - 1));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return unsqueeze(y_bar, -1) * product_of_others(x); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return sum(x_dot * product_of_others(x), {-1}); }
};
Tensor prod(Operand x, const Reduce& over) {
  const CalledBy by(x);
  if (x->dtype() == boolean) return prod(by(to(x, int64)), over);
  const std::uint32_t mask = axes_of("prod", x, over.axes);
  const Tensor y = apply(Prod{}, by(joined(x, mask, by)));
  return reshape(by(y), reduced_shape(x->shape(), mask, over.keep_dims));
}

// Every order that is not 1, 2 or infinite: (sum |x|^p)^(1/p), with slope zero where an entry or the norm is zero.
Tensor norm(Operand x, const NormOptions& options) {
  needs_float("norm", x);
  const CalledBy by(x);
  const Reduce over{list_of(axes_of("norm", x, options.axes), x->rank()), options.keep_dims};
  const double p = options.p;
  if (std::isnan(p)) fail<ValueError>(x.where(), "norm: p must be a number, got {}", p);
  if (p == 2) return root(sum(by(square(x)), over), 0.5, by);
  if (p == 0) return sum(by(to(by(not_equal(by(x->detach()), 0)), x->dtype())), over);
  const Tensor size = abs(x);
  if (p == 1) return sum(by(size), over);
  if (std::isinf(p)) return p > 0 ? amax(by(size), over) : amin(by(size), over);
  return root(sum(by(root(size, p, by)), over), 1 / p, by);
}

}  // namespace wengert
