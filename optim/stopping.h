#pragma once

#include "wengert/optim/step.h"

#include <limits>

namespace wengert::optim {

struct EarlyStoppingOptions {
  std::int64_t patience = 10;         ///< epochs without improvement to tolerate
  double min_delta = 0;               ///< smallest change that counts as an improvement
  bool maximize = false;              ///< larger values are better, as for accuracy
  std::int64_t start_from_epoch = 0;  ///< epochs before this one, counted from 0, are ignored
  /// An improvement that is no better than the baseline does not reset the count of epochs.
  double baseline = std::numeric_limits<double>::quiet_NaN();
};

/// Observes a validation value, keeps the best model, and says when to stop, as Keras' callback: when the value has not
/// improved for `patience` epochs. NaN is no improvement.
///
///   optim::EarlyStopping stopping{model, {.patience = 5}};
///   for (...) {
///     ...                                              // an epoch that trains a surrogate loss
///     if (stopping(errors(model, validation), model)) break;   // observes the 0-1 loss
///   }
///   model = stopping.best_model;                       // also after a training that ran to its end
template <class Model>
class EarlyStopping : public EarlyStoppingOptions {
 public:
  explicit EarlyStopping(const Model& model, EarlyStoppingOptions options = {}, Where where = Where::current())
      : EarlyStoppingOptions(options), best_model(copy(model)), best(worst()) {
    const detail::Check check{"early_stopping", where};
    check.at_least("patience", 0, patience), check.at_least("start_from_epoch", 0, start_from_epoch);
    check.at_least_0("min_delta", min_delta);
  }

  /// Must be called after every epoch. True: stop.
  bool operator()(double value, const Model& model) {
    const std::int64_t now = epoch;
    epoch = now + 1;
    if (now < start_from_epoch) return false;
    waited = waited + 1;
    if (better(value, best)) {
      best = value, best_epoch = now, best_model = copy(model);
      if (baseline != baseline || better(value, baseline)) waited = 0;
    }
    return stopped = waited >= patience && waited > 0 && now > 0;
  }

  Model best_model;
  Stored<double> best;
  Stored<std::int64_t> epoch = 0, best_epoch = -1, waited = 0;  ///< epochs so far; best epoch; epochs since the best
  bool stopped = false;                                         ///< true once patience has run out

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
