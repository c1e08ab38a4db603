#include "wengert/autodiff/kernels/softmax.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/tape/rule.h"

#include <limits>

namespace wengert {

using detail::Access;
using detail::axes_of;
using detail::axis_of;
using detail::CalledBy;
using detail::joined;
using detail::needs_float;
using detail::reduced_shape;

namespace {

const kernels::SoftmaxLoops& loops(DType dtype) {
  static const kernels::SoftmaxLoops* both =
      kernels::dispatch([]<class Arch>() { return kernels::softmax_loops<Arch>(); });
  return both[dtype == float64];
}

constexpr std::int64_t grain = kernels::grain_elements / 4;  // an exponential costs more than an addition

void run(kernels::RowLoop loop, std::int64_t rows, std::int64_t n, std::initializer_list<const Tensor*> in,
         std::initializer_list<const Tensor*> out) {
  const void* from[8];
  void* to[2];
  int i = 0, o = 0;
  for (const Tensor* x : in) from[i++] = Access::body(*x)->data();
  for (const Tensor* y : out) to[o++] = Access::body(*y)->data();
  kernels::parallel_for(rows, std::max<std::int64_t>(1, grain / std::max<std::int64_t>(1, n)),
                        [&](std::int64_t begin, std::int64_t end) { loop(begin, end, n, from, to); });
}

// Row-major, with the axis last.
Tensor rows_along(const Tensor& x, int axis) {
  return contiguous(axis == x.rank() - 1 ? x.detach() : transpose(x.detach(), axis, -1));
}

// A loop from rows to rows of the same length, whichever axis they lie along.
Tensor map_rows(kernels::RowLoop loop, int axis, const Tensor& x0, const Tensor& x1 = {}) {
  const Tensor a = rows_along(x0, axis), b = x1.defined() ? rows_along(x1, axis) : a;
  Tensor y = empty(a.shape(), a.dtype());
  const std::int64_t n = a.shape().back();
  if (y.numel()) run(loop, y.numel() / n, n, {&a, &b}, {&y});
  return axis == x0.rank() - 1 ? y : contiguous(transpose(y, axis, -1));
}

int checked_axis(std::string_view op, Operand x, int axis) {
  needs_float(op, x);
  return axis_of(op, x, axis);
}

bool plain(const Tensor& x, const Tensor& y) { return !x.tracked() && !y.tracked(); }

}  // namespace

// y = exp(x) / sum(exp(x)).  dy = y (dx - sum(y dx)): the Jacobian is symmetric.
struct Softmax {
  static constexpr std::string_view name = "softmax";
  int axis = -1;
  Saved y;
  void describe(detail::Attributes& a) const { a.add("axis", axis); }
  Tensor forward(const Tensor& x) {
    Tensor r = map_rows(loops(x.dtype()).softmax, axis, x);
    y = r;
    return r;
  }
  static double flops(const Tensor& r, const Tensor&) { return 5.0 * static_cast<double>(r.numel()); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor& p = y;
    if (plain(p, y_bar)) return map_rows(loops(p.dtype()).softmax_vjp, axis, p, y_bar);
    return p * (y_bar - sum(y_bar * p, {.axes = {axis}, .keep_dims = true}));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return vjp(arg<0>(), x_dot); }
};
Tensor softmax(Operand x, int axis) { return apply(Softmax{checked_axis("softmax", x, axis), {}}, x); }

// y = x - log(sum(exp(x))).  x_bar = y_bar - exp(y) sum(y_bar).
struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";
  int axis = -1;
  Saved y;
  void describe(detail::Attributes& a) const { a.add("axis", axis); }
  Tensor forward(const Tensor& x) {
    Tensor r = map_rows(loops(x.dtype()).log_softmax, axis, x);
    y = r;
    return r;
  }
  static double flops(const Tensor& r, const Tensor&) { return 4.0 * static_cast<double>(r.numel()); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor& l = y;
    if (plain(l, y_bar)) return map_rows(loops(l.dtype()).log_softmax_vjp, axis, l, y_bar);
    return y_bar - exp(l) * sum(y_bar, {.axes = {axis}, .keep_dims = true});
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    const Tensor& l = y;
    if (plain(l, x_dot)) return map_rows(loops(l.dtype()).log_softmax_jvp, axis, l, x_dot);
    return x_dot - sum(exp(l) * x_dot, {.axes = {axis}, .keep_dims = true});
  }
};
Tensor log_softmax(Operand x, int axis) { return apply(LogSoftmax{checked_axis("log_softmax", x, axis), {}}, x); }

// y = log(sum(exp(x))).  dy = sum(softmax(x) dx). Where all of a row is -inf the weights are zero, not 0 / 0.
struct LogSumExp {
  static constexpr std::string_view name = "logsumexp";
  int axis = -1;
  bool keep_dims = false;
  Saved x, y;
  void describe(detail::Attributes& a) const { a.add("axis", axis), a.add("keep_dims", keep_dims); }

  Shape kept(const Tensor& a) const { return reduced_shape(a.shape(), 1u << axis, true); }
  Tensor forward(const Tensor& a) {
    const Tensor rows = rows_along(a, axis);
    Shape shape = rows.shape();
    shape[shape.rank() - 1] = 1;
    Tensor shift = empty(shape, a.dtype()), log_sum = empty(shape, a.dtype());
    run(loops(a.dtype()).statistics, shape.numel(), rows.shape().back(), {&rows}, {&shift, &log_sum});
    Tensor r = shift + log_sum;
    if (axis != a.rank() - 1) r = contiguous(transpose(r, axis, -1));
    r = reshape(r, reduced_shape(a.shape(), 1u << axis, keep_dims));
    x = a, y = r;
    return r;
  }
  Tensor weights() const {
    const Tensor l = reshape(y, kept(x));
    return where(equal(l.detach(), -std::numeric_limits<double>::infinity()), scalar(0, l.dtype()), exp(x - l));
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor &a = x, &l = y;
    if (!plain(a, l) || y_bar.tracked()) return scale(reshape(y_bar, kept(a)), weights());
    const Tensor rows = rows_along(a, axis), ls = rows_along(reshape(l, kept(a)), axis),
                 bars = rows_along(reshape(y_bar, kept(a)), axis);
    Tensor r = empty(rows.shape(), a.dtype());
    if (r.numel()) run(loops(a.dtype()).logsumexp_vjp, l.numel(), rows.shape().back(), {&rows, &ls, &bars}, {&r});
    return axis == a.rank() - 1 ? r : contiguous(transpose(r, axis, -1));
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    return sum(scale(x_dot, weights()), {.axes = {axis}, .keep_dims = keep_dims});
  }
};
Tensor logsumexp(Operand x, const Reduce& over) {
  if (over.axes.rank() == 1)
    return apply(LogSumExp{checked_axis("logsumexp", x, int(over.axes[0])), over.keep_dims, {}, {}}, x);
  const CalledBy by(x);
  const std::uint32_t mask = axes_of("logsumexp", x, over.axes);
  needs_float("logsumexp", x);
  const Tensor rows = joined(x, mask, by);
  return reshape(by(apply(LogSumExp{rows.rank() - 1, false, {}, {}}, by(rows))),
                 reduced_shape(x->shape(), mask, over.keep_dims));
}

// loss = mean(log(sum(exp(x_i))) - x_i[label_i]).  x_bar = (softmax(x) - one_hot(labels)) loss_bar / n, in one pass
// from x and two numbers a row; those are constants there, so a derivative of the derivative starts from x again.
struct CrossEntropy {
  static constexpr std::string_view name = "cross_entropy";
  Saved x, labels;
  SavedConstant shift, log_sum;

  template <class T>
  static double total(const Tensor& a, const Tensor& label, const Tensor& shift, const Tensor& log_sum) {
    const T *v = detail::data<T>(a), *s = detail::data<T>(shift), *l = detail::data<T>(log_sum);
    const std::int64_t *at = detail::data<std::int64_t>(label), n = a.shape()[0], k = a.shape()[1];
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += double(l[i]) - (double(v[i * k + at[i]]) - double(s[i]));
    return sum;
  }
  static double flops(const Tensor&, const Tensor& a, const Tensor&) { return 4.0 * static_cast<double>(a.numel()); }
  Tensor forward(const Tensor& a, const Tensor& label) {
    x = a, labels = label;
    const Tensor rows = contiguous(a.detach()), at = contiguous(label.detach());
    const std::int64_t n = a.shape()[0];
    Tensor s = empty({n}, a.dtype()), l = empty({n}, a.dtype());
    run(loops(a.dtype()).statistics, n, a.shape()[1], {&rows}, {&s, &l});
    shift = s, log_sum = l;
    return scalar((a.dtype() == float32 ? total<float> : total<double>)(rows, at, s, l) / double(n), a.dtype());
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor &a = x, &at = labels;
    const std::int64_t n = a.shape()[0], k = a.shape()[1];
    const Tensor factor = y_bar / double(n);
    if (!plain(a, y_bar)) return (softmax(a) - detail::unpick(ones({n}, a.dtype()), at, k)) * factor;
    const Tensor rows = contiguous(a), at_rows = contiguous(at);
    Tensor r = empty({n, k}, a.dtype());
    run(loops(a.dtype()).cross_entropy_vjp, n, k, {&rows, &shift.get(), &log_sum.get(), &at_rows, &factor}, {&r});
    return r;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    return mean(sum(softmax(x) * x_dot, {1}) - detail::pick(x_dot, labels));
  }
};

Tensor detail::cross_entropy(Operand logits, Operand labels) {
  const Shape& s = logits->shape();
  if (!is_float(logits->dtype())) [[unlikely]]
    fail<TypeError>(logits.where(), "cross_entropy: logits must be float32 or float64, got {}", logits->dtype());
  if (labels->dtype() != int64) [[unlikely]]
    fail<TypeError>(logits.where(), "cross_entropy: labels must be int64 class numbers, got {}; convert with to()",
                    labels->dtype());
  if (s.rank() != 2 || !(labels->shape() == Shape{s[0]})) [[unlikely]]
    fail<ShapeError>(logits.where(), "cross_entropy: needs logits [n, k] and labels [n], got {} and {}", s,
                     labels->shape());
  if (s[0] == 0) [[unlikely]]
    fail<ShapeError>(logits.where(), "cross_entropy: needs at least one row, got logits {}", s);
  const std::int64_t* label = detail::data<std::int64_t>(labels);
  for (std::int64_t i = 0; i < s[0]; ++i)
    if (const std::int64_t c = label[i * labels->strides()[0]]; c < 0 || c >= s[1]) [[unlikely]]
      fail<ValueError>(logits.where(), "cross_entropy: label {} in row {} is not among {} classes", c, i, s[1]);
  return apply(CrossEntropy{}, logits, labels);
}

}  // namespace wengert
