#pragma once

// Optimizers' options as the cases spell them.

#include "golden.h"
#include "wengert/optim/optim.h"

#include <cmath>

namespace golden {

inline double number(const Json& j) {
  if (!j.is_string()) return j.get<double>();
  return j == "inf" ? HUGE_VAL : j == "-inf" ? -HUGE_VAL : std::nan("");
}

// Torch's names of the options, and ours.
template <class O>
void set_options(O& o, const Json& attrs) {
  for (const auto& [key, value] : attrs.items()) {
    bool known = true;
    auto pair = [&](double& a, double& b) { a = number(value[0]), b = number(value[1]); };
    if constexpr (!std::is_same_v<O, optim::RpropOptions>) {
      if (key == "weight_decay") o.weight_decay = number(value);
      else if (key == "lr") o.lr = number(value);
      else known = false;
    } else {
      if (key == "lr") o.lr = number(value);
      else if (key == "etas") pair(o.eta_minus, o.eta_plus);
      else if (key == "step_sizes") pair(o.min_step_size, o.max_step_size);
      else known = false;
    }
    if (!known && key == "maximize") o.maximize = value, known = true;
    if constexpr (requires { o.beta1; })
      if (key == "betas") pair(o.beta1, o.beta2), known = true;
    if constexpr (requires { o.eps; })
      if (key == "eps") o.eps = number(value), known = true;
    if constexpr (requires { o.amsgrad; })
      if (key == "amsgrad") o.amsgrad = value, known = true;
    if constexpr (requires { o.momentum; })
      if (key == "momentum") o.momentum = number(value), known = true;
    if constexpr (requires { o.dampening; }) {
      if (key == "dampening") o.dampening = number(value), known = true;
      if (key == "nesterov") o.nesterov = value, known = true;
    }
    if constexpr (requires { o.lr_decay; }) {
      if (key == "lr_decay") o.lr_decay = number(value), known = true;
      if (key == "initial_accumulator_value") o.initial_accumulator_value = number(value), known = true;
    }
    if constexpr (requires { o.centered; }) {
      if (key == "alpha") o.alpha = number(value), known = true;
      if (key == "centered") o.centered = value, known = true;
    }
    if constexpr (requires { o.rho; })
      if (key == "rho") o.rho = number(value), known = true;
    if constexpr (requires { o.momentum_decay; })
      if (key == "momentum_decay") o.momentum_decay = number(value), known = true;
    if constexpr (requires { o.decoupled_weight_decay; })
      if (key == "decoupled_weight_decay") o.decoupled_weight_decay = value, known = true;
    if (!known && key != "params") throw Unsupported("no option " + key);
  }
}

}  // namespace golden
