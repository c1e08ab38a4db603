#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct AverageStep {
  double weight;  // of the new model

  template <class L>
  void operator()(L& average, L w) const {
    average = (1 - weight) * average + weight * w;
  }
};
WENGERT_API UpdateLoop update_loop(const AverageStep&, DType, int memory);

/// average += weight (model - average). What is not trained is copied; what is frozen in the model becomes so in its
/// average, and back.
template <class Model>
void average_in(Model& average, const Model& model, double weight, Where where) {
  wengert::detail::walk(
      []<class T>(std::string_view, T& to, const T& from) {
        if constexpr (std::is_same_v<T, Param>) {
          if (!from.is_frozen()) return to.unfreeze();
          to.freeze();
          to.assign(from);
        }
      },
      []<class T>(std::string_view, T& to, const T& from) {
        if constexpr (std::is_same_v<T, Tensor>) to = from;
        else if (to.defined()) to.assign(from);
      },
      where, average, model);
  step_towards(average, model, where, [=](std::size_t) { return AverageStep{weight}; });
}

}  // namespace detail

struct EmaOptions {
  double decay = 0.999;  ///< in [0, 1)
  bool warm_up = false;  ///< the decay of update t is min(decay, t / (t + 9)), so that initial weights fade soon
};

/// Exponential moving average of a model (Polyak & Juditsky 1992, with forgetting):
///   average = decay average + (1 - decay) w, initially w.
/// The average is a model, which can be evaluated and saved. Running statistics are copied from the model.
///   ema.update(model);   nn::accuracy(ema.average(x), y);
template <class Model>
class Ema : public EmaOptions {
 public:
  explicit Ema(const Model& model, EmaOptions options = {}, Where where = Where::current())
      : EmaOptions(options), average(copy(model)) {
    detail::Check{"ema", where}.fraction("decay", decay);
  }
  void update(const Model& model, Where where = Where::current()) {
    detail::Check{"ema", where}.fraction("decay", decay);
    updates = updates + 1;
    const double n = static_cast<double>(updates);
    const double early = n / (n + 9);
    detail::average_in(average, model, 1 - (warm_up && early < decay ? early : decay), where);
  }

  Model average;
  Stored<std::int64_t> updates = 0;

  static auto members(auto& self) {
    return fields(field("average", self.average), field("updates", self.updates.tensor));
  }
};

/// Stochastic weight averaging (Izmailov et al. 2018), or Polyak averaging: the mean of all models given to update().
/// The average has no batch norm statistics of its own: run the training data through `average` once in training mode.
template <class Model>
class Swa {
 public:
  explicit Swa(const Model& model) : average(copy(model)) {}
  void update(const Model& model, Where where = Where::current()) {
    updates = updates + 1;
    detail::average_in(average, model, 1 / static_cast<double>(updates), where);
  }

  Model average;
  Stored<std::int64_t> updates = 0;

  static auto members(auto& self) {
    return fields(field("average", self.average), field("updates", self.updates.tensor));
  }
};

struct LookaheadOptions {
  std::int64_t every = 5;  ///< steps
  double alpha = 0.5;      ///< in (0, 1]
};

/// Zhang et al. 2019, around any optimizer: every k steps the slow weights move towards the fast weights, which then
/// continue from the slow weights: slow += alpha (w - slow), w = slow.
///   adam.step(model, grads);   lookahead.update(model);
template <class Model>
class Lookahead : public LookaheadOptions {
 public:
  explicit Lookahead(const Model& model, LookaheadOptions options = {}, Where where = Where::current())
      : LookaheadOptions(options), slow(copy(model)) {
    check(where);
  }
  void update(Model& model, Where where = Where::current()) {
    check(where);
    updates = updates + 1;
    if (updates % every != 0) return;
    detail::average_in(slow, model, alpha, where);
    detail::step_towards(model, slow, where, [](std::size_t) { return detail::AverageStep{1}; });
  }

  Model slow;
  Stored<std::int64_t> updates = 0;

  static auto members(auto& self) { return fields(field("slow", self.slow), field("updates", self.updates.tensor)); }

 private:
  void check(Where where) const {
    const detail::Check c{"lookahead", where};
    c.at_least("every", 1, every);
    if (!(alpha > 0 && alpha <= 1)) c.outside("alpha", "(0, 1]", alpha);
  }
};

}  // namespace wengert::optim
