#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>
#include <cmath>

namespace wengert {

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

// Kept axes first, the others joined to one at the end: [kept..., n].
Tensor joined(const Tensor& x, std::uint32_t axes, const CalledBy& by) {
  Shape order, shape = reduced_shape(x.shape(), axes, false);
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < x.rank(); ++i)
      if (int(axes >> i & 1) == pass) order.push_back(i);
  shape.push_back(count_of(axes, x.shape()));
  return reshape(by(permute(by(x), order)), shape);
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
  Tensor deviation(const Tensor& a) const { return a - mean(a, axes, true); }
  Tensor forward(const Tensor& a) {
    x = a;
    return sum(square(deviation(a.detach())), axes, keep_dims) * factor;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    std::uint32_t mask = 0;
    for (auto i : axes) mask |= 1u << i;
    return deviation(x) * (reshape(y_bar, reduced_shape(x->shape(), mask, true)) * (2 * factor));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return sum(deviation(x) * x_dot, axes, keep_dims) * (2 * factor); }
};
Tensor var(Operand x, const Shape& axes, double correction, bool keep_dims) {
  needs_float("var", x);
  const std::uint32_t mask = axes_of("var", x, axes);
  if (mask == 0) {  // a scalar
    const CalledBy by(x);
    return var(by(reshape(x, {1})), {}, correction, false);
  }
  const double n = static_cast<double>(count_of(mask, x->shape()));
  const double factor = n > correction ? 1 / (n - correction) : std::nan("");
  return apply(Var{list_of(mask, x->rank()), factor, keep_dims, {}}, x);
}

namespace {

// y^power for y >= 0, with slope zero at zero.
Tensor root(const Tensor& y, double power, const CalledBy& by) {
  const Tensor zero = equal(by(y.detach()), 0), nothing = scalar(0, y.dtype());
  const Tensor safe = where(by(zero), by(scalar(1, y.dtype())), by(y));
  return where(by(zero), by(nothing), by(power == 0.5 ? sqrt(by(safe)) : pow(by(safe), power)));
}

}  // namespace

Tensor stddev(Operand x, const Shape& axes, double correction, bool keep_dims) {
  const CalledBy by(x);
  return root(var(x, axes, correction, keep_dims), 0.5, by);
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
Tensor prod(Operand x, const Shape& axes, bool keep_dims) {
  const CalledBy by(x);
  if (x->dtype() == boolean) return prod(by(to(x, int64)), axes, keep_dims);
  const std::uint32_t mask = axes_of("prod", x, axes);
  const Tensor y = apply(Prod{}, by(joined(x, mask, by)));
  return reshape(by(y), reduced_shape(x->shape(), mask, keep_dims));
}

// Every order that is not 1, 2 or infinite: (sum |x|^p)^(1/p), with slope zero where an entry or the norm is zero.
Tensor norm(Operand x, double p, const Shape& axes, bool keep_dims) {
  needs_float("norm", x);
  const CalledBy by(x);
  const Shape over = list_of(axes_of("norm", x, axes), x->rank());
  if (std::isnan(p)) fail<ValueError>(x.where(), "norm: the order must be a number, got {}", p);
  if (p == 2) return root(sum(by(square(x)), over, keep_dims), 0.5, by);
  if (p == 0) return sum(by(to(by(not_equal(by(x->detach()), 0)), x->dtype())), over, keep_dims);
  const Tensor size = abs(x);
  if (p == 1) return sum(by(size), over, keep_dims);
  if (std::isinf(p)) return p > 0 ? amax(by(size), over, keep_dims) : amin(by(size), over, keep_dims);
  return root(sum(by(root(size, p, by)), over, keep_dims), 1 / p, by);
}

Tensor logsumexp(Operand x, const Shape& axes, bool keep_dims) {
  const CalledBy by(x);
  const std::uint32_t mask = axes_of("logsumexp", x, axes);
  const Tensor y = logsumexp(by(joined(x, mask, by)), -1);
  return reshape(by(y), reduced_shape(x->shape(), mask, keep_dims));
}

}  // namespace wengert
