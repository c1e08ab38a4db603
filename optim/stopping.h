#pragma once

#include "wengert/optim/step.h"

#include <limits>

namespace wengert::optim {

struct EarlyStoppingOptions {
  std::int64_t patience = 10;  ///< epochs without improvement that are put up with
  double min_delta = 0;        ///< better means: by more than that
  bool maximize = false;       ///< larger is better, as an accuracy
  std::int64_t start = 0;      ///< earlier epochs, counted from 0, do not count
  /// Epochs that improve but are no better than this keep counting.
  double baseline = std::numeric_limits<double>::quiet_NaN();
};

/// Watches a value of the validation set, keeps the best model, and says when to end. As Keras' callback: it ends when
/// the value has not improved for `patience` epochs; a NaN is no improvement.
///
///   optim::EarlyStopping stopping{model, {.patience = 5}};
///   for (...) {
///     ...                                              // an epoch that trains the surrogate, say cross_entropy
///     if (stopping(errors(model, validation), model)) break;   // watches the true 0-1 loss
///   }
///   model = stopping.best_model;                       // whoever ended the training
template <class Model>
class EarlyStopping : public EarlyStoppingOptions {
 public:
  explicit EarlyStopping(const Model& model, EarlyStoppingOptions options = {}, Where where = Where::current())
      : EarlyStoppingOptions(options), best_model(copy(model)), best(worst()) {
    const detail::Check check{"early_stopping", where};
    check.that(patience >= 0 && start >= 0, "patience and start must be at least 0");
    check.at_least_0("min_delta", min_delta);
  }

  /// To be called after every epoch. True: stop.
  bool operator()(double value, const Model& model) {
    const std::int64_t now = epoch;
    epoch = now + 1;
    if (now < start) return false;
    waited = waited + 1;
    if (better(value, best)) {
      best = value, best_epoch = now, best_model = copy(model);
      if (baseline != baseline || better(value, baseline)) waited = 0;
    }
    return stopped = waited >= patience && waited > 0 && now > 0;
  }

  Model best_model;
  Kept<double> best;
  Kept<std::int64_t> epoch = 0, best_epoch = -1, waited = 0;  ///< epochs so far; the best one; since it
  bool stopped = false;                                       ///< by patience

  static auto members(auto& self) {
    return fields(field("best_model", self.best_model), field("best", self.best.tensor),
                  field("epoch", self.epoch.tensor), field("best_epoch", self.best_epoch.tensor),
                  field("waited", self.waited.tensor));
  }

 private:
  double worst() const { return (maximize ? -1 : 1) * std::numeric_limits<double>::infinity(); }
  bool better(double value, double than) const {
    return maximize ? value - min_delta > than : value + min_delta < than;
  }
};

}  // namespace wengert::optim
