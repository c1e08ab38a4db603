#pragma once

#include "wengert/optim/kept.h"

#include <limits>
#include <memory>

// Schedules: functions of the step, counted from 0, that give a learning rate (or a momentum, a weight decay). Plain
// structs that hold no state; call them before each step:
//
//   const optim::Cosine lr{.base = 0.1, .steps = 1000};
//   sgd.lr = lr(step);
//
// They compose: `optim::WarmUp{10} * optim::Cosine{0.1, 0, 1000}` multiplies, `optim::in_turn({{warm_up, 10}, {cosine,
// 990}})` runs one after the other. Any function of the step is a Schedule. ValueError when a field has no sense.

namespace wengert::optim {

/// base.
struct Constant {
  double base = 1;
  double operator()(std::int64_t) const { return base; }
};

/// base factor^(step / every), rounded down.
struct StepDecay {
  double base = 1;
  std::int64_t every = 30;
  double factor = 0.1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// base factor^(how many milestones are not above the step).
struct MultiStep {
  double base = 1;
  std::vector<std::int64_t> milestones;
  double factor = 0.1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// base factor^step.
struct Exponential {
  double base = 1, factor = 0.99;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// (base - last) (1 - step / steps)^power + last, then last.
struct Polynomial {
  double base = 1, last = 0;
  std::int64_t steps = 100;
  double power = 1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// A straight line from `from` to `to`, then `to`.
struct Linear {
  double from = 1, to = 0;
  std::int64_t steps = 100;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// A factor that rises as 1/n, 2/n, ..., 1 and stays there: the first update is a small one, not none.
struct WarmUp {
  std::int64_t steps = 10;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// min + (base - min) (1 + cos(pi step / steps)) / 2, then min.  Loshchilov & Hutter 2017, eq. 5, without restarts.
struct Cosine {
  double base = 1, min = 0;
  std::int64_t steps = 100;
  bool clamp = true;  ///< false: rises again after `steps`, as torch's CosineAnnealingLR
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// The same with warm restarts: after `steps` it begins anew, each time `times` longer.  Loshchilov & Hutter 2017.
struct CosineRestarts {
  double base = 1, min = 0;
  std::int64_t steps = 10, times = 1;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
};

/// From max / div up to max in `rise` of all steps, then down to max / div / final_div; three_phases goes down to max /
/// div in as many steps as it rose, and on in the rest. Along cosines unless linear. Smith & Topin 2018.
struct OneCycle {
  double max = 1;
  std::int64_t steps = 100;
  double rise = 0.3;
  double div = 25, final_div = 1e4;
  bool linear = false, three_phases = false;
  double momentum_low = 0.85, momentum_high = 0.95;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
  /// Of the momentum, which moves the other way: high, low while the rate is at its maximum, high.
  WENGERT_API double momentum(std::int64_t step, Where = Where::current()) const;
};

/// Up from low to high in `up` steps and down in `down` (0: as many), again and again.  Smith 2017.
struct Cyclic {
  enum Shape {
    triangular,  ///< every triangle the same
    halving,     ///< each half as high as the one before (Smith's triangular2)
    decaying,    ///< heights times gamma^step (exp_range)
  };
  double low = 1e-3, high = 1e-2;
  std::int64_t up = 2000, down = 0;
  Shape shape = triangular;
  double gamma = 1;
  double momentum_low = 0.8, momentum_high = 0.9;
  WENGERT_API double operator()(std::int64_t step, Where = Where::current()) const;
  /// Of the momentum, which moves the other way.
  WENGERT_API double momentum(std::int64_t step, Where = Where::current()) const;

 private:
  double height(std::int64_t step, Where) const;
};

/// Any function of the step.
class Schedule {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Schedule> && std::is_invocable_r_v<double, const F&, std::int64_t>)
  Schedule(F f)
      : f_(std::make_shared<F>(std::move(f))),
        call_([](const void* f, std::int64_t step) -> double { return (*static_cast<const F*>(f))(step); }) {}
  double operator()(std::int64_t step) const { return call_(f_.get(), step); }

 private:
  std::shared_ptr<const void> f_;
  double (*call_)(const void*, std::int64_t);
};

WENGERT_API Schedule operator*(Schedule a, Schedule b);

struct Phase {
  Schedule schedule;
  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
};
/// Each for its number of steps, counting them from 0; the last one goes on.
WENGERT_API Schedule in_turn(std::vector<Phase> phases, Where = Where::current());

struct PlateauOptions {
  double factor = 0.1;         ///< in (0, 1)
  std::int64_t patience = 10;  ///< evaluations without improvement that are put up with
  double threshold = 1e-4;     ///< what counts as improvement:
  bool relative = true;        ///< below best - threshold |best|, or best - threshold
  bool maximize = false;       ///< larger is better
  std::int64_t cooldown = 0;   ///< evaluations after a reduction that do not count
  double min = 0;              ///< of the rate
  double eps = 1e-8;           ///< smaller changes of the rate are not made
};

/// The rate times factor after more than `patience` evaluations without improvement, as torch does; a NaN is none.
/// (Keras reduces one evaluation earlier, and has relative = false.)
///   optim::Plateau plateau{0.1};   sgd.lr = plateau(validation_loss);
class Plateau : public PlateauOptions {
 public:
  WENGERT_API explicit Plateau(double lr, PlateauOptions = {}, Where = Where::current());
  /// The rate from now on.
  WENGERT_API double operator()(double value, Where = Where::current());

  Kept<double> lr, best;
  Kept<std::int64_t> bad = 0, cooling = 0;  ///< evaluations without improvement; to come that do not count

  static auto members(auto& self) {
    return fields(field("lr", self.lr.tensor), field("best", self.best.tensor), field("bad", self.bad.tensor),
                  field("cooling", self.cooling.tensor));
  }
};

}  // namespace wengert::optim
