#pragma once

#include "wengert/optim/gradients.h"

// Clipping of gradients: of a model of gradients, or of the gradients that backward() left in the Params of a model and
// that no step has used yet.
//
//   double norm = optim::clip_norm(grads, 1.0);

namespace wengert::optim {

/// What to do when the norm is infinite or NaN.
enum class NonFiniteNorm {
  propagate,  ///< as PyTorch: an infinite norm makes gradients 0 (NaN where infinite), a NaN makes all of them NaN
  error,      ///< ValueError
  skip,       ///< gradients stay, those in Params are dropped; the caller makes no step
  zero,       ///< gradients become 0: a step uses the optimizer state only
};

struct ClipOptions {
  /// p of the norm (sum |g|^p)^(1/p); infinity: the maximum of |g|.
  double norm_type = 2;
  NonFiniteNorm nonfinite = NonFiniteNorm::propagate;
};

namespace detail {

/// The norm of several tensors together. If the sum of the first pass leaves the range of double, a second pass divides
/// by the largest element.
class WENGERT_API GradNorm {
 public:
  GradNorm(double max_norm, const ClipOptions&, Where);
  void add(const Tensor&);
  /// After a pass: true if another pass is needed.
  bool again();
  double value() const { return norm_; }
  bool must_change() const;
  /// The clipped gradient; undefined if it is to be dropped.
  Tensor changed(const Tensor&) const;

 private:
  double max_norm_, p_;
  NonFiniteNorm nonfinite_;
  Where where_;
  int pass_ = 0;
  double sum_ = 0, largest_ = 0, scale_ = 1, norm_ = 0;
};
WENGERT_API void check_limit(const char* who, double limit, Where);
WENGERT_API Tensor limited(const Tensor&, double limit);
WENGERT_API Tensor adapted(const Tensor& g, const Tensor& w, double clip, double eps);

}  // namespace detail

/// Scales all gradients by one factor, min(1, max_norm / (norm + 1e-6)), and returns the norm of all gradients together
/// before scaling. The sum is in double, in an order that depends on shapes only, and does not overflow. Pascanu,
/// Mikolov & Bengio 2013, Algorithm 1.
template <class X>
double clip_norm(X& grads, double max_norm, ClipOptions options = {}, Where where = Where::current()) {
  detail::GradNorm norm(max_norm, options, where);
  do detail::for_each_gradient(grads, [&](Tensor& g) { norm.add(g); });
  while (norm.again());
  if (norm.must_change()) detail::change_gradients(grads, [&](const Tensor& g) { return norm.changed(g); });
  return norm.value();
}

/// clip_norm() with statistics.
///   optim::ClipNorm clip{1.0, {.nonfinite = optim::NonFiniteNorm::skip}};
///   if (clip(grads)) adam.step(model, grads);
class ClipNorm : public ClipOptions {
 public:
  explicit ClipNorm(double max_norm, ClipOptions options = {}) : ClipOptions(options), max_norm(max_norm) {}
  /// False if the norm was non-finite and the step is to be skipped.
  template <class X>
  bool operator()(X& grads, Where where = Where::current()) {
    norm = clip_norm(grads, max_norm, *this, where);
    return count();
  }

  double max_norm;
  double norm = 0;                                ///< of the last gradients, before clipping
  std::int64_t clipped = 0, nonfinite_norms = 0;  ///< counts

 private:
  WENGERT_API bool count();
};

/// Clips the norm of each gradient separately; returns the largest of the norms before clipping.
template <class X>
double clip_each(X& grads, double max_norm, ClipOptions options = {}, Where where = Where::current()) {
  double largest = 0;
  detail::check_limit("clip_each", max_norm, where);
  detail::change_gradients(grads, [&](const Tensor& g) {
    detail::GradNorm norm(max_norm, options, where);
    do norm.add(g);
    while (norm.again());
    if (!(norm.value() <= largest)) largest = norm.value();
    return norm.must_change() ? norm.changed(g) : g;
  });
  return largest;
}

/// Clamps every element of the gradients to [-limit, limit]. NaN stays NaN.
template <class X>
void clip_value(X& grads, double limit, Where where = Where::current()) {
  detail::check_limit("clip_value", limit, where);
  detail::change_gradients(grads, [&](const Tensor& g) { return detail::limited(g, limit); });
}

struct AdaptiveClipOptions {
  double clip = 1e-2;
  double eps = 1e-3;  ///< lower bound of the norm of weights
};
/// Limits the norm of every row of a gradient (of the whole gradient if it has one axis) to clip max(norm of the row of
/// w, eps). Brock et al. 2021, eq. 3.
template <class Model>
void clip_adaptive(Model& grads, const Model& model, AdaptiveClipOptions options = {}, Where where = Where::current()) {
  detail::check_limit("clip_adaptive", options.clip, where), detail::check_limit("clip_adaptive", options.eps, where);
  for_each_trained(
      model, grads,
      [&](const Tensor& w, Tensor& g) {
        if (g.defined()) g = detail::adapted(g, w.detach(), options.clip, options.eps);
      },
      where);
}
/// Adaptive clipping of the gradients that backward() left in the Params.
template <class Model>
void clip_adaptive(Model& model, AdaptiveClipOptions options = {}, Where where = Where::current()) {
  detail::check_limit("clip_adaptive", options.clip, where), detail::check_limit("clip_adaptive", options.eps, where);
  detail::visit_gradients(model, [&](Tensor& w, Tensor& g, bool leaf) {
    if (leaf) detail::replace_gradient(w, detail::adapted(g, w.detach(), options.clip, options.eps));
  });
}

}  // namespace wengert::optim
