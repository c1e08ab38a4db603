#pragma once

// Memory for time: what f computes is not kept for its derivative, but computed again when the derivative is wanted.
//
//   Tensor h = checkpoint([](const Block& block, const Tensor& t) { return block(t); }, model.block, x);

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/tape.h"

#include <memory>

namespace wengert {

namespace detail {

class RecordedRun;

/// f and its operands, to be run again.
struct Recipe {
  virtual ~Recipe() = default;
  /// Every tensor of the result.
  virtual std::vector<Tensor> run() const = 0;
};

/// The first run of f.
class WENGERT_API FirstRun {
 public:
  explicit FirstRun(std::shared_ptr<const Recipe>);
  ~FirstRun();
  FirstRun(const FirstRun&) = delete;
  /// f has returned: its nodes forget what they saved.
  void finish(const std::vector<Tensor>& results);

 private:
  ContextScope scope_;
  RecordedRun* run_;
};

/// A copy of an operand that stands at the same place of the tape.
template <class X>
X connected_copy(const X& x) {
  if constexpr (part_of<X>() == Part::nothing || part_of<X>() == Part::unknown) {
    return x;
  } else {
    X copy = shared_copy(x);
    for_each_param(copy, x, [](Tensor& to, const Tensor& from) { Access::become(to, Tensor(from)); });
    return copy;
  }
}

/// All tensors of a value, trained or not.
template <class Y>
std::vector<Tensor> tensors_of(const Y& y) {
  std::vector<Tensor> all;
  for_each_tensor(y, [&](const Tensor& t) { all.push_back(t); });
  return all;
}

template <class F, class... X>
struct RecipeOf final : Recipe {
  F f;
  std::tuple<X...> x;

  RecipeOf(F&& g, const X&... operands) : f(std::move(g)), x(connected_copy(operands)...) {}
  auto call() const {
    return std::apply([&](const X&... operands) { return f(operands...); }, x);
  }
  std::vector<Tensor> run() const override { return tensors_of(call()); }
};

}  // namespace detail

/// f(x...), without what its derivative would keep: that is computed again, by running f once more, when a derivative
/// asks for it. Values and gradients have the same bits as those of f(x...); so have derivatives in any mode and of any
/// order. Checkpoints may stand inside each other and inside transforms, and transforms inside them. A long chain is
/// cheapest when it is cut in about as many pieces as each has steps.
///
/// f is a function of operands x: tensors, models, and anything else that can be copied. It returns a Tensor, or a
/// struct, tuple or vector of them. Operands are kept until the graph dies (their numbers are shared, not copied).
/// Whatever else f captures stays on the tape as it would without checkpoint: parameters of a captured model receive
/// their gradients. But f runs later, so what it captures by reference has to live then, unchanged; pass what is local
/// as an operand.
///
/// Random numbers from Rng are the same again, whoever owns the generator, and the generator moves on once only.
/// Changes in place by assign() happen once. GraphError, when the derivative is computed, if f does not do again what
/// it did: other operators, other shapes, other numbers in the result.
///
/// Under no_grad, and when nothing is on the tape, nothing is kept.
template <class F, class... X>
auto checkpoint(F f, const X&... x) {
  static_assert(std::is_invocable_v<const F&, const std::decay_t<const X&>&...>,
                "wengert: f of checkpoint(f, x...) is called as f(x...) with const operands, and twice: a mutable "
                "lambda would not do the same again");
  using Y = decltype(std::declval<const detail::RecipeOf<F, std::decay_t<const X&>...>&>().call());
  static_assert(detail::part_of<Y>() != detail::Part::unknown && detail::part_of<Y>() != detail::Part::nothing,
                "wengert: f of checkpoint(f, x...) returns a Tensor, or a struct, tuple, array or vector of them");
  auto recipe = std::make_shared<const detail::RecipeOf<F, std::decay_t<const X&>...>>(std::move(f), x...);
  if (!recording()) return recipe->call();
  detail::FirstRun run(recipe);
  Y y = recipe->call();
  run.finish(detail::tensors_of(y));
  return y;
}

}  // namespace wengert
