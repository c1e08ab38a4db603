#include "wengert/optim/clip.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/norms.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/rows.h"

#include <cmath>
#include <limits>

namespace wengert::optim {
namespace detail {

using wengert::detail::Access;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double larger(double a, double b) { return a != a || b <= a ? a : b; }  // NaN if one of them is NaN

// f(g) for a function with f(0) = 0, by rows if g is row-sparse.
template <class F>
Tensor changed_rows(const Tensor& g, F&& f) {
  const auto* rows = wengert::detail::rows_of(g);
  if (!rows) return f(g);
  Shape shape = g.shape();
  shape[0] = rows->count();
  return wengert::detail::unselect(reshape(f(rows->values()), shape), g.shape(), 0,
                                   from(rows->index(), {rows->count()}));
}

}  // namespace

GradNorm::GradNorm(double max_norm, const ClipOptions& options, Where where)
    : max_norm_(max_norm), p_(options.norm_type), nonfinite_(options.nonfinite), where_(where) {
  if (!(max_norm >= 0)) fail<ValueError>(where, "clip_norm: max_norm must be >= 0, got {}", max_norm);
  if (!(p_ > 0)) fail<ValueError>(where, "clip_norm: norm_type must be > 0, got {}", p_);
}

// The first pass sums powers. If the sum leaves the range of double, a second pass finds the largest element, and a
// third pass sums powers divided by it.
void GradNorm::add(const Tensor& g) {
  if (!is_float(g.dtype())) return;
  const auto* rows = wengert::detail::rows_of(g);
  const Tensor x = contiguous(rows ? rows->values() : g.detach());
  const double p = pass_ == 1 ? infinity : p_;
  const double s = kernels::sum_of_powers(x.dtype(), x.numel(), Access::body(x)->data(), p, scale_);
  sum_ = p == infinity ? larger(sum_, s) : sum_ + s;
}

bool GradNorm::again() {
  const double sum = std::exchange(sum_, 0);
  if (pass_ == 1) {
    largest_ = sum;
    if (largest_ == 0 || !std::isfinite(largest_)) return norm_ = largest_, pass_ = 3, again();
    scale_ = largest_, pass_ = 2;
    return true;
  }
  if (pass_ == 0) {
    const bool safe = p_ == infinity || (sum > 1e-200 && sum < infinity) || sum != sum;
    if (!safe) return pass_ = 1, true;
    norm_ = p_ == infinity ? sum : p_ == 2 ? std::sqrt(sum) : std::pow(sum, 1 / p_);
  } else if (pass_ == 2) {
    norm_ = scale_ * std::pow(sum, 1 / p_);
  }
  if (nonfinite_ == NonFiniteNorm::error && !std::isfinite(norm_))
    fail<ValueError>(where_, "clip_norm: the norm of the gradients is {}", norm_);
  return false;
}

bool GradNorm::must_change() const { return !(max_norm_ / (norm_ + 1e-6) >= 1); }

Tensor GradNorm::changed(const Tensor& g) const {
  if (!is_float(g.dtype())) return g;
  if (!std::isfinite(norm_)) {
    if (nonfinite_ == NonFiniteNorm::zero) return zeros(g.shape(), g.dtype());
    if (nonfinite_ == NonFiniteNorm::skip) return Tensor();
  }
  const double factor = max_norm_ / (norm_ + 1e-6);
  if (std::isnan(factor)) return g * factor;  // zeros become NaN, too
  return changed_rows(g, [&](const Tensor& x) { return x * factor; });
}

void check_limit(const char* who, double limit, Where where) {
  if (!(limit >= 0)) fail<ValueError>(where, "{}: the limit must be >= 0, got {}", who, limit);
}

Tensor limited(const Tensor& g, double limit) {
  if (!is_float(g.dtype())) return g;
  return changed_rows(g, [&](const Tensor& x) { return clamp(x, -limit, limit); });
}

namespace {

// The norm of every row; the largest element is divided out against overflow.
Tensor row_norms(const Tensor& x) {
  const Tensor largest = amax(abs(x), {.axes = {1}, .keep_dims = true}),
               scale = where(largest > 0.0, largest, ones({}, x.dtype()));
  return scale * sqrt(sum(square(x / scale), {.axes = {1}, .keep_dims = true}));
}

}  // namespace

Tensor adapted(const Tensor& g, const Tensor& w, double clip, double eps) {
  if (!is_float(g.dtype()) || g.numel() == 0) return g;
  const std::int64_t rows = g.rank() > 1 ? g.size(0) : 1;
  const Tensor x = reshape(g, {rows, -1});
  const Tensor norm = row_norms(x), limit = clip * maximum(row_norms(reshape(w, {rows, -1})), full({}, eps, w.dtype()));
  const Tensor factor = where(norm > limit, limit / norm, ones({}, g.dtype()));
  return reshape(x * factor, g.shape());
}

}  // namespace detail

bool ClipNorm::count() {
  const bool finite = std::isfinite(norm);
  clipped += finite && norm > max_norm, nonfinite_norms += !finite;
  return finite || nonfinite != NonFiniteNorm::skip;
}

}  // namespace wengert::optim
