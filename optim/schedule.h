#pragma once

#include "wengert/autodiff/base/function.h"
#include "wengert/optim/stored.h"

#include <limits>

// Schedules: functions of the step, counted from 0, that return a learning rate (or a momentum, or a weight decay).
// They are plain structs without state. The optimizer's rate is set before each step:
//
//   const optim::schedule::Cosine lr{.base = 0.1, .steps = 1000};
//   sgd.lr = lr(step);
//
// Schedules compose: `schedule::WarmUp{10} * schedule::Cosine{0.1, 0, 1000}` is a product, and
// `schedule::in_turn({{warm_up, 10}, {cosine, 990}})` runs one schedule after the other. Any function of the step
// converts to a Schedule. An option that is out of range is a ValueError when the schedule is called.

namespace wengert::optim::schedule {

/// base.
struct Constant {
  double base = 1;
  double operator()(std::int64_t) const { return base; }
};

/// base gamma^floor(step / step_size).
struct StepDecay {
  double base = 1;
  std::int64_t step_size = 30;
  double gamma = 0.1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// base gamma^k, where k is the number of milestones at or before the step.
struct MultiStep {
  double base = 1;
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// base gamma^step.
struct Exponential {
  double base = 1, gamma = 0.99;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// (base - last) (1 - step / steps)^power + last until step `steps`, then last.
struct Polynomial {
  double base = 1, last = 0;
  std::int64_t steps = 100;
  double power = 1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// A straight line from `from` at step 0 to `to` at step `steps`, then `to`.
struct Linear {
  double from = 1, to = 0;
  std::int64_t steps = 100;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// A factor that rises as 1/n, 2/n, ..., 1 with n = steps, and stays 1. The first factor is not 0, so that the first
/// update counts.
struct WarmUp {
  std::int64_t steps = 10;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// min + (base - min) (1 + cos(pi step / steps)) / 2 until step `steps`, then min.  Loshchilov & Hutter 2017, eq. 5,
/// without restarts.
struct Cosine {
  double base = 1, min = 0;
  std::int64_t steps = 100;
  bool clamp = true;  ///< false: the cosine goes on and rises again after `steps`, as PyTorch's CosineAnnealingLR
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// Cosine with warm restarts: the first cycle takes `steps`, and each cycle is t_mult times as long as the one before.
/// Loshchilov & Hutter 2017, eq. 5.
struct CosineRestarts {
  double base = 1, min = 0;
  std::int64_t steps = 10, t_mult = 1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// Rises from max_lr / div_factor to max_lr during the share pct_start of all steps, then falls to max_lr / div_factor
/// / final_div_factor.  three_phase: falls to max_lr / div_factor as fast as it rose, and to the end in the remaining
/// steps.  Along half a cosine unless `linear`.  Smith & Topin 2018.
struct OneCycle {
  double max_lr = 1;
  std::int64_t steps = 100;
  double pct_start = 0.3;
  double div_factor = 25, final_div_factor = 1e4;
  bool linear = false, three_phase = false;
  double base_momentum = 0.85, max_momentum = 0.95;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
  /// The momentum, which moves opposite to the rate: max_momentum, base_momentum where the rate is max_lr,
  /// max_momentum.
  WENGERT_API double momentum(std::int64_t step, Where = Where::current()) const;
};

/// Cycles from base_lr to max_lr in step_size_up steps and back in step_size_down steps (0: as many).  Smith 2017.
struct Cyclic {
  enum Mode {
    triangular,   ///< every cycle has the same height
    triangular2,  ///< each cycle is half as high as the one before
    exp_range,    ///< heights are multiplied by gamma^step
  };
  double base_lr = 1e-3, max_lr = 1e-2;
  std::int64_t step_size_up = 2000, step_size_down = 0;
  Mode mode = triangular;
  double gamma = 1;
  double base_momentum = 0.8, max_momentum = 0.9;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
  /// The momentum, which moves opposite to the rate.
  WENGERT_API double momentum(std::int64_t step, Where = Where::current()) const;

 private:
  double height(std::int64_t step, Where) const;
};

/// Any function of the step.
class Schedule {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Schedule> && std::is_invocable_r_v<double, const F&, std::int64_t>)
  Schedule(F f) : f_(std::move(f)) {}
  double operator()(std::int64_t step) const { return f_(step); }

 private:
  wengert::detail::Function<double(std::int64_t)> f_;
};

/// The product of two schedules at the same step.
WENGERT_API Schedule operator*(Schedule a, Schedule b);

struct Phase {
  Schedule schedule;
  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
};
/// Runs each phase for its number of steps. Every phase counts steps from 0. The last phase never ends.
/// ValueError for a list without phases and for a negative number of steps.
WENGERT_API Schedule in_turn(std::vector<Phase> phases, Where = Where::current());

struct PlateauOptions {
  double factor = 0.1;         ///< of each reduction, in (0, 1)
  std::int64_t patience = 10;  ///< evaluations without improvement to tolerate
  double threshold = 1e-4;     ///< smallest change that counts as an improvement
  bool relative = true;        ///< an improvement is below best - threshold |best|; false: below best - threshold
  bool maximize = false;       ///< larger values are better
  std::int64_t cooldown = 0;   ///< evaluations after a reduction that are not counted
  double min_lr = 0;           ///< lower bound of the rate
  double eps = 1e-8;           ///< changes of the rate that are not larger than this are not made
};

/// Multiplies a rate by `factor` after more than `patience` evaluations without improvement, as PyTorch's
/// ReduceLROnPlateau. NaN is no improvement. (Keras reduces one evaluation earlier, and its threshold is absolute.)
/// A Plateau has state, which save() and load() see.
///
///   optim::schedule::Plateau plateau{0.1};
///   sgd.lr = plateau(validation_loss);
class Plateau : public PlateauOptions {
 public:
  /// ValueError unless factor is in (0, 1), patience and cooldown are >= 0 and lr > 0.
  WENGERT_API explicit Plateau(double lr, PlateauOptions = {}, Where = Where::current());
  /// Takes the value of an evaluation and returns the rate to use from now on.
  WENGERT_API double operator()(double value, Where = Where::current());

  Stored<double> lr, best;
  Stored<std::int64_t> num_bad = 0;        ///< evaluations since the last improvement
  Stored<std::int64_t> cooldown_left = 0;  ///< coming evaluations that will not be counted

  static auto members(auto& self) {
    return fields(field("lr", self.lr.tensor), field("best", self.best.tensor), field("num_bad", self.num_bad.tensor),
                  field("cooldown_left", self.cooldown_left.tensor));
  }
};

}  // namespace wengert::optim::schedule

namespace wengert::optim {
using schedule::Schedule;
}
