// The constants of a step of Adam, AdamW, Adamax, Nadam and Radam.

#include "wengert/optim/adam.h"

#include "wengert/optim/adamax.h"
#include "wengert/optim/adamw.h"
#include "wengert/optim/nadam.h"
#include "wengert/optim/radam.h"

#include <cmath>

namespace wengert::optim {
namespace {

// 1 - beta^t, by pow in double: a running product would drift.
double bias(double beta, std::int64_t t) { return 1 - std::pow(beta, static_cast<double>(t)); }

}  // namespace

detail::AdamStep AdamOptions::at(std::int64_t t) const {
  const double bias1 = bias_correction ? bias(beta1, t) : 1;
  const double root = bias_correction ? std::sqrt(bias(beta2, t)) : 1;
  if (eps_hat) return {beta1, beta2, eps, eps_root, lr * root / bias1, 1};
  return {beta1, beta2, eps, eps_root, lr / bias1, 1 / root};
}

detail::AdamStep AdamWOptions::at(std::int64_t t) const {
  return {beta1, beta2, eps, 0, schedule * lr / bias(beta1, t), 1 / std::sqrt(bias(beta2, t))};
}

detail::AdamaxStep AdamaxOptions::at(std::int64_t t) const {
  return {beta1, beta2, eps, lr / bias(beta1, t), eps_outside};
}

double NadamOptions::mu(std::int64_t t) const {
  return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(t) * momentum_decay));
}
detail::NadamStep NadamOptions::at(std::int64_t t, double& product) const {
  product *= mu(t);
  const double next = mu(t + 1);
  const double rate_g = lr * (1 - mu(t)) / (1 - product), rate_m = lr * next / (1 - product * next);
  return {beta1, beta2, eps, rate_g, rate_m, 1 / std::sqrt(bias(beta2, t))};
}

detail::RadamStep RadamOptions::at(std::int64_t t) const {
  const double steps = static_cast<double>(t), most = 2 / (1 - beta2) - 1;
  const double rho = most - 2 * steps * std::pow(beta2, steps) / bias(beta2, t);
  const double rate = lr / bias(beta1, t), root = std::sqrt(bias(beta2, t));
  if (!(rho > threshold)) return {beta1, beta2, eps, rate, 1, false};
  const double r = std::sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
  if (eps_hat) return {beta1, beta2, eps, rate * r * root, 1, true};
  return {beta1, beta2, eps, rate * r, 1 / root, true};
}

}  // namespace wengert::optim
