#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct SgdStep {
  double lr, momentum, dampening;
  bool nesterov, rate_in_velocity, first;

  template <class L>
  void operator()(L& w, L g) const {
    w = w - lr * g;
  }
  bool skips_zero_gradients(std::size_t memory) const { return memory == 0; }
  template <class L>
  void operator()(L& w, L g, L& b) const {
    if (rate_in_velocity) {
      const L pull = -lr * g;
      b = first ? pull : momentum * b + (1 - dampening) * pull;
      w = w + (nesterov ? momentum * b + pull : b);
    } else {
      b = first ? g : momentum * b + (1 - dampening) * g;
      w = w - lr * (nesterov ? g + momentum * b : b);
    }
  }
};
WENGERT_API UpdateLoop update_loop(const SgdStep&, DType, int memory);

}  // namespace detail

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;                  ///< in [0, 1)
  double dampening = 0;                 ///< of the gradient added to the velocity; not in the first step
  double weight_decay = 0;              ///< adds weight_decay w to the gradient, or
  bool decoupled_weight_decay = false;  ///< subtracts lr weight_decay w from w (Loshchilov & Hutter 2019, SGDW)
  bool nesterov = false;                ///< needs momentum > 0 and dampening = 0
  bool rate_in_velocity = false;        ///< the form of papers and Keras, see below
  bool maximize = false;                ///< steps uphill

  static SgdOptions torch() { return {}; }
  static SgdOptions keras() { return {.rate_in_velocity = true}; }

  using Step = detail::SgdStep;
  static constexpr std::string_view name = "sgd";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("momentum", momentum);
    c.finite("dampening", dampening), c.at_least_0("weight_decay", weight_decay);
    c.that(!nesterov || (momentum != 0 && dampening == 0), "nesterov needs momentum > 0 and dampening = 0");
  }
  detail::Common common() const { return detail::common(weight_decay, decoupled_weight_decay, lr, maximize); }
  Step at(std::int64_t) const {
    return {lr, momentum, momentum == 0 ? 0 : dampening, nesterov, rate_in_velocity, false};
  }
};

/// Gradient descent with momentum, in the form of torch.optim.SGD: the velocity b holds no learning rate.
///   b = momentum b + (1 - dampening) g, in the first step b = g;   w -= lr b.
/// nesterov: w -= lr (g + momentum b), which keeps the look-ahead point in w (Sutskever et al. 2013; nesterov.h has the
/// textbook's two points).
/// rate_in_velocity: b = momentum b - lr g, w += b; nesterov: w += momentum b - lr g. Both forms agree while lr is
/// constant. When lr drops, this velocity keeps the scale of the old lr. Polyak 1964.
/// For: almost every model, with momentum 0.9 and a schedule. Other optimizers are measured against it.
template <class Model>
class Sgd : public detail::FirstOrder<Sgd<Model>, Model, SgdOptions> {
  using Base = detail::FirstOrder<Sgd, Model, SgdOptions>;

 public:
  explicit Sgd(const Model& model, SgdOptions options = {}, Where where = Where::current())
      : Base(model, options, where), moving(zeros({this->parameters()}, boolean)) {
    if (this->momentum != 0) velocity.emplace(zeros_like(model));
  }

  std::optional<Model> velocity;  ///< absent while momentum is 0
  Buffer moving;                  ///< true once the velocity of parameter i has begun, in the order of for_each_param

  static auto members(auto& self) {
    return Base::stored(self, field("velocity", self.velocity), field("moving", self.moving));
  }

 private:
  friend Base;
  void visit_state(const Model& model, auto&& f) {
    if (!this->any([](const SgdOptions& o) { return o.momentum != 0; })) return f();
    if (!velocity) velocity.emplace(zeros_like(model));
    f(*velocity);
  }
  void adjust_step(std::size_t i, detail::SgdStep& step) {
    if (!velocity) return;
    bool& begun = moving.template write<bool>()[i];
    step.first = !std::exchange(begun, true);
  }
};

}  // namespace wengert::optim
