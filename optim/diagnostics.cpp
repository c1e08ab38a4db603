#include "wengert/optim/diagnostics.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim {

NoiseScale::NoiseScale(NoiseScaleOptions options, Where where) : NoiseScaleOptions(options) {
  detail::Check{"noise_scale", where}.fraction("decay", decay);
}

void NoiseScale::add(double small_norm2, double small, double large_norm2, double large, Where where) {
  detail::Check{"noise_scale", where}.that(small > 0 && large > small,
                                           "the large batch must have more examples than the small one");
  const double signal = (large * large_norm2 - small * small_norm2) / (large - small);
  const double noise = (small_norm2 - large_norm2) / (1 / small - 1 / large);
  const double keep = decay == 0 ? 1 : decay, fresh = decay == 0 ? 1 : 1 - decay;
  noise_ = keep * noise_ + fresh * noise, signal_ = keep * signal_ + fresh * signal, weight_ = keep * weight_ + fresh;
}

SteadyState steady_state(const Tensor& hessian, const Tensor& noise, double lr, Where where) {
  detail::Check{"steady_state", where}.above_0("lr", lr);
  if (hessian.rank() != 2 || hessian.size(0) != hessian.size(1) || !(hessian.shape() == noise.shape()))
    fail<ShapeError>(where, "steady_state: the Hessian and the covariance must be [n, n] both, got {} and {}",
                     hessian.shape(), noise.shape());
  const auto [values, vectors] = eigh(to(hessian.detach(), float64));
  const Tensor r = sum(vectors * matmul(to(noise.detach(), float64), vectors), {0});
  const auto h = values.to_vector<double>();
  if (!h.empty() && (h.front() <= 0 || lr * h.back() >= 2))
    fail<ValueError>(where,
                     "steady_state: there is none, since the eigenvalues of the Hessian must lie in (0, 2 / lr), and "
                     "they reach from {} to {}, with 2 / lr = {}",
                     h.front(), h.back(), 2 / lr);
  const Tensor slack = 2.0 - lr * values;
  return {sum(lr * r / (values * slack)).item(), sum(lr * r / (2.0 * slack)).item()};
}

void NoiseScale::add_parts(const std::vector<Tensor>& parts, double size, Where where) {
  const auto n = static_cast<double>(parts.size());
  double small = 0;
  Tensor total;
  for (const Tensor& g : parts) {
    small += detail::inner(g, g) / n;
    total = total.defined() ? total + g : g;
  }
  detail::Check{"noise_scale", where}.that(parts.size() >= 2, "needs the gradients of two or more batches");
  add(small, size, detail::inner(total, total) / (n * n), n * size, where);
}

double NoiseScale::noise() const { return noise_ / weight_; }
double NoiseScale::signal() const { return signal_ / weight_; }

Spectrum detail::lanczos(Objective& f, const Tensor& x, Rng& rng, std::int64_t steps, Where where) {
  Check{"hessian_eigenvalues", where}.at_least("steps", 1, steps);
  const std::int64_t n = std::min(steps, x.numel());
  std::vector<Tensor> basis;
  Tensor q = rng.normal(x.shape(), 0, 1, x.dtype()), t = zeros({n, n}, float64);
  std::int64_t made = 0;
  for (double beta = 0; made < n; ++made) {
    const double size = length(q);
    if (made > 0 && !(size > 1e-10 * beta)) break;  // the space is exhausted
    auto at = [&](std::int64_t i, std::int64_t j) -> double& { return t.write<double>()[std::size_t(i * n + j)]; };
    if (made > 0) at(made, made - 1) = at(made - 1, made) = size;
    basis.push_back(q / size);
    q = f.curvature(x, basis.back());
    beta = std::max(beta, length(q));
    at(made, made) = inner(q, basis.back());
    for (int twice = 0; twice < 2; ++twice)
      for (const Tensor& b : basis) q = q - inner(q, b) * b;
  }
  auto values = eigvalsh(slice(slice(t, 0, 0, made), 1, 0, made)).to_vector<double>();
  std::ranges::reverse(values);
  return {values};
}

double detail::hutchinson(Objective& f, const Tensor& x, Rng& rng, std::int64_t samples, Where where) {
  Check{"hessian_trace", where}.at_least("samples", 1, samples);
  double sum = 0;
  for (std::int64_t i = 0; i < samples; ++i) {
    const Tensor z = 2.0 * rng.bernoulli(x.shape(), 0.5, x.dtype()) - 1.0;
    sum += inner(z, f.curvature(x, z));
  }
  return sum / static_cast<double>(samples);
}

detail::RateRangeTest::RateRangeTest(const RateRangeOptions& o, Where where) : options(o) {
  const Check check{"rate_range", where};
  check.above_0("min_lr", o.min_lr), check.above_0("max_lr", o.max_lr), check.fraction("smoothing", o.smoothing);
  check.at_least("steps", 2, o.steps), check.that(o.max_lr > o.min_lr, "max_lr must be > min_lr");
  check.that(o.stop > 1, "stop must be > 1");
}

double detail::RateRangeTest::rate() const {
  const auto k = static_cast<double>(seen.rates.size()), n = static_cast<double>(options.steps - 1);
  return options.min_lr * std::pow(options.max_lr / options.min_lr, k / n);
}

bool detail::RateRangeTest::add(double loss) {
  const double s = options.smoothing, r = rate();
  average = s * average + (1 - s) * loss;
  seen.rates.push_back(r);
  const auto n = static_cast<double>(seen.rates.size());
  seen.losses.push_back(average / (1 - std::pow(s, n)));
  lowest = n == 1 ? seen.losses[0] : std::min(lowest, seen.losses.back());
  const bool finite = std::isfinite(loss) && (lowest <= 0 || seen.losses.back() <= options.stop * lowest);
  return finite && seen.rates.size() < static_cast<std::size_t>(options.steps);
}

RateRange detail::RateRangeTest::result() const {
  RateRange r = seen;
  double steepest = 0;
  r.suggestion = r.rates.front();
  for (std::size_t k = 1; k + 1 < r.rates.size(); ++k)
    if (const double slope = r.losses[k + 1] - r.losses[k - 1]; slope < steepest)
      steepest = slope, r.suggestion = r.rates[k];
  return r;
}

}  // namespace wengert::optim
