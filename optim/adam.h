#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct AdamStep {
  double beta1, beta2, eps, eps_root;
  double rate;         // lr / (1 - beta1^t)
  double root_factor;  // 1 / sqrt(1 - beta2^t)

  template <class L, class... Max>
  void operator()(L& w, L g, L& m, L& v, Max&... v_max) const {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    L u = v;
    ((u = v_max = max(v_max, v)), ...);
    const L root = eps_root == 0 ? sqrt(u) * root_factor : sqrt(u * (root_factor * root_factor) + eps_root);
    w = w - rate * m / (root + eps);
  }
};
WENGERT_API UpdateLoop update_loop(const AdamStep&, DType, int memory);

}  // namespace detail

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;    ///< in [0, 1)
  double eps = 1e-8;                    ///< added to the root
  double eps_root = 0;                  ///< inside the root, after bias correction
  bool eps_hat = false;                 ///< eps is added to the uncorrected root, see below
  bool bias_correction = true;          ///< divides moments by 1 - beta^t
  double weight_decay = 0;              ///< adds weight_decay w to the gradient, or
  bool decoupled_weight_decay = false;  ///< subtracts lr weight_decay w from w: AdamW
  bool amsgrad = false;                 ///< uses the maximum of v over all steps, before bias correction as in PyTorch
  bool maximize = false;

  static AdamOptions torch() { return {}; }
  static AdamOptions paper() { return {}; }
  static AdamOptions keras() { return {.eps = 1e-7, .eps_hat = true}; }

  using Step = detail::AdamStep;
  static constexpr std::string_view name = "adam";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2), c.at_least_0("eps", eps);
    c.at_least_0("eps_root", eps_root), c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return detail::common(weight_decay, decoupled_weight_decay, lr, maximize); }
  WENGERT_API Step at(std::int64_t t) const;
};

namespace detail {

/// Optimizer state of Adam and AdamW.
template <class Self, class Model, class Options>
class AdamMoments : public FirstOrder<Self, Model, Options> {
  using Base = FirstOrder<Self, Model, Options>;

 public:
  Model m, v;                  ///< moments
  std::optional<Model> v_max;  ///< with amsgrad

  static auto members(auto& self) {
    return Base::stored(self, field("m", self.m), field("v", self.v), field("v_max", self.v_max));
  }

 protected:
  AdamMoments(const Model& model, const Options& options, Where where)
      : Base(model, options, where), m(zeros_like(model)), v(zeros_like(model)) {
    if (this->amsgrad) v_max.emplace(zeros_like(model));
  }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) {
    if (this->amsgrad && !v_max) v_max.emplace(copy(v));
    if (this->amsgrad) f(m, v, *v_max);
    else f(m, v);
  }
};

}  // namespace detail

/// Kingma & Ba 2015, Algorithm 1:
///   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2;
///   w -= lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps).
/// t counts steps of the optimizer and is the same for all parameters. eps_hat is the form at the end of section 2 of
/// the paper, which Keras uses: w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps). amsgrad: Reddi, Kale &
/// Kumar 2018, whose algorithm has bias_correction = false.
/// For: a good first choice for nearly every model; with weight decay use AdamW.
template <class Model>
struct Adam : detail::AdamMoments<Adam<Model>, Model, AdamOptions> {
  explicit Adam(const Model& model, AdamOptions options = {}, Where where = Where::current())
      : detail::AdamMoments<Adam, Model, AdamOptions>(model, options, where) {}
};

}  // namespace wengert::optim
