#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct RmsPropStep {
  double lr, alpha, eps, momentum;
  bool centered, eps_inside_sqrt, rate_in_velocity;
  bool mean_first;  // `more` is the mean gradient, the velocity, or both in this order

  template <class L, class... More>
  void operator()(L& w, L g, L& v, More&... more) const {
    L* const extra[] = {&more..., nullptr};
    v = alpha * v + (1 - alpha) * g * g;
    L spread = v;
    if (sizeof...(More) > 0 && centered) {
      L& mean = *extra[0];
      mean = alpha * mean + (1 - alpha) * g;
      spread = max(v - mean * mean, L(0));  // rounding may take it below 0
    }
    L d = g / (eps_inside_sqrt ? sqrt(spread + eps) : sqrt(spread) + eps);
    if (sizeof...(More) == 2 || (sizeof...(More) == 1 && !mean_first)) {
      L& b = *extra[sizeof...(More) - 1];
      d = b = momentum * b + (rate_in_velocity ? lr * d : d);
      if (rate_in_velocity) return void(w = w - d);
    }
    w = w - lr * d;
  }
};
WENGERT_API UpdateLoop update_loop(const RmsPropStep&, DType, int memory);

}  // namespace detail

struct RmsPropOptions {
  double lr = 1e-2;
  double alpha = 0.99;            ///< decay of v, in [0, 1)
  double eps = 1e-8;              ///< added to the root, or
  bool eps_inside_sqrt = false;   ///< inside the root
  double momentum = 0;            ///< in [0, 1)
  bool rate_in_velocity = false;  ///< b = momentum b + lr d, w -= b
  bool centered = false;          ///< divides by the standard deviation, sqrt(v - mean(g)^2)
  double weight_decay = 0;        ///< adds weight_decay w to the gradient
  bool maximize = false;

  static RmsPropOptions torch() { return {}; }
  static RmsPropOptions keras() {
    return {.lr = 1e-3, .alpha = 0.9, .eps = 1e-7, .eps_inside_sqrt = true, .rate_in_velocity = true};
  }
  /// The form of textbooks, w -= lr g / sqrt(v + eps).
  static RmsPropOptions textbook() { return {.lr = 1e-3, .alpha = 0.9, .eps = 1e-6, .eps_inside_sqrt = true}; }

  using Step = detail::RmsPropStep;
  static constexpr std::string_view name = "rmsprop";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("alpha", alpha), c.at_least_0("eps", eps), c.fraction("momentum", momentum);
    c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return {weight_decay, 1, maximize}; }
  Step at(std::int64_t) const { return {lr, alpha, eps, momentum, centered, eps_inside_sqrt, rate_in_velocity, true}; }
};

/// Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013:
///   v = alpha v + (1 - alpha) g^2;   w -= lr g / (sqrt(v) + eps).
/// With momentum: b = momentum b + g / (sqrt(v) + eps), w -= lr b. There is no bias correction.
/// For: recurrent networks, reinforcement learning, gradients whose size changes over time.
template <class Model>
class RmsProp : public detail::FirstOrder<RmsProp<Model>, Model, RmsPropOptions> {
  using Base = detail::FirstOrder<RmsProp, Model, RmsPropOptions>;

 public:
  explicit RmsProp(const Model& model, RmsPropOptions options = {}, Where where = Where::current())
      : Base(model, options, where), v(zeros_like(model)) {
    visit_state(model, [](auto&...) {});
  }

  Model v;                        ///< mean square
  std::optional<Model> mean;      ///< with centered
  std::optional<Model> velocity;  ///< with momentum

  static auto members(auto& self) {
    return Base::stored(self, field("v", self.v), field("mean", self.mean), field("velocity", self.velocity));
  }

 private:
  friend Base;
  void visit_state(const Model& model, auto&& f) {
    if (!mean && this->any([](auto& o) { return o.centered; })) mean.emplace(zeros_like(model));
    if (!velocity && this->any([](auto& o) { return o.momentum != 0; })) velocity.emplace(zeros_like(model));
    if (mean && velocity) f(v, *mean, *velocity);
    else if (mean) f(v, *mean);
    else if (velocity) f(v, *velocity);
    else f(v);
  }
  void adjust_step(std::size_t, detail::RmsPropStep& step) { step.mean_first = mean.has_value(); }
};

}  // namespace wengert::optim
