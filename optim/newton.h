#pragma once

#include "wengert/optim/line_search.h"

namespace wengert::optim {

struct NewtonCgOptions {
  std::int64_t max_cg_iter = 0;  ///< bound on products with the Hessian in a step; 0: number of parameters
  double forcing = 0.5;          ///< the system is solved to min(forcing, sqrt(|g|)) |g|
  double sufficient = 1e-4;      ///< required decrease of the line search, see backtracking()
};

namespace detail {
struct NewtonStep {
  double value, gradient_norm;
  std::int64_t products;
};
WENGERT_API NewtonStep newton_step(Objective&, Tensor& x, const NewtonCgOptions&, Where);
}  // namespace detail

/// Newton's method without a Hessian: H p = -g by conjugate gradients on Hessian-vector products, stopped early while g
/// is large, then backtracking from the full step. Nocedal & Wright 2006, Algorithm 7.1: a direction of negative
/// curvature ends the inner loop. Near a minimum the number of correct digits doubles with each step.
///   optim::NewtonCg newton{model};
///   while (newton.gradient_norm > 1e-10) newton.step(model, f);
/// For: smooth functions without noise, some thousand parameters, a few steps. The state is t alone.
template <class Model>
class NewtonCg : public NewtonCgOptions {
 public:
  explicit NewtonCg(const Model&, NewtonCgOptions options = {}) : NewtonCgOptions(options) {}

  /// Makes one step. Returns f(model) before it.
  template <class F>
  double step(Model& model, F&& f, Where where = Where::current()) {
    detail::OnModel<std::remove_reference_t<F>, Model> objective(f, model);
    Tensor x = flatten(model);
    const detail::NewtonStep done = detail::newton_step(objective, x, *this, where);
    gradient_norm = done.gradient_norm, products = done.products;
    fill(model, x), t = t + 1;
    return done.value;
  }

  double gradient_norm = std::numeric_limits<double>::infinity();  ///< |g| where the last step began
  std::int64_t products = 0;                                       ///< with the Hessian in the last step
  Stored<std::int64_t> t = 0;                                      ///< steps made

  static auto members(auto& self) { return fields(field("t", self.t.tensor)); }
};

}  // namespace wengert::optim
