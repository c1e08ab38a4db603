// Operators that walk along an axis and carry something from entry to entry.

#include "wengert/autodiff/kernels/scan.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <cmath>

namespace wengert {

using detail::Access;
using detail::Around;
using detail::axis_of;
using detail::CalledBy;
using detail::needs_float;

namespace {

kernels::Walked along(const Shape& shape, int axis, bool reverse) {
  const Around a(shape, axis);
  return {a.outer, a.n, a.inner, reverse};
}

// Every entry moved to the next place along the axis (to the one before, when `back`); `fill` comes in.
Tensor moved(const Tensor& x, int axis, bool back, double fill = 0) {
  const std::int64_t n = x.size(axis);
  if (n == 0) return x;
  if (fill == 0) return detail::unslice(narrow(x, axis, back ? 1 : 0, n - 1), x.shape(), axis, back ? 0 : 1, 1);
  Shape one = x.shape();
  one[axis] = 1;
  const Tensor rest = narrow(x, axis, back ? 1 : 0, n - 1), edge = full(one, fill, x.dtype());
  return back ? cat({rest, edge}, axis) : cat({edge, rest}, axis);
}

}  // namespace

// y_j = x_1 + ... + x_j; its transpose sums from the other end.
struct CumSum {
  static constexpr std::string_view name = "cumsum";
  int axis = 0;
  bool reverse = false;
  void describe(detail::Attributes& a) const { a.add("axis", axis), a.add("reverse", reverse); }
  Tensor forward(const Tensor& x) {
    const Tensor from = contiguous(x.detach());
    Tensor y = empty(x.shape(), x.dtype());
    kernels::running_sum(x.dtype(), along(x.shape(), axis, reverse), Access::body(from)->data(),
                         Access::body(y)->data());
    return y;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return cumsum(y_bar, axis, {.reverse = !reverse}); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return cumsum(x_dot, axis, {.reverse = reverse}); }
};
Tensor cumsum(Operand x, int axis, const ScanOptions& options) {
  if (x->dtype() == boolean) return cumsum(Operand(to(x, int64), x.where()), axis, options);
  return apply(CumSum{axis_of("cumsum", x, axis), options.reverse}, x);
}

// s_j = a_j s_(j-1) + b_j.  With t_j = a_(j+1) t_(j+1) + s_bar_j, a recurrence from the other end: b_bar = t, a_bar_j =
// t_j s_(j-1).
struct LinearRecurrence {
  static constexpr std::string_view name = "linear_recurrence";
  int axis = 0;
  bool reverse = false;
  Saved a, s;
  Tensor forward(const Tensor& factor, const Tensor& b) {
    const Tensor f = contiguous(factor.detach()), from = contiguous(b.detach());
    Tensor y = empty(b.shape(), b.dtype());
    kernels::recurrence(b.dtype(), along(b.shape(), axis, reverse), Access::body(f)->data(), Access::body(from)->data(),
                        Access::body(y)->data());
    a = factor, s = y;
    return y;
  }
  Tensor back(const Tensor& s_bar) const {
    return linear_recurrence(moved(a, axis, !reverse), s_bar, axis, {.reverse = !reverse});
  }
  Tensor vjp(arg<0>, const Tensor& s_bar) const { return back(s_bar) * moved(s, axis, reverse); }
  Tensor vjp(arg<1>, const Tensor& s_bar) const { return back(s_bar); }
  Tensor jvp(arg<0>, const Tensor& a_dot) const {
    return linear_recurrence(a, a_dot * moved(s, axis, reverse), axis, {.reverse = reverse});
  }
  Tensor jvp(arg<1>, const Tensor& b_dot) const { return linear_recurrence(a, b_dot, axis, {.reverse = reverse}); }
};
Tensor linear_recurrence(Operand a, Operand b, int axis, const ScanOptions& options) {
  needs_float("linear_recurrence", a);
  axis = axis_of("linear_recurrence", a, axis);
  if (!(a->shape() == b->shape()))
    fail<ShapeError>(a.where(), "linear_recurrence: shapes differ: {} and {}", a->shape(), b->shape());
  if (a->dtype() != b->dtype())
    fail<TypeError>(a.where(), "linear_recurrence: dtypes differ: {} and {}; convert one with to()", a->dtype(),
                    b->dtype());
  return apply(LinearRecurrence{axis, options.reverse, {}, {}}, a, b);
}

// y_j = x_1 ... x_j = x_j y_(j-1), which is a recurrence: x_bar_j = y_(j-1) t_j with t_j = x_(j+1) t_(j+1) + y_bar_j.
// Nothing is divided, so zeros are exact.
struct CumProd {
  static constexpr std::string_view name = "cumprod";
  int axis = 0;
  bool reverse = false;
  Saved x, y;
  Tensor forward(const Tensor& a) {
    const Tensor from = contiguous(a.detach());
    Tensor r = empty(a.shape(), a.dtype());
    kernels::running_product(a.dtype(), along(a.shape(), axis, reverse), Access::body(from)->data(),
                             Access::body(r)->data());
    x = a, y = r;
    return r;
  }
  Tensor before() const { return moved(y, axis, reverse, 1); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    return before() * linear_recurrence(moved(x, axis, !reverse), y_bar, axis, {.reverse = !reverse});
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    return linear_recurrence(x, before() * x_dot, axis, {.reverse = reverse});
  }
};
Tensor cumprod(Operand x, int axis, const ScanOptions& options) {
  if (x->dtype() == boolean) fail<TypeError>(x.where(), "cumprod: not defined for bool; convert with to(x, int64)");
  return apply(CumProd{axis_of("cumprod", x, axis), options.reverse, {}, {}}, x);
}

// y_j = log(exp(x_1) + ... + exp(x_j)).  dy_j = exp(y_(j-1) - y_j) dy_(j-1) + exp(x_j - y_j) dx_j: a recurrence whose
// factors are at most one, so nothing overflows.
struct LogCumSumExp {
  static constexpr std::string_view name = "logcumsumexp";
  int axis = 0;
  Saved x, y;
  Tensor forward(const Tensor& a) {
    const Tensor from = contiguous(a.detach());
    Tensor r = empty(a.shape(), a.dtype());
    kernels::running_logsumexp(a.dtype(), along(a.shape(), axis, false), Access::body(from)->data(),
                               Access::body(r)->data());
    x = a, y = r;
    return r;
  }
  // exp(a - y), and 0 where y is -inf: there a is, too.
  Tensor ratio(const Tensor& a) const {
    const Tensor &total = y, nothing = scalar(0, total.dtype());
    const Tensor none = equal(total.detach(), -HUGE_VAL);
    return where(none, nothing, exp(a - where(none, nothing, total)));
  }
  Tensor factors() const { return ratio(moved(y, axis, false)); }  // the first is never used
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    return ratio(x) * linear_recurrence(moved(factors(), axis, true), y_bar, axis, {.reverse = true});
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return linear_recurrence(factors(), ratio(x) * x_dot, axis); }
};
Tensor logcumsumexp(Operand x, int axis) {
  needs_float("logcumsumexp", x);
  return apply(LogCumSumExp{axis_of("logcumsumexp", x, axis), {}, {}}, x);
}

namespace {

Indexed running_extreme(std::string_view op, bool largest, Operand x, int axis) {
  axis = axis_of(op, x, axis);
  if (x->dtype() == boolean) fail<TypeError>(x.where(), "{}: not defined for bool; convert with to(x, int64)", op);
  const Tensor from = contiguous(x->detach());
  Tensor index = empty(x->shape(), int64);
  kernels::running_extreme(x->dtype(), along(x->shape(), axis, false), largest, Access::body(from)->data(),
                           detail::fresh<std::int64_t>(index));
  return {gather(x, axis, index), index};
}

}  // namespace

Indexed cummax(Operand x, int axis) { return running_extreme("cummax", true, x, axis); }
Indexed cummin(Operand x, int axis) { return running_extreme("cummin", false, x, axis); }

Tensor diff(Operand x, int axis, int n) {
  const CalledBy by(x);
  axis = axis_of("diff", x, axis);
  if (n < 0) fail<ValueError>(x.where(), "diff: the order must be >= 0, got {}", n);
  Tensor y = x;
  for (; n > 0 && y.size(axis) > 0; --n) {
    const std::int64_t m = y.size(axis);
    y = sub(by(narrow(by(y), axis, 1, m - 1)), by(narrow(by(y), axis, 0, m - 1)));
  }
  return y;
}

}  // namespace wengert
