#pragma once

// A training loop for those who do not want to write one. It is made of parts that are all public, and the loop by hand
// is as short:
//
//   const History history = fit(model, loss, batches, {.epochs = 20,
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
// `loss` is a function of a prediction and what is known, loss(y_hat, y), or of the model and a batch,
// loss(model, x, y), which a model needs that is called otherwise than model(x).
// `batches` is anything that a range-for takes and that gives pairs {x, y} (rows are counted along the first axis of
// x), or a function that returns one, and is called for each epoch:
//
//   [&] { return data::batches(train, {.size = 64, .shuffle = rng}); }

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

namespace wengert {

/// Any optimizer that takes gradients: .optimizer = adam refers to yours, .optimizer = optim::Adam(model) keeps it.
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
  /// What comes before the gradient; returns the rate.
  double prepare(Model& model, const double* rate) const { return prepare_(optimizer_.get(), model, rate); }
  void step(Model& model, const Model& grads, Where where) const { step_(optimizer_.get(), model, grads, where); }

 private:
  std::shared_ptr<void> optimizer_;
  double (*prepare_)(void*, Model&, const double*);
  void (*step_)(void*, Model&, const Model&, Where);
};

/// A number by which a model is validated: {"accuracy", [&](const Mlp& m) { return evaluate(m, nn::accuracy, test); }}.
template <class Model>
class Measure {
 public:
  template <class F>
  requires std::is_invocable_r_v<double, F&, const Model&> Measure(std::string name, F f)
      : name(std::move(name)),
        f_(std::make_shared<F>(std::move(f))),
        call_([](void* f, const Model& model) -> double { return (*static_cast<F*>(f))(model); }) {}
  double operator()(const Model& model) const { return call_(f_.get(), model); }

  std::string name;

 private:
  std::shared_ptr<void> f_;
  double (*call_)(void*, const Model&);
};

template <class Model>
struct FitOptions {
  std::int64_t epochs = 10;
  std::optional<AnyOptimizer<Model>> optimizer = {};  ///< Adam with its defaults if none
  std::optional<optim::Schedule> lr = {};             ///< of the step, from 0; sets the optimizer's before each
  double clip_norm = 0;                               ///< of all gradients together; 0: they are not clipped
  std::vector<Measure<Model>> validation = {};        ///< measured after every epoch, into columns of the history
  std::vector<FitCallback> callbacks = {};            ///< told in this order
  FitPosition* state = nullptr;  ///< a TrainState: goes on where it is, up to `epochs` in all, and keeps it up to date
  bool allow_nonfinite = false;  ///< else a loss that is not finite ends with a ValueError, before its step
};

namespace detail {

/// How far a training is, and who is told. All of fit() that does not depend on types.
class WENGERT_API Course {
 public:
  Course(std::int64_t epochs, double clip_norm, bool allow_nonfinite, FitPosition*, std::vector<FitCallback>,
         std::vector<std::string> measures, Where);
  ~Course();
  Course(const Course&) = delete;

  /// Is there an epoch to come?
  bool next_epoch();
  void begin_epoch(std::int64_t batches);
  std::int64_t step() const;  ///< steps made
  void check_loss(double loss) const;
  void after_step(double loss, std::int64_t rows, double norm, double lr);
  bool stopped() const;
  void after_epoch(const std::vector<double>& validation);
  History finish();

 private:
  struct State;
  Hidden<State> state_;
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

// Batches of the next epoch: what the function gives, or the range itself.
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

/// Trains a model in place. Returns what came of every epoch.
/// ValueError for epochs < 0, clip_norm < 0 or two measures of one name; when an epoch has no batches; when the loss of
/// a step is not finite. Then the model is as it was before that step.
template <class Model, class Loss, class Batches>
History fit(Model& model, Loss&& loss, Batches&& batches, std::type_identity_t<FitOptions<Model>> options = {},
            Where where = Where::current()) {
  std::vector<std::string> names;
  for (const Measure<Model>& m : options.validation) names.push_back(m.name);
  detail::Course course(options.epochs, options.clip_norm, options.allow_nonfinite, options.state, options.callbacks,
                        names, where);
  const AnyOptimizer<Model> optimizer = options.optimizer ? *options.optimizer : optim::Adam<Model>(model);
  while (course.next_epoch()) {
    auto&& epoch = detail::one_epoch(batches);
    course.begin_epoch(detail::count_batches(epoch));
    for (auto&& [x, y] : epoch) {
      const double rate = options.lr ? (*options.lr)(course.step()) : 0;
      const double lr = optimizer.prepare(model, options.lr ? &rate : nullptr);
      auto f = [&loss, &x = x, &y = y](const Model& m) { return detail::apply_loss(loss, m, x, y); };
      auto [value, grads] = value_and_grad(f, model);
      course.check_loss(value.item());
      const double norm = options.clip_norm > 0 ? optim::clip_norm(grads, options.clip_norm, {}, where)
                                                : std::numeric_limits<double>::quiet_NaN();
      optimizer.step(model, grads, where);
      course.after_step(value.item(), x.size(0), norm, lr);
      if (course.stopped()) break;
    }
    if (course.stopped()) break;
    std::vector<double> measured;
    no_grad off;
    for (const Measure<Model>& m : options.validation) measured.push_back(m(model));
    course.after_epoch(measured);
  }
  return course.finish();
}

/// The mean over all rows of a measure, which is called as fit() calls its loss and gives a number, or a mean, for each
/// batch:  evaluate(model, nn::accuracy, data::batches(test, {.size = 256})).  Off the tape.  NaN when there are none.
template <class Model, class F, class Batches>
double evaluate(const Model& model, F&& measure, Batches&& batches) {
  no_grad off;
  double sum = 0, rows = 0;
  for (auto&& [x, y] : detail::one_epoch(batches)) {
    const auto n = static_cast<double>(x.size(0));
    const auto value = detail::apply_loss(measure, model, x, y);
    if constexpr (std::is_same_v<std::remove_const_t<decltype(value)>, Tensor>) sum += n * value.item();
    else sum += n * static_cast<double>(value);
    rows += n;
  }
  return sum / rows;
}

}  // namespace wengert
