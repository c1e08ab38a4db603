#pragma once

#include "wengert/optim/adam.h"

namespace wengert::optim {

namespace detail {

struct NadamStep {
  double beta1, beta2, eps;
  double rate_g, rate_m;  // lr (1 - mu_t) / (1 - prod mu to t), lr mu_t+1 / (1 - prod mu to t+1)
  double root_factor;     // 1 / sqrt(1 - beta2^t)

  template <class L>
  void operator()(L& w, L g, L& m, L& v) const {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    w = w - (rate_g * g + rate_m * m) / (sqrt(v) * root_factor + eps);
  }
};
WENGERT_API UpdateLoop update_loop(const NadamStep&, DType, int memory);

}  // namespace detail

struct NadamOptions {
  double lr = 2e-3;
  double beta1 = 0.9, beta2 = 0.999;    ///< in [0, 1)
  double eps = 1e-8;                    ///< added to the root
  double momentum_decay = 4e-3;         ///< psi: mu_t = beta1 (1 - 0.96^(t psi) / 2)
  double weight_decay = 0;              ///< adds weight_decay w to the gradient, or
  bool decoupled_weight_decay = false;  ///< subtracts lr weight_decay w from w
  bool maximize = false;

  static NadamOptions torch() { return {}; }
  static NadamOptions keras() { return {.lr = 1e-3, .eps = 1e-7, .momentum_decay = 1}; }

  using Step = detail::NadamStep;
  static constexpr std::string_view name = "nadam";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2), c.at_least_0("eps", eps);
    c.at_least_0("momentum_decay", momentum_decay), c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return detail::common(weight_decay, decoupled_weight_decay, lr, maximize); }
  WENGERT_API double mu(std::int64_t t) const;
  /// product: mu_1 ... mu_t, carried from step to step.
  WENGERT_API Step at(std::int64_t t, double& product) const;
};

/// Dozat 2016, Adam with Nesterov's momentum and a schedule of momentum:
///   m, v as Adam's;   mu_t = beta1 (1 - 0.96^(t psi) / 2);
///   w -= lr ((1 - mu_t) g / (1 - prod_t) + mu_t+1 m / (1 - prod_t+1)) / (sqrt(v / (1 - beta2^t)) + eps),
/// where prod_t = mu_1 ... mu_t.
/// For: the same models as Adam; often a little faster.
template <class Model>
class Nadam : public detail::FirstOrder<Nadam<Model>, Model, NadamOptions> {
  using Base = detail::FirstOrder<Nadam, Model, NadamOptions>;

 public:
  explicit Nadam(const Model& model, NadamOptions options = {}, Where where = Where::current())
      : Base(model, options, where), m(zeros_like(model)), v(zeros_like(model)) {}

  Model m, v;  ///< moments

  static auto members(auto& self) { return Base::stored(self, field("m", self.m), field("v", self.v)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(m, v); }
};

}  // namespace wengert::optim
