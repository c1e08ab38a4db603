#pragma once

#include "wengert/optim/flat.h"

namespace wengert::optim {

struct LeastSquaresOptions {
  double damping = 1e-3;  ///< initial mu; 0: Gauss-Newton, full steps without a test
  bool scaled = true;     ///< Marquardt's D = diag(J^T J); false: Levenberg's, the identity
};

namespace detail {
/// A vector of residuals as a function of x, and its Jacobian.
class WENGERT_API Residuals {
 public:
  virtual ~Residuals() = default;
  virtual Tensor value(const Tensor& x) = 0;
  virtual Tensor slopes(const Tensor& x) = 0;
};
template <class F, class Model>
class ResidualsOnModel final : public Residuals {
 public:
  ResidualsOnModel(F& f, const Model& model) : f_(f), model_(model) {}
  Tensor value(const Tensor& x) override { return reshape(Tensor(f_(unflatten(x, model_))), {-1}).detach(); }
  Tensor slopes(const Tensor& x) override {
    return jacobian([this](const Tensor& z) { return reshape(Tensor(f_(unflatten(z, model_))), {-1}); }, x,
                    {.create_graph = false});
  }

 private:
  F& f_;
  const Model& model_;
};
struct WENGERT_API LeastSquaresState {
  double step(Residuals&, Tensor& x, const LeastSquaresOptions&, Where);

  Stored<double> mu = 0, growth = 2;                               ///< damping, and its factor after a rejected step
  double gradient_norm = std::numeric_limits<double>::infinity();  ///< |J^T r| where the last step began
};
}  // namespace detail

/// argmin |r(w)|^2 / 2 for a vector of residuals r, by (J^T J + mu D) d = -J^T r: a short step
/// downhill far from the minimum, and a Gauss-Newton step near it. Levenberg 1944; Marquardt 1963; mu is updated as in
/// Nielsen 1999.
///   optim::LeastSquares lm{model};
///   while (lm.gradient_norm > 1e-10) lm.step(model, [&](const Curve& m) { return m(x) - y; });
/// For: fitting curves and small networks, in float64; J is [residuals, parameters].
template <class Model>
class LeastSquares : public LeastSquaresOptions, public detail::LeastSquaresState {
 public:
  explicit LeastSquares(const Model&, LeastSquaresOptions options = {}, Where where = Where::current())
      : LeastSquaresOptions(options) {
    detail::Check{"least_squares", where}.at_least_0("damping", damping);
    mu = damping;
  }

  /// Makes one step that lowers |r|^2 / 2, or no step if none is found. Returns |r|^2 / 2 before the step.
  template <class F>
  double step(Model& model, F&& residuals, Where where = Where::current()) {
    detail::ResidualsOnModel<std::remove_reference_t<F>, Model> on(residuals, model);
    Tensor x = flatten(model);
    const double value = LeastSquaresState::step(on, x, *this, where);
    fill(model, x);
    return value;
  }

  static auto members(auto& self) { return fields(field("mu", self.mu.tensor), field("growth", self.growth.tensor)); }
};

}  // namespace wengert::optim
