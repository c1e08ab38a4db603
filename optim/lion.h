#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct LionStep {
  double lr, beta1, beta2;

  template <class L>
  void operator()(L& w, L g, L& m) const {
    const L c = beta1 * m + (1 - beta1) * g;
    w = w - select(c > L(0), L(lr), select(c < L(0), L(-lr), L(0)));
    m = beta2 * m + (1 - beta2) * g;
  }
};
WENGERT_API UpdateLoop update_loop(const LionStep&, DType, int memory);

}  // namespace detail

struct LionOptions {
  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.99;  ///< in [0, 1)
  double weight_decay = 0;           ///< subtracts lr weight_decay w from w before the step
  bool maximize = false;

  static LionOptions paper() { return {}; }
  static LionOptions keras() { return {.lr = 1e-3}; }

  using Step = detail::LionStep;
  static constexpr std::string_view name = "lion";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2);
    c.at_least_0("weight_decay", weight_decay);
  }
  detail::Common common() const { return detail::common(weight_decay, true, lr, maximize); }
  Step at(std::int64_t) const { return {lr, beta1, beta2}; }
};

/// Chen et al. 2023, Algorithm 2:
///   c = beta1 m + (1 - beta1) g;   w -= lr (sign(c) + weight_decay w);   m = beta2 m + (1 - beta2) g.
/// For: large batches. The state is half of Adam's. Usual rates are a tenth to a third of Adam's lr, with weight_decay
/// larger by the same factor.
template <class Model>
class Lion : public detail::FirstOrder<Lion<Model>, Model, LionOptions> {
  using Base = detail::FirstOrder<Lion, Model, LionOptions>;

 public:
  explicit Lion(const Model& model, LionOptions options = {}, Where where = Where::current())
      : Base(model, options, where), m(zeros_like(model)) {}

  Model m;  ///< mean gradient

  static auto members(auto& self) { return Base::stored(self, field("m", self.m)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(m); }
};

}  // namespace wengert::optim
