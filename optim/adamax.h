#pragma once

#include "wengert/optim/adam.h"

namespace wengert::optim {

namespace detail {

struct AdamaxStep {
  double beta1, beta2, eps, rate;  // rate: lr / (1 - beta1^t)
  bool eps_outside;

  template <class L>
  void operator()(L& w, L g, L& m, L& u) const {
    m = beta1 * m + (1 - beta1) * g;
    u = max(beta2 * u, eps_outside ? abs(g) : abs(g) + eps);
    w = w - select(m == L(0), L(0), rate * m / (eps_outside ? u + eps : u));
  }
};
WENGERT_API UpdateLoop update_loop(const AdamaxStep&, DType, int memory);

}  // namespace detail

struct AdamaxOptions {
  double lr = 2e-3;
  double beta1 = 0.9, beta2 = 0.999;  ///< in [0, 1)
  double eps = 1e-8;                  ///< inside the maximum, added to |g|, or
  bool eps_outside = false;           ///< added to u
  double weight_decay = 0;            ///< adds weight_decay w to the gradient
  bool maximize = false;

  static AdamaxOptions torch() { return {}; }
  static AdamaxOptions paper() { return {.eps = 0, .eps_outside = true}; }
  static AdamaxOptions keras() { return {.lr = 1e-3, .eps = 1e-7, .eps_outside = true}; }

  using Step = detail::AdamaxStep;
  static constexpr std::string_view name = "adamax";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2), c.at_least_0("eps", eps);
    c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return {weight_decay, 1, maximize}; }
  WENGERT_API Step at(std::int64_t t) const;
};

/// Kingma & Ba 2015, Algorithm 2, Adam with the infinity norm:
///   m = beta1 m + (1 - beta1) g;   u = max(beta2 u, |g| + eps);   w -= lr / (1 - beta1^t) m / u.
/// The paper has no eps.
/// For: gradients that are sparse or have rare large values, as in embeddings.
template <class Model>
class Adamax : public detail::FirstOrder<Adamax<Model>, Model, AdamaxOptions> {
  using Base = detail::FirstOrder<Adamax, Model, AdamaxOptions>;

 public:
  explicit Adamax(const Model& model, AdamaxOptions options = {}, Where where = Where::current())
      : Base(model, options, where), m(zeros_like(model)), u(zeros_like(model)) {}

  Model m, u;  ///< mean, and decaying maximum of |g|

  static auto members(auto& self) { return Base::stored(self, field("m", self.m), field("u", self.u)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(m, u); }
};

}  // namespace wengert::optim
