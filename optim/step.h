#pragma once

// What all update rules share. A first-order rule is one short file (adam.h): options that check themselves, the
// constants of a step, the formula for one register of numbers, and a class that names what is remembered. Here is
// the rest: walking the model, parameter groups, running the compiled loop. Users include optim.h.

#include "wengert/autodiff/base/pattern.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/optim/kept.h"

namespace wengert::optim::detail {

/// Speaks about one option: "adam: beta2 must be in [0, 1), got 1.2". All throw ValueError.
struct WENGERT_API Check {
  std::string_view rule;
  Where where;
  void at_least_0(const char* option, double) const;
  void above_0(const char* option, double) const;
  void fraction(const char* option, double) const;  ///< in [0, 1)
  void finite(const char* option, double) const;
  void that(bool holds, const char* sentence) const;
};

/// What every rule does to a gradient before its formula: g = -g, g += weight_decay w, and to w: w *= shrink.
struct Common {
  double weight_decay = 0, shrink = 1;
  bool maximize = false;
  bool rests = false;  // the formula changes nothing where g is zero

  bool skips_zeros() const { return rests && weight_decay == 0 && shrink == 1; }
};
inline Common common(double weight_decay, bool decoupled, double lr, bool maximize) {
  return decoupled ? Common{0, 1 - lr * weight_decay, maximize, false} : Common{weight_decay, 1, maximize, false};
}

/// The compiled loop of a rule: numbers from begin to end of w, g and what is remembered.
using UpdateLoop = void (*)(const void* step, const Common&, std::int64_t begin, std::int64_t end, void* const* at);

/// What is remembered of a parameter: at most so many tensors.
inline constexpr std::size_t max_memory = 4;
/// Updates one parameter in place, in one pass.
WENGERT_API void run_update(UpdateLoop, const void* step, const Common&, Tensor& w, const Tensor& g,
                            std::span<Tensor* const> memory, Where);

/// The gradient that an optimizer has not used yet: what backward() left in a leaf, or the number itself in a model of
/// gradients.
WENGERT_API Tensor fresh_gradient(const Tensor&);
WENGERT_API void mark_used(const Tensor&);
WENGERT_API void replace_gradient(Tensor&, Tensor gradient);
[[noreturn]] WENGERT_API void nothing_to_do(Where);
/// ShapeError, TypeError, GraphError unless w can be changed by g and what is remembered has w's shape.
WENGERT_API void check_fit(std::string_view name, const Tensor& w, const Tensor& g,
                           std::span<const Tensor* const> memory, Where);
using wengert::detail::fits;
[[noreturn]] WENGERT_API void no_such_group(std::string_view rule, std::string_view pattern,
                                            const std::vector<std::string>& names, Where);

/// The trained tensors of the models of a step, in order. The walk puts them here, one model at a time, and everything
/// else is done without templates: those are what a user's program has to compile for every optimizer.
class WENGERT_API Lists {
 public:
  static constexpr std::size_t model = 0, gradients = 1, memory = 2;  // memory, memory + 1, ...
  /// Changes one parameter, the i-th.
  using Update = void (*)(void* self, std::size_t i, Tensor& w, const Tensor& g, std::span<Tensor* const> memory,
                          Where);

  Lists();
  ~Lists();
  Lists(const Lists&);  // only of the names: what is listed is of no use to a copy
  Lists& operator=(const Lists&);

  void clear(std::size_t which);
  void add(std::size_t which, const Tensor&);
  void add_name(std::string_view path, const Tensor&);
  /// Throws unless `memories` models fit the model; gradients are those of the list, or what backward() left.
  void check(std::size_t memories, bool fresh, Where) const;
  void run(std::size_t memories, bool fresh, Update, void* self, Where) const;

  std::vector<std::string> names;  // of the defined ones

 private:
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

/// A model of the same build, every number of which is `value`.
template <class Model>
Model filled_like(const Model& model, double value) {
  Model all = zeros_like(model);
  for_each_param(all, [&](Tensor& t) { t.assign(full(t.shape(), value, t.dtype())); });
  return all;
}

/// Runs step_of(i)(w, x) for every parameter w of `model` and x of `towards`, in place.
template <class Model, class F>
void step_towards(Model& model, const Model& towards, Where where, F&& step_of) {
  for_each_param(
      std::as_const(model), towards,
      [&](std::string_view path, const Tensor& w, const Tensor& x) { check_fit(path, w, x, {}, where); }, where);
  std::size_t index = 0;
  for_each_param(model, towards, [&](Tensor& w, const Tensor& x) {
    const auto step = step_of(index++);
    run_update(update_loop(step, w.dtype(), 0), &step, {}, w, x, {}, where);
  });
}

/// Self is the optimizer (Adam<Model>), which has
///   void remembered(const Model& model, auto&& f);   calls f(models that are remembered...)
/// and may have
///   void before(std::size_t i, Step&);               the last word about the step of parameter i.
/// Options has name, check(Check), common() and at(t), the constants of step t: a Step, for which update_loop(Step,
/// dtype, number of models remembered) finds the compiled loop.
template <class Self, class Model, class Options>
class FirstOrder : public Options {
 public:
  using Step = typename Options::Step;

  /// Options of their own for a part of the parameters.
  struct Group {
    std::string pattern;
    Options options;
    Kept<double> carried = 1;
    std::pair<Step, Common> plan = {};  // of this step
  };

  void step(Model& model, const Model& grads, Where where = Where::current()) {
    list_trained(grads, lists_, Lists::gradients);
    run(model, false, where);
  }
  void step(Model& model, Where where = Where::current()) { run(model, true, where); }

  /// From now on the parameters whose path ("hidden.bias") fits the pattern have options of their own; of several
  /// groups the latest counts. `*` stands for any letters, `?` for one, `|` separates alternatives. ValueError when no
  /// parameter fits. The reference is good until the next group is made.
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
    if (!found) no_such_group(Options::name, pattern, lists_.names, where);
    groups.push_back({std::string(pattern), options});
    return groups.back().options;
  }
  /// The options of the group that was made with this pattern.
  Options& group(std::string_view pattern, Where where = Where::current()) {
    for (Group& g : groups)
      if (g.pattern == pattern) return g.options;
    no_such_group(Options::name, pattern, {}, where);
  }

  Kept<std::int64_t> t = 0;   ///< steps made
  std::vector<Group> groups;  ///< the options of the class itself are for all other parameters

 protected:
  FirstOrder(const Model& model, const Options& options, Where where) : Options(options) {
    list_trained(model, lists_, 0, true);
    options.check({Options::name, where});
  }
  const Options& options() const { return *this; }
  std::int64_t parameters() const { return static_cast<std::int64_t>(lists_.names.size()); }
  /// Those of a parameter, by its place in for_each_param.
  const Options& options_of(std::size_t i) const {
    const std::size_t group = i < group_of_.size() ? group_of_[i] : 0;
    return group ? groups[group - 1].options : options();
  }
  /// Does it hold for the options of any parameter?
  template <class F>
  bool any(F&& holds) const {
    bool any = holds(options());
    for (const Group& g : groups) any = any || holds(g.options);
    return any;
  }
  /// What save() and load() see.
  template <class S, class... Own>
  static auto kept(S& self, Own... own) {
    if constexpr (carries)
      return fields(own..., field("t", self.t.tensor), field("carried", self.carried_.tensor),
                    field("groups", self.groups));
    else return fields(own..., field("t", self.t.tensor));
  }

 private:
  // A rule may carry a number from step to step: at(t, carried), at first 1.
  static constexpr bool carries = requires(const Options& o, double& carried) { o.at(1, carried); };

  Self& self() { return static_cast<Self&>(*this); }
  void check(Where where) const {
    options().check({Options::name, where});
    for (const Group& g : groups) g.options.check({Options::name, where});
  }
  static Step at(const Options& o, std::int64_t t, Kept<double>& carried) {
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
    self().remembered(model, [&](auto&... memory) {
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
    if constexpr (requires { own.self().before(i, step); }) own.self().before(i, step);
    if constexpr (requires { step.rests(memory.size()); }) common.rests = step.rests(memory.size());
    run_update(update_loop(step, w.dtype(), static_cast<int>(memory.size())), &step, common, w, g, memory, where);
  }

  Kept<double> carried_ = 1;
  Lists lists_;
  std::vector<std::size_t> group_of_;  // 0: none; empty while there are no groups
  std::pair<Step, Common> plan_;       // of this step
};

}  // namespace wengert::optim::detail
