#pragma once

// Optimizers. Each is made from the model that it will train, and what it remembers has the model's type:
//
//   optim::Adam adam{model, {.lr = 1e-3}};
//   for (...) {
//     auto [loss, grads] = value_and_grad([&](const Mlp& m) { return nn::cross_entropy(m(x), y); }, model);
//     optim::clip_norm(grads, 1.0);
//     adam.step(model, grads);
//   }
//   adam.lr *= 0.1;             // options may be changed between any two steps
//   adam.m.hidden.weight        // the first moment of model.hidden.weight
//
// After backward(loss), adam.step(model) uses what backward() left in the Params: those that received nothing since the
// last step are skipped, and so is what is remembered of them. A step changes the numbers of the model in place and
// never its gradients.
//
// Errors: ValueError naming the option, when an optimizer is made and at every step; ShapeError naming the parameter
// when the model, the gradients and the memory do not fit; GraphError when no parameter has a gradient, or when one is
// computed and no leaf. After an error nothing has changed.

#include "wengert/optim/step.h"

namespace wengert::optim {

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;      ///< in [0, 1)
  double dampening = 0;     ///< of the gradient, where it joins the velocity
  double weight_decay = 0;  ///< adds weight_decay w to the gradient
  bool nesterov = false;    ///< needs momentum > 0 and dampening = 0
  bool maximize = false;    ///< steps uphill
};

/// Gradient descent with momentum, in the form of torch.optim.SGD: the velocity b holds no learning rate.
///   g += weight_decay w;  b = momentum b + (1 - dampening) g, at first b = g;  w -= lr b.
/// nesterov: w -= lr (g + momentum b), which keeps the look-ahead point in w (Sutskever et al. 2013).
/// Papers and Keras have the rate inside, b = momentum b - lr g, w += b: the same until lr changes.
template <class Model>
class Sgd : public SgdOptions {
 public:
  explicit Sgd(const Model& model, SgdOptions options = {}, Where where = Where::current()) : SgdOptions(options) {
    detail::check(*this, where);
    if (momentum != 0) velocity.emplace(zeros_like(model));
  }
  void step(Model& model, const Model& grads, Where where = Where::current()) {
    advance(model, where,
            [&](auto& update, auto&... memory) { detail::step_along(update, where, model, grads, memory...); });
  }
  void step(Model& model, Where where = Where::current()) {
    advance(model, where,
            [&](auto& update, auto&... memory) { detail::step_along_leaves(update, where, model, memory...); });
  }

  std::optional<Model> velocity;  ///< absent while momentum is 0
  std::vector<bool> moving;       ///< has this parameter's velocity begun, in the order of for_each_param

 private:
  template <class Walk>
  void advance(const Model& model, Where where, Walk&& walk) {
    detail::check(*this, where);
    if (momentum != 0 && !velocity) velocity.emplace(zeros_like(model));
    detail::SgdUpdate update(*this, moving, where);
    if (momentum != 0) walk(update, *velocity);
    else walk(update);
  }
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;  ///< in [0, 1)
  double eps = 1e-8;                  ///< outside the root
  double weight_decay = 0;            ///< adds weight_decay w to the gradient (coupled)
  bool amsgrad =
      false;  ///< divides by the largest v so far (Reddi, Kale & Kumar 2018), taken before the correction as torch does
  bool maximize = false;
};

/// Kingma & Ba 2015, Algorithm 1:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///   w -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps).
/// t counts steps of the optimizer and is the same for all parameters.
template <class Model>
class Adam : public AdamOptions {
 public:
  explicit Adam(const Model& model, AdamOptions options = {}, Where where = Where::current())
      : AdamOptions(options), m(zeros_like(model)), v(zeros_like(model)) {
    detail::check(*this, where);
    if (amsgrad) v_max.emplace(zeros_like(model));
  }
  void step(Model& model, const Model& grads, Where where = Where::current()) {
    advance(where, [&](auto& update, auto&... memory) { detail::step_along(update, where, model, grads, memory...); });
  }
  void step(Model& model, Where where = Where::current()) {
    advance(where, [&](auto& update, auto&... memory) { detail::step_along_leaves(update, where, model, memory...); });
  }

  Model m, v;                  ///< moments
  std::optional<Model> v_max;  ///< with amsgrad
  std::int64_t t = 0;          ///< steps made

 private:
  template <class Walk>
  void advance(Where where, Walk&& walk) {
    detail::check(*this, where);
    if (amsgrad && !v_max) v_max.emplace(copy(v));
    detail::AdamUpdate update(*this, t + 1, where);
    if (amsgrad) walk(update, m, v, *v_max);
    else walk(update, m, v);
    ++t;
  }
};

/// @name Clipping. Of gradients, or of what backward() left in the Params of a model (those not yet used by a step).
/// @{
struct ClipOptions {
  /// p of the norm (sum |g|^p)^(1/p); infinity: the largest |g|.
  double norm_type = 2;
  /// ValueError when the norm is infinite or NaN. Else an infinite one makes gradients 0 (NaN where they were
  /// infinite), a NaN all of them NaN.
  bool error_if_nonfinite = false;
};
/// Scales all gradients by one factor, min(1, max_norm / (norm + 1e-6)), and returns the norm of all together before
/// that. Summed in double, in an order that depends on shapes only; does not overflow. Pascanu, Mikolov & Bengio 2013,
/// Algorithm 1.
template <class X>
double clip_norm(X& grads, double max_norm, ClipOptions options = {}, Where where = Where::current()) {
  detail::GradNorm norm(max_norm, options.norm_type, options.error_if_nonfinite, where);
  do detail::for_each_gradient(grads, [&](Tensor& g) { norm.add(g); });
  while (norm.again());
  if (norm.factor_matters()) detail::change_gradients(grads, [&](const Tensor& g) { return norm.scaled(g); });
  return norm.value();
}
/// Limits every gradient to [-limit, limit]; NaN stays.
template <class X>
void clip_value(X& grads, double limit, Where where = Where::current()) {
  detail::check_limit(limit, where);
  detail::change_gradients(grads, [&](const Tensor& g) { return detail::limited(g, limit); });
}
/// @}

}  // namespace wengert::optim
