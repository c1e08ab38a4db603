#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct AdagradStep {
  double rate, eps;
  bool eps_inside_sqrt;

  template <class L>
  void operator()(L& w, L g, L& s) const {
    s = s + g * g;
    const L root = eps_inside_sqrt ? sqrt(s + eps) : sqrt(s) + eps;
    w = w - select(g == L(0), L(0), rate * g / root);  // without eps, 0 / 0 before the first gradient
  }
  bool skips_zero_gradients(std::size_t) const { return true; }
};
WENGERT_API UpdateLoop update_loop(const AdagradStep&, DType, int memory);

}  // namespace detail

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;                   ///< the rate of step t is lr / (1 + (t - 1) lr_decay)
  double initial_accumulator_value = 0;  ///< initial value of s
  double eps = 1e-10;                    ///< added to the root, or
  bool eps_inside_sqrt = false;          ///< inside the root
  double weight_decay = 0;               ///< adds weight_decay w to the gradient
  bool maximize = false;

  static AdagradOptions torch() { return {}; }
  static AdagradOptions keras() {
    return {.lr = 1e-3, .initial_accumulator_value = 0.1, .eps = 1e-7, .eps_inside_sqrt = true};
  }
  /// The form of textbooks, w -= lr g / sqrt(s + eps).
  static AdagradOptions textbook() { return {.eps = 1e-8, .eps_inside_sqrt = true}; }

  using Step = detail::AdagradStep;
  static constexpr std::string_view name = "adagrad";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.at_least_0("lr_decay", lr_decay),
        c.at_least_0("initial_accumulator_value", initial_accumulator_value);
    c.at_least_0("eps", eps), c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return {weight_decay, 1, maximize}; }
  Step at(std::int64_t t) const { return {lr / (1 + static_cast<double>(t - 1) * lr_decay), eps, eps_inside_sqrt}; }
};

/// Duchi, Hazan & Singer 2011, the diagonal form:
///   s += g^2;   w -= lr g / (sqrt(s) + eps).
/// For: sparse gradients and convex problems. The rate only falls; for long training use RMSProp or Adam. FullAdagrad
/// has the full matrix.
template <class Model>
class Adagrad : public detail::FirstOrder<Adagrad<Model>, Model, AdagradOptions> {
  using Base = detail::FirstOrder<Adagrad, Model, AdagradOptions>;

 public:
  explicit Adagrad(const Model& model, AdagradOptions options = {}, Where where = Where::current())
      : Base(model, options, where), sum(detail::filled_like(model, options.initial_accumulator_value)) {}

  Model sum;  ///< s, the sum of squared gradients

  static auto members(auto& self) { return Base::stored(self, field("sum", self.sum)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(sum); }
};

}  // namespace wengert::optim
