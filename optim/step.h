#pragma once

// For authors of update rules. A first-order rule is one short file such as adam.h: options that check themselves, the
// constants of a step, the formula for one SIMD register, and a class that names its state. This header has the rest:
// visiting the parameters of a model, parameter groups, and running the compiled loop. Programs that use optimizers
// include optim.h.

#include "wengert/autodiff/base/pattern.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/optim/stored.h"

namespace wengert::optim::detail {

/// Checks of options. Each throws a ValueError such as "adam: beta2 must be in [0, 1), got 1.2".
struct WENGERT_API Check {
  std::string_view rule;
  Where where;
  void at_least_0(const char* option, double) const;
  void above_0(const char* option, double) const;
  void fraction(const char* option, double) const;  ///< in [0, 1)
  void finite(const char* option, double) const;
  void at_least(const char* option, std::int64_t min, std::int64_t) const;
  [[noreturn]] void outside(const char* option, const char* interval, double) const;
  void that(bool holds, const char* sentence) const;
};

/// Changes common to all rules before the formula: g = -g with maximize, g += weight_decay w, w *= shrink.
struct Common {
  double weight_decay = 0, shrink = 1;
  bool maximize = false;
  bool skips_zero_gradients = false;  // the formula changes nothing where g is zero

  /// True if a step changes nothing where g is zero, so that a row-sparse gradient updates its own rows only.
  bool skips_rows() const { return skips_zero_gradients && weight_decay == 0 && shrink == 1; }
};
inline Common common(double weight_decay, bool decoupled, double lr, bool maximize) {
  return decoupled ? Common{0, 1 - lr * weight_decay, maximize, false} : Common{weight_decay, 1, maximize, false};
}

/// The compiled loop of a rule: updates elements begin to end of w and its state from g. `at` holds the pointers w, g
/// and the state.
using UpdateLoop = void (*)(const void* step, const Common&, std::int64_t begin, std::int64_t end, void* const* at);

/// The maximum number of state tensors of a parameter.
inline constexpr std::size_t max_memory = 4;
/// Updates one parameter in place, in one pass.
WENGERT_API void run_update(UpdateLoop, const void* step, const Common&, Tensor& w, const Tensor& g,
                            std::span<Tensor* const> memory, Where);

/// The gradient that backward() left in a leaf and no optimizer has used yet; undefined if there is none.
WENGERT_API Tensor fresh_gradient(const Tensor&);
WENGERT_API void mark_used(const Tensor&);
WENGERT_API void replace_gradient(Tensor&, Tensor gradient);
[[noreturn]] WENGERT_API void nothing_to_do(Where);
/// Says that a model has no parameters, or that all of them are frozen.
[[noreturn]] WENGERT_API void nothing_to_train(std::string_view who, bool frozen, Where);
/// ShapeError, TypeError, GraphError unless g and the state have the shape and dtype of w, and w can be written.
WENGERT_API void check_fit(std::string_view name, const Tensor& w, const Tensor& g,
                           std::span<const Tensor* const> memory, Where);
using wengert::detail::fits;
[[noreturn]] WENGERT_API void no_such_group(std::string_view rule, std::string_view pattern, Where);

/// The trained tensors of the models of a step, in order. A visit lists the tensors of one model at a time. All further
/// work needs no templates, which a program would have to compile for every optimizer.
class WENGERT_API Lists {
 public:
  static constexpr std::size_t model = 0, gradients = 1, memory = 2;  // memory, memory + 1, ...
  /// Updates parameter i.
  using Update = void (*)(void* self, std::size_t i, Tensor& w, const Tensor& g, std::span<Tensor* const> memory,
                          Where);

  Lists();
  ~Lists();
  Lists(const Lists&);  // copies the names only: pointers to tensors are valid for one step
  Lists& operator=(const Lists&);

  void clear(std::size_t which);
  void add(std::size_t which, const Tensor&);
  void add_name(std::string_view path, const Tensor&);
  /// GraphError when every parameter of the model was frozen, or there is none.
  void check_any(std::string_view rule, Where) const;
  /// Throws unless `memories` state models have the structure of the model. fresh: gradients are those that backward()
  /// left, else those of the list.
  void check(std::size_t memories, bool fresh, Where) const;
  void run(std::size_t memories, bool fresh, Update, void* self, Where) const;

  std::vector<std::string> names;  // of the defined tensors

 private:
  std::size_t frozen_ = 0;  // of the names
  std::vector<Tensor*> all_[2 + max_memory];
};

/// The only walk that optimizers need.
template <class Model>
void list_trained(const Model& model, Lists& lists, std::size_t which, bool names = false) {
  if (!names) lists.clear(which);
  wengert::detail::walk<true>(
      [&](std::string_view path, const Tensor& t) { names ? lists.add_name(path, t) : lists.add(which, t); },
      wengert::detail::Skip(), Where(), model);
}

/// A model of the same structure whose elements are all `value`.
template <class Model>
Model filled_like(const Model& model, double value) {
  Model all = zeros_like(model);
  for_each_param(all, [&](Tensor& t) { t.assign(full(t.shape(), value, t.dtype())); });
  return all;
}

/// Runs step_of(i)(w, x) for every parameter w of `model` and x of `towards`, in place.
template <class Model, class F>
void step_towards(Model& model, const Model& towards, Where where, F&& step_of) {
  for_each_trained(
      std::as_const(model), towards,
      [&](std::string_view path, const Tensor& w, const Tensor& x) { check_fit(path, w, x, {}, where); }, where);
  std::size_t index = 0;
  for_each_trained(model, towards, [&](Tensor& w, const Tensor& x) {
    const auto step = step_of(index++);
    run_update(update_loop(step, w.dtype(), 0), &step, {}, w, x, {}, where);
  });
}

/// Self is the optimizer (Adam<Model>), which has
///   void visit_state(const Model& model, auto&& f);  calls f(state...) with its state, models like the model itself,
/// and may have
///   void adjust_step(std::size_t i, Step&);          which may adjust the step of parameter i.
/// Options has name, check(Check), common() and at(t), the constants of step t: a Step, for which update_loop(Step,
/// dtype, number of state models) finds the compiled loop.
template <class Self, class Model, class Options>
class FirstOrder : public Options {
 public:
  using Step = typename Options::Step;

  /// Separate options for some of the parameters.
  struct Group {
    std::string pattern;
    Options options;
    Stored<double> carried = 1;
    std::pair<Step, Common> plan = {};  // of this step
  };

  void step(Model& model, const Model& grads, Where where = Where::current()) {
    list_trained(grads, lists_, Lists::gradients);
    run(model, false, where);
  }
  void step(Model& model, Where where = Where::current()) { run(model, true, where); }

  /// Gives separate options to the parameters whose path ("hidden.bias") matches the pattern. The latest matching group
  /// counts. `*` matches any characters, `?` one character, and `|` separates alternatives. ValueError when no
  /// parameter matches. The reference is valid until the next group is made.
  ///   adam.group("*.bias|gain", {.lr = 1e-3, .weight_decay = 0});
  ///   adam.group("*.bias|gain").lr = 1e-4;
  Options& group(std::string_view pattern, Options options, Where where = Where::current()) {
    options.check({Options::name, where});
    bool found = false;
    for (std::size_t i = 0; i < lists_.names.size(); ++i) {
      if (!fits(lists_.names[i], pattern)) continue;
      found = true;
      if (group_of_.empty()) group_of_.resize(lists_.names.size());
      group_of_[i] = groups.size() + 1;
    }
    if (!found) wengert::detail::none_fits(Options::name, pattern, lists_.names, where);
    groups.push_back({std::string(pattern), options});
    return groups.back().options;
  }
  /// The options of the group that was made with this pattern.
  Options& group(std::string_view pattern, Where where = Where::current()) {
    for (Group& g : groups)
      if (g.pattern == pattern) return g.options;
    no_such_group(Options::name, pattern, where);
  }

  Stored<std::int64_t> t = 0;  ///< steps made
  std::vector<Group> groups;   ///< other parameters have the options of the class itself

 protected:
  FirstOrder(const Model& model, const Options& options, Where where) : Options(options) {
    list_trained(model, lists_, 0, true);
    options.check({Options::name, where});
    lists_.check_any(Options::name, where);
  }
  const Options& options() const { return *this; }
  std::int64_t parameters() const { return static_cast<std::int64_t>(lists_.names.size()); }
  /// The options of parameter i, in the order of for_each_param.
  const Options& options_of(std::size_t i) const {
    const std::size_t group = i < group_of_.size() ? group_of_[i] : 0;
    return group ? groups[group - 1].options : options();
  }
  /// True if `holds` is true for the options of any parameter.
  template <class F>
  bool any(F&& holds) const {
    bool any = holds(options());
    for (const Group& g : groups) any = any || holds(g.options);
    return any;
  }
  /// The fields that save() and load() see: those of the rule, and those of the base.
  template <class S, class... Own>
  static auto stored(S& self, Own... own) {
    if constexpr (carries)
      return fields(own..., field("t", self.t.tensor), field("carried", self.carried_.tensor),
                    field("groups", self.groups));
    else return fields(own..., field("t", self.t.tensor));
  }

 private:
  // A rule may carry a number from step to step, which begins as 1: at(t, carried).
  static constexpr bool carries = requires(const Options& o, double& carried) { o.at(1, carried); };

  Self& self() { return static_cast<Self&>(*this); }
  void check(Where where) const {
    options().check({Options::name, where});
    for (const Group& g : groups) g.options.check({Options::name, where});
  }
  static Step at(const Options& o, std::int64_t t, Stored<double>& carried) {
    if constexpr (carries) {
      double c = carried;
      const Step step = o.at(t, c);
      carried = c;
      return step;
    } else {
      return o.at(t);
    }
  }
  void begin() {
    t = t + 1;
    plan_ = {at(options(), t, carried_), options().common()};
    for (Group& g : groups) g.plan = {at(g.options, t, g.carried), g.options.common()};
  }
  void run(Model& model, bool fresh, Where where) {
    check(where);
    list_trained(model, lists_, Lists::model);
    self().visit_state(model, [&](auto&... memory) {
      [[maybe_unused]] std::size_t k = Lists::memory;
      (list_trained(memory, lists_, k++), ...);
      lists_.check(sizeof...(memory), fresh, where);
      begin();
      lists_.run(sizeof...(memory), fresh, update, this, where);
    });
  }
  static void update(void* self, std::size_t i, Tensor& w, const Tensor& g, std::span<Tensor* const> memory,
                     Where where) {
    FirstOrder& own = *static_cast<FirstOrder*>(self);
    const std::size_t group = i < own.group_of_.size() ? own.group_of_[i] : 0;
    auto [step, common] = group ? own.groups[group - 1].plan : own.plan_;
    if constexpr (requires { own.self().adjust_step(i, step); }) own.self().adjust_step(i, step);
    if constexpr (requires { step.skips_zero_gradients(memory.size()); })
      common.skips_zero_gradients = step.skips_zero_gradients(memory.size());
    run_update(update_loop(step, w.dtype(), static_cast<int>(memory.size())), &step, common, w, g, memory, where);
  }

  Stored<double> carried_ = 1;
  Lists lists_;
  std::vector<std::size_t> group_of_;  // 0: no group; empty while there are no groups
  std::pair<Step, Common> plan_;       // of this step
};

}  // namespace wengert::optim::detail
