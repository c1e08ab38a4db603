#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct AdadeltaStep {
  double lr, rho, eps;

  template <class L>
  void operator()(L& w, L g, L& v, L& u) const {
    v = rho * v + (1 - rho) * g * g;
    const L d = sqrt(u + eps) / sqrt(v + eps) * g;
    u = rho * u + (1 - rho) * d * d;
    w = w - lr * d;
  }
};
WENGERT_API UpdateLoop update_loop(const AdadeltaStep&, DType, int memory);

}  // namespace detail

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;         ///< in [0, 1)
  double eps = 1e-6;        ///< inside both roots; must be > 0, or no weight would ever move
  double weight_decay = 0;  ///< adds weight_decay w to the gradient
  bool maximize = false;

  static AdadeltaOptions torch() { return {}; }
  static AdadeltaOptions paper() { return {.rho = 0.95}; }
  static AdadeltaOptions keras() { return {.lr = 1e-3, .rho = 0.95, .eps = 1e-7}; }

  using Step = detail::AdadeltaStep;
  static constexpr std::string_view name = "adadelta";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("rho", rho), c.above_0("eps", eps), c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return {weight_decay, 1, maximize}; }
  Step at(std::int64_t) const { return {lr, rho, eps}; }
};

/// Zeiler 2012, Algorithm 1:
///   v = rho v + (1 - rho) g^2;   d = sqrt(u + eps) / sqrt(v + eps) g;   u = rho u + (1 - rho) d^2;   w -= lr d.
/// The paper has no lr, which is lr = 1.
/// For: problems without a rate to tune. The first steps are small, since u begins at 0.
template <class Model>
class Adadelta : public detail::FirstOrder<Adadelta<Model>, Model, AdadeltaOptions> {
  using Base = detail::FirstOrder<Adadelta, Model, AdadeltaOptions>;

 public:
  explicit Adadelta(const Model& model, AdadeltaOptions options = {}, Where where = Where::current())
      : Base(model, options, where), v(zeros_like(model)), u(zeros_like(model)) {}

  Model v, u;  ///< mean squares of gradients and of steps

  static auto members(auto& self) { return Base::stored(self, field("v", self.v), field("u", self.u)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(v, u); }
};

}  // namespace wengert::optim
