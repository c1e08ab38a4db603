#pragma once

#include "wengert/optim/line_search.h"

namespace wengert::optim {

struct LbfgsOptions {
  double lr = 1;                   ///< the first length that the line search tries, or every length without one
  std::int64_t iterations = 20;    ///< of a step()
  std::int64_t evaluations = 0;    ///< of the function in a step(); 0: 5/4 of the iterations
  std::int64_t history = 100;      ///< pairs of steps and gradient changes that are remembered: as many numbers twice
                                   ///< for each parameter
  double tolerance_grad = 1e-7;    ///< enough when no number of the gradient is larger
  double tolerance_change = 1e-9;  ///< or when neither parameters nor value change more
  bool line_search = true;         ///< strong Wolfe; torch has none unless asked, and may then diverge
};

namespace detail {
/// What does not depend on the model's type.
class WENGERT_API LbfgsState {
 public:
  LbfgsState(const LbfgsOptions&, std::int64_t n, DType, Where);
  /// Moves x; returns the value that it had before.
  double step(Objective&, Tensor& x, const LbfgsOptions&, Where);

  Buffer steps, changes;                ///< s and y, [history, n], the oldest overwritten first
  Buffer direction, last_gradient;      ///< [n]
  Kept<double> length = 0, scale = 1;   ///< of the last step; of the first approximation of the inverse Hessian
  Kept<std::int64_t> pairs = 0, t = 0;  ///< pairs and iterations so far
  double gradient_norm = 0;             ///< the largest number of the last gradient

 private:
  void remember(const Tensor& g);
  Tensor quasi_newton(const Tensor& g) const;
};
}  // namespace detail

/// Limited-memory BFGS (Nocedal 1980; Liu & Nocedal 1989), step by step as torch.optim.LBFGS. Needs the function, not a
/// gradient, since it evaluates it several times:
///   optim::Lbfgs lbfgs{model};
///   double loss = lbfgs.step(model, [&](const Mlp& m) { return nn::mse(m(x), y); });
/// direction = -H g, where H begins as scale I and knows the pairs s = w' - w, y = g' - g with y.s > 1e-10.
/// For: smooth functions without noise, in float64: whole batches, small networks, physics. State is flat (flat.h).
template <class Model>
class Lbfgs : public LbfgsOptions, public detail::LbfgsState {
 public:
  explicit Lbfgs(const Model& model, LbfgsOptions options = {}, Where where = Where::current())
      : LbfgsOptions(options), LbfgsState(options, flatten(model).numel(), flatten(model).dtype(), where) {}

  /// Up to `iterations` of them; returns f(model) as it was before.
  template <class F>
  double step(Model& model, F&& f, Where where = Where::current()) {
    detail::OnModel<std::remove_reference_t<F>, Model> objective(f, model);
    Tensor x = flatten(model);
    const double value = LbfgsState::step(objective, x, *this, where);
    fill(model, x);
    return value;
  }

  static auto members(auto& self) {
    return fields(field("steps", self.steps), field("changes", self.changes), field("direction", self.direction),
                  field("last_gradient", self.last_gradient), field("length", self.length.tensor),
                  field("scale", self.scale.tensor), field("pairs", self.pairs.tensor), field("t", self.t.tensor));
  }
};

}  // namespace wengert::optim
