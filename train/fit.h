#pragma once

// A ready-made training loop. All of its parts are public, and a hand-written loop is as short:
//
//   const train::History history = train::fit(model, loss, batches, {.epochs = 20,
//                                                      .optimizer = adam,
//                                                      .validation = {{"accuracy", accuracy}},
//                                                      .callbacks = {ProgressBar(stdout), CsvLog("log.csv")}});
//
//   for (int epoch = 0; epoch < 20; ++epoch)
//     for (auto [x, y] : batches()) {
//       auto [loss, grads] = value_and_grad([&](const Mlp& m) { return nn::cross_entropy(m(x), y); }, model);
//       adam.step(model, grads);
//     }
//
// `loss` is a function of a prediction and a target, loss(y_hat, y), or of a model and a batch, loss(model, x, y). The
// second form is for models that are not called as model(x). `batches` is a range of pairs {x, y}, whose rows are
// counted along the first axis of x, or a function that returns such a range and is called for each epoch:
//
//   [&] { return data::batches(train, {.batch_size = 64, .shuffle = rng}); }

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/pass.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/optim/adam.h"
#include "wengert/optim/clip.h"
#include "wengert/optim/schedule.h"
#include "wengert/train/event.h"
#include "wengert/train/state.h"

#include <limits>

namespace wengert::train {

/// Any optimizer whose step takes gradients. `.optimizer = adam` refers to a variable, `.optimizer =
/// optim::Adam(model)` owns a temporary.
template <class Model>
class AnyOptimizer {
 public:
  template <class O>
  requires(!std::same_as<std::remove_cvref_t<O>, AnyOptimizer>) AnyOptimizer(O&& optimizer) {
    using Own = std::remove_reference_t<O>;
    static_assert(
        requires(Own& o, Model& m, const Model& g) { o.step(m, g); },
        "fit: the optimizer must have step(model, grads); methods that evaluate the function, as Lbfgs, want "
        "a loop of yours");
    if constexpr (std::is_lvalue_reference_v<O>) optimizer_ = {std::shared_ptr<void>(), &optimizer};
    else optimizer_ = std::make_shared<Own>(std::move(optimizer));
    prepare_ = [](void* o, Model& model, const double* rate) -> double {
      Own& own = *static_cast<Own*>(o);
      if constexpr (requires { own.look_ahead(model); }) own.look_ahead(model);
      if constexpr (requires { own.lr = *rate; }) {
        if (rate) own.lr = *rate;
        return own.lr;
      } else {
        return std::numeric_limits<double>::quiet_NaN();
      }
    };
    step_ = [](void* o, Model& model, const Model& grads, Where where) {
      static_cast<Own*>(o)->step(model, grads, where);
    };
  }
  /// Prepares a step before the gradient is computed. Returns the rate.
  double prepare(Model& model, const double* rate) const { return prepare_(optimizer_.get(), model, rate); }
  void step(Model& model, const Model& grads, Where where) const { step_(optimizer_.get(), model, grads, where); }

 private:
  std::shared_ptr<void> optimizer_;
  double (*prepare_)(void*, Model&, const double*);
  void (*step_)(void*, Model&, const Model&, Where);
};

/// A named metric of a model, measured after every epoch: {"accuracy", [&](const Mlp& m) { return evaluate(m,
/// nn::accuracy, test); }}.
template <class Model>
struct Metric {
  std::string name;
  wengert::detail::Function<double(const Model&)> measure;
};

template <class Model>
struct FitOptions {
  std::int64_t epochs = 10;
  std::optional<AnyOptimizer<Model>> optimizer = {};  ///< nullopt: Adam with its defaults
  std::optional<optim::Schedule> lr = {};             ///< rate as a function of the step, from 0
  double clip_norm = 0;                               ///< of all gradients together; 0: no clipping
  std::vector<Metric<Model>> validation = {};         ///< metrics after every epoch, columns of the history
  std::vector<FitCallback> callbacks = {};            ///< called in this order
  Progress* state = nullptr;     ///< a train::State: continues from it up to `epochs` in all, and updates it
  bool allow_nonfinite = false;  ///< false: a non-finite loss is a ValueError, before its step
};

namespace detail {

/// Type-erased state of a training run and its callbacks.
class WENGERT_API TrainingRun {
 public:
  TrainingRun(std::int64_t epochs, double clip_norm, bool allow_nonfinite, Progress*, std::vector<FitCallback>,
              std::vector<std::string> metrics, Where);
  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;

  /// True while an epoch is left.
  bool next_epoch();
  void begin_epoch(std::int64_t batches);
  std::int64_t step() const;  ///< number of steps so far
  void check_loss(double loss) const;
  void after_step(double loss, std::int64_t rows, double norm, double lr);
  bool stopped() const;
  void after_epoch(const std::vector<double>& validation);
  History finish();

 private:
  struct State;
  wengert::detail::Hidden<State> state_;
};

template <class Loss, class Model, class X, class Y>
auto apply_loss(Loss& loss, const Model& model, const X& x, const Y& y) {
  if constexpr (std::is_invocable_v<Loss&, const Model&, const X&, const Y&>) return loss(model, x, y);
  else {
    static_assert(std::is_invocable_v<Loss&, decltype(model(x)), const Y&>,
                  "fit: the loss must take (model, x, y) or (prediction, y)");
    return loss(model(x), y);
  }
}

// The batches of an epoch: the result of the function, or the range itself.
template <class Batches>
decltype(auto) one_epoch(Batches& batches) {
  if constexpr (std::is_invocable_v<Batches&>) return batches();
  else return (batches);
}
template <class Batches>
std::int64_t count_batches(const Batches& batches) {
  if constexpr (requires { static_cast<std::int64_t>(batches.size()); })
    return static_cast<std::int64_t>(batches.size());
  else return 0;
}

}  // namespace detail

/// Trains a model in place. Returns the history, one row per epoch.
/// ValueError for epochs < 0, for clip_norm < 0, for two metrics with one name, for an epoch without batches, and for a
/// non-finite loss; then the model is as it was before that step.
template <class Model, class Loss, class Batches>
History fit(Model& model, Loss&& loss, Batches&& batches, std::type_identity_t<FitOptions<Model>> options = {},
            Where where = Where::current()) {
  std::vector<std::string> names;
  for (const Metric<Model>& m : options.validation) names.push_back(m.name);
  detail::TrainingRun run(options.epochs, options.clip_norm, options.allow_nonfinite, options.state, options.callbacks,
                          names, where);
  const AnyOptimizer<Model> optimizer = options.optimizer ? *options.optimizer : optim::Adam<Model>(model);
  while (run.next_epoch()) {
    auto&& epoch = detail::one_epoch(batches);
    run.begin_epoch(detail::count_batches(epoch));
    for (auto&& [x, y] : epoch) {
      const double rate = options.lr ? (*options.lr)(run.step()) : 0;
      const double lr = optimizer.prepare(model, options.lr ? &rate : nullptr);
      auto f = [&loss, &x = x, &y = y](const Model& m) { return detail::apply_loss(loss, m, x, y); };
      auto [value, grads] = value_and_grad(f, model);
      run.check_loss(value.item());
      const double norm = options.clip_norm > 0 ? optim::clip_norm(grads, options.clip_norm, {}, where)
                                                : std::numeric_limits<double>::quiet_NaN();
      optimizer.step(model, grads, where);
      run.after_step(value.item(), x.size(0), norm, lr);
      if (run.stopped()) break;
    }
    if (run.stopped()) break;
    std::vector<double> measured;
    no_grad off;
    for (const Metric<Model>& m : options.validation) measured.push_back(m.measure(model));
    run.after_epoch(measured);
  }
  return run.finish();
}

/// The mean of a metric over all rows. The metric is called as fit() calls its loss, and returns the mean of a batch:
/// train::evaluate(model, nn::accuracy, data::batches(test, {.batch_size = 256})).  Off the tape.  NaN when there are
/// no rows.
template <class Model, class F, class Batches>
double evaluate(const Model& model, F&& metric, Batches&& batches) {
  no_grad off;
  double sum = 0, rows = 0;
  for (auto&& [x, y] : detail::one_epoch(batches)) {
    const auto n = static_cast<double>(x.size(0));
    const auto value = detail::apply_loss(metric, model, x, y);
    if constexpr (std::is_same_v<std::remove_const_t<decltype(value)>, Tensor>) sum += n * value.item();
    else sum += n * static_cast<double>(value);
    rows += n;
  }
  return sum / rows;
}

}  // namespace wengert::train
