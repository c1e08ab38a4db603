#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct NesterovStep {
  double lr, momentum;

  // w holds y = w + momentum v: the new w = y - momentum v + (momentum v - lr g).
  template <class L>
  void operator()(L& w, L g, L& v) const {
    v = momentum * v - lr * g;
    w = w - lr * g;
  }
};
struct LookAhead {
  double momentum;

  template <class L>
  void operator()(L& w, L v) const {
    w = w + momentum * v;
  }
};
WENGERT_API UpdateLoop update_loop(const NesterovStep&, DType, int memory);
WENGERT_API UpdateLoop update_loop(const LookAhead&, DType, int memory);

}  // namespace detail

struct NesterovOptions {
  double lr = 1e-2;
  double momentum = 0.9;    ///< in [0, 1)
  double weight_decay = 0;  ///< adds weight_decay y to the gradient
  bool maximize = false;

  using Step = detail::NesterovStep;
  static constexpr std::string_view name = "nesterov";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("momentum", momentum), c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return {weight_decay, 1, maximize}; }
  Step at(std::int64_t) const { return {lr, momentum}; }
};

/// Nesterov's accelerated gradient with the textbook's two points (Nesterov 1983; Sutskever et al. 2013):
///   y = w + momentum v;   v = momentum v - lr g(y);   w = w + v.
///
///   optim::Nesterov nesterov{model, {.lr = 0.1}};
///   for (...) {
///     nesterov.look_ahead(model);                 // the model is at y
///     auto [loss, grads] = value_and_grad(f, model);
///     nesterov.step(model, grads);                // the model is at w
///   }
/// For: following the theory. Training code is simpler with the option nesterov of Sgd. While lr and momentum are
/// constant, the w of Sgd is the y of this class.
template <class Model>
class Nesterov : public detail::FirstOrder<Nesterov<Model>, Model, NesterovOptions> {
  using Base = detail::FirstOrder<Nesterov, Model, NesterovOptions>;

 public:
  explicit Nesterov(const Model& model, NesterovOptions options = {}, Where where = Where::current())
      : Base(model, options, where), velocity(zeros_like(model)) {}

  /// Moves the model from w to y. Must be called before every step().
  void look_ahead(Model& model, Where where = Where::current()) {
    detail::step_towards(model, velocity, where,
                         [this](std::size_t i) { return detail::LookAhead{this->options_of(i).momentum}; });
    ahead = true;
  }

  Model velocity;
  Stored<bool> ahead = false;  ///< true while the model is at y

  static auto members(auto& self) {
    return Base::stored(self, field("velocity", self.velocity), field("ahead", self.ahead.tensor));
  }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) {
    detail::Check{NesterovOptions::name, Where()}.that(ahead, "call look_ahead(model) before the gradient is computed");
    f(velocity), ahead = false;
  }
};

}  // namespace wengert::optim
