#pragma once

#include "wengert/optim/line_search.h"

namespace wengert::optim {

struct LbfgsOptions {
  double lr = 1;                    ///< first length of the line search; without a line search, every length
  std::int64_t max_iter = 20;       ///< iterations of a step()
  std::int64_t max_eval = 0;        ///< evaluations of the function in a step(); 0: 5/4 of max_iter
  std::int64_t history_size = 100;  ///< stored pairs of steps and gradient changes: the state has 2 history_size
                                    ///< elements for each parameter
  double tolerance_grad = 1e-7;     ///< stops when every |g_i| is at most this
  double tolerance_change = 1e-9;   ///< stops when parameters or value change by less
  bool line_search = true;          ///< strong Wolfe conditions; PyTorch's default is none, which may diverge
};

namespace detail {
/// The part of Lbfgs that does not depend on the type of the model.
class WENGERT_API LbfgsState {
 public:
  LbfgsState(const LbfgsOptions&, std::int64_t n, DType, Where);
  /// Moves x. Returns the value before.
  double step(Objective&, Tensor& x, const LbfgsOptions&, Where);

  Buffer steps, changes;                  ///< s and y, [history_size, n], the oldest overwritten first
  Buffer direction, last_gradient;        ///< [n]
  Stored<double> length = 0, scale = 1;   ///< of the last step; of the initial inverse Hessian
  Stored<std::int64_t> pairs = 0, t = 0;  ///< pairs and iterations so far
  double gradient_norm = 0;               ///< maximum of |g| of the last gradient

 private:
  void remember(const Tensor& g);
  Tensor quasi_newton(const Tensor& g) const;
};
}  // namespace detail

/// Limited-memory BFGS (Nocedal 1980; Liu & Nocedal 1989), step by step as torch.optim.LBFGS. A step takes the
/// function instead of a gradient, since it evaluates the function several times:
///   optim::Lbfgs lbfgs{model};
///   double loss = lbfgs.step(model, [&](const Mlp& m) { return nn::mse(m(x), y); });
/// direction = -H g, where H is built from scale I by the pairs s = w' - w, y = g' - g with y.s > 1e-10.
/// For: smooth functions without noise in float64, such as whole batches, small networks, physics. The state is flat
/// (flat.h).
template <class Model>
class Lbfgs : public LbfgsOptions, public detail::LbfgsState {
 public:
  explicit Lbfgs(const Model& model, LbfgsOptions options = {}, Where where = Where::current())
      : LbfgsOptions(options), LbfgsState(options, flatten(model).numel(), flatten(model).dtype(), where) {}

  /// Up to max_iter iterations. Returns f(model) before the first one.
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
