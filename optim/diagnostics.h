#pragma once

#include "wengert/autodiff/tape/random.h"
#include "wengert/optim/flat.h"

namespace wengert::optim {

/// Norms of the tensors of a model, with their names. The model may hold weights, gradients or steps.
struct NamedNorm {
  std::string name;
  double norm;
};
template <class Model>
std::vector<NamedNorm> norms(const Model& model) {
  std::vector<NamedNorm> all;
  for_each_trained(model, [&](std::string_view name, const Tensor& t) {
    all.push_back({std::string(name), detail::length(t.detach())});
  });
  return all;
}

/// The gradient noise scale of McCandlish et al. 2018, B_simple = tr(Sigma) / |G|^2, from the gradients of batches of
/// two sizes (appendix A.1):
///   |G|^2 = (B |g_B|^2 - b |g_b|^2) / (B - b),   tr(Sigma) = (|g_b|^2 - |g_B|^2) / (1 / b - 1 / B).
/// Both estimates are unbiased and noisy, so each is averaged before the division. Batches much smaller than scale()
/// learn slowly because gradients are noisy; batches much larger hardly learn faster.
struct NoiseScaleOptions {
  double decay = 0;  ///< of the averages, in [0, 1); 0: the mean of all estimates
};
class WENGERT_API NoiseScale : public NoiseScaleOptions {
 public:
  explicit NoiseScale(NoiseScaleOptions = {}, Where = Where::current());
  /// Squared norms of the mean gradients of a small and a large batch.
  void add(double small_norm2, double small, double large_norm2, double large, Where = Where::current());
  /// Mean gradients of equal parts of one batch with `size` examples each, such as single examples or the parts of
  /// workers.
  template <class Model>
  void add(const std::vector<Model>& parts, std::int64_t size = 1, Where where = Where::current()) {
    std::vector<Tensor> flat;
    for (const Model& p : parts) flat.push_back(flatten(p));
    add_parts(flat, static_cast<double>(size), where);
  }
  double noise() const;   ///< tr(Sigma), the variance of the gradient of one example
  double signal() const;  ///< |G|^2
  double scale() const { return noise() / signal(); }

 private:
  void add_parts(const std::vector<Tensor>&, double size, Where);
  double noise_ = 0, signal_ = 0, weight_ = 0;
};

struct Spectrum {
  std::vector<double> values;  ///< descending
};
namespace detail {
WENGERT_API Spectrum lanczos(Objective&, const Tensor& x, Rng&, std::int64_t steps, Where);
WENGERT_API double hutchinson(Objective&, const Tensor& x, Rng&, std::int64_t samples, Where);
}  // namespace detail

/// Eigenvalues of the Hessian of f by `steps` products with it (Lanczos 1950, with full reorthogonalization): the
/// largest and smallest converge first, and as many steps as parameters give all of them.
template <class F, class Model>
Spectrum hessian_eigenvalues(F&& f, const Model& model, Rng& rng, std::int64_t steps, Where where = Where::current()) {
  detail::OnModel<std::remove_reference_t<F>, Model> objective(f, model);
  return detail::lanczos(objective, flatten(model), rng, steps, where);
}

/// Trace of the Hessian: the mean of z^T H z over signs z (Hutchinson 1990).
template <class F, class Model>
double hessian_trace(F&& f, const Model& model, Rng& rng, std::int64_t samples, Where where = Where::current()) {
  detail::OnModel<std::remove_reference_t<F>, Model> objective(f, model);
  return detail::hutchinson(objective, flatten(model), rng, samples, where);
}

/// The steady state of stochastic gradient descent near a minimum w* with a constant rate: msd = E|w - w*|^2 and
/// excess_risk = E f(w) - f(w*).
struct SteadyState {
  double msd, excess_risk;
};
/// The theoretical steady state, from the Hessian H at the minimum and the covariance R of a gradient there, both [n,
/// n]: the covariance of w - w* solves C = (I - lr H) C (I - lr H) + lr^2 R, which in the eigenvectors of H, with
/// eigenvalues h and r = u^T R u, gives
///   msd = sum lr r / (h (2 - lr h)),   excess_risk = sum lr r / (2 (2 - lr h)):
/// both are proportional to lr for small lr. With momentum, lr stands for lr / (1 - momentum). Gradients of a batch of
/// B examples have the covariance R / B.  ShapeError; ValueError unless all h are above 0 and lr h below 2, where the
/// iteration diverges.
WENGERT_API SteadyState steady_state(const Tensor& hessian, const Tensor& noise, double lr, Where = Where::current());

/// a - b for two models of one type, such as a model before and after a step: norms(difference(model, before)).
template <class Model>
Model difference(const Model& a, const Model& b) {
  return unflatten(flatten(a) - flatten(b), a);
}

struct RateRange {
  std::vector<double> rates, losses;  ///< losses are smoothed
  double suggestion;                  ///< the rate at which the loss fell fastest
};
struct RateRangeOptions {
  double min_lr = 1e-7, max_lr = 10;
  std::int64_t steps = 100;
  double smoothing = 0.9;  ///< in [0, 1)
  double stop = 4;         ///< ends when the loss exceeds `stop` times the lowest loss
};
namespace detail {
struct WENGERT_API RateRangeTest {
  RateRangeTest(const RateRangeOptions&, Where);
  double rate() const;
  /// Adds a loss. False: the test is over.
  bool add(double loss);
  RateRange result() const;

  RateRangeOptions options;
  RateRange seen = {};
  double average = 0, lowest = 0;
};
}  // namespace detail

/// Learning-rate range test (Smith 2017): train(lr) makes one step with this rate and returns the loss. Rates
/// rise geometrically. train should work on copies of the model and the optimizer.
template <class F>
RateRange rate_range(F&& train, RateRangeOptions options = {}, Where where = Where::current()) {
  detail::RateRangeTest test(options, where);
  while (test.add(train(test.rate()))) continue;
  return test.result();
}

}  // namespace wengert::optim
