#pragma once

#include "wengert/optim/adam.h"

namespace wengert::optim {

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;  ///< in [0, 1)
  double eps = 1e-8;                  ///< added to the root
  double weight_decay = 1e-2;         ///< subtracts lr weight_decay w from w before the step
  double schedule = 1;                ///< eta of the paper: multiplies lr and the decay
  bool decay_times_lr = true;         ///< false, as in the paper: subtracts schedule weight_decay w
  bool amsgrad = false;               ///< uses the maximum of v over all steps
  bool maximize = false;

  static AdamWOptions torch() { return {}; }
  static AdamWOptions paper() { return {.decay_times_lr = false}; }
  static AdamWOptions keras() { return {.eps = 1e-7, .weight_decay = 4e-3}; }

  using Step = detail::AdamStep;
  static constexpr std::string_view name = "adamw";
  void check(const detail::Check& c) const {
    c.at_least_0("lr", lr), c.fraction("beta1", beta1), c.fraction("beta2", beta2), c.at_least_0("eps", eps);
    c.at_least_0("weight_decay", weight_decay), c.at_least_0("schedule", schedule);
  }
  detail::Common common() const {
    return detail::common(weight_decay, true, schedule * (decay_times_lr ? lr : 1), maximize);
  }
  WENGERT_API Step at(std::int64_t t) const;
};

/// Loshchilov & Hutter 2019, Algorithm 2: Adam with a weight decay that does not enter the moments:
///   w -= schedule (lr m_hat / (sqrt(v_hat) + eps) + [lr] weight_decay w).
/// PyTorch and this default have the factor [lr], the paper has not. The two agree after weight_decay is divided by lr.
/// For: transformers, and other models trained with Adam that should generalize.
template <class Model>
struct AdamW : detail::AdamMoments<AdamW<Model>, Model, AdamWOptions> {
  explicit AdamW(const Model& model, AdamWOptions options = {}, Where where = Where::current())
      : detail::AdamMoments<AdamW, Model, AdamWOptions>(model, options, where) {}
};

}  // namespace wengert::optim
