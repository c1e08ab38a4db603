#pragma once

#include "wengert/optim/adam.h"

namespace wengert::optim {

namespace detail {

struct RadamStep {
  double beta1, beta2, eps;
  double rate;         // lr / (1 - beta1^t), times r_t when adaptive
  double root_factor;  // 1 / sqrt(1 - beta2^t)
  bool adaptive;

  template <class L>
  void operator()(L& w, L g, L& m, L& v) const {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const L d = adaptive ? select(m == L(0), L(0), m / (sqrt(v) * root_factor + eps)) : m;
    w = w - rate * d;
  }
};
WENGERT_API UpdateLoop update_loop(const RadamStep&, DType, int memory);

}  // namespace detail

struct RadamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;    ///< in [0, 1); beta2 above 0.6
  double eps = 1e-8;                    ///< added to the uncorrected root, or
  bool eps_hat = true;                  ///< false: added to the corrected root
  double threshold = 5;                 ///< the step is adaptive where rho_t > threshold
  double weight_decay = 0;              ///< adds weight_decay w to the gradient, or
  bool decoupled_weight_decay = false;  ///< subtracts lr weight_decay w from w, as the authors' code
  bool maximize = false;

  static RadamOptions torch() { return {}; }
  static RadamOptions paper() { return {.eps = 0, .threshold = 4}; }

  using Step = detail::RadamStep;
  static constexpr std::string_view name = "radam";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2), c.at_least_0("eps", eps);
    c.at_least_0("weight_decay", weight_decay);
    c.that(threshold >= 4, "threshold must be >= 4: the rectification is not real below");
    c.that(2 / (1 - beta2) - 1 > threshold,
           "beta2 is too small: no step would be adaptive, since 2 / (1 - beta2) - 1 must be > threshold "
           "(beta2 > 0.6 for a threshold of 4)");
  }
  detail::Common common() const { return detail::common(weight_decay, decoupled_weight_decay, lr, maximize); }
  WENGERT_API Step at(std::int64_t t) const;
};

/// Liu et al. 2020, Algorithm 2, Adam whose adaptive rate is rectified while v is an average of few steps:
///   rho_t = rho - 2 t beta2^t / (1 - beta2^t), rho = 2 / (1 - beta2) - 1;
///   rho_t > threshold: w -= lr r_t m_hat / sqrt(v_hat), r_t^2 = (rho_t-4)(rho_t-2) rho / ((rho-4)(rho-2) rho_t);
///   else:              w -= lr m_hat.
/// The paper has the threshold 4 and no eps, PyTorch and this default 5. They differ in the one step whose rho_t
/// lies in between (t = 5 for beta2 = 0.9, 0.99 and 0.999).
/// For: Adam without a warm-up to tune.
template <class Model>
class Radam : public detail::FirstOrder<Radam<Model>, Model, RadamOptions> {
  using Base = detail::FirstOrder<Radam, Model, RadamOptions>;

 public:
  explicit Radam(const Model& model, RadamOptions options = {}, Where where = Where::current())
      : Base(model, options, where), m(zeros_like(model)), v(zeros_like(model)) {}

  Model m, v;  ///< moments

  static auto members(auto& self) { return Base::stored(self, field("m", self.m), field("v", self.v)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(m, v); }
};

}  // namespace wengert::optim
