#pragma once

// Functions of one example, over the examples of a batch: values, Jacobians, gradients.

#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"

namespace wengert {

struct PerExampleOptions {
  /// Examples on several threads (threads()). For an f that changes nothing it shares: no generator, no running
  /// statistics. The gradients are the same bits. Without effect inside another transform.
  bool parallel = false;
};

namespace detail {

/// The common size of axis 0. ShapeError when sizes differ or an operand has no axes; ValueError when it is 0.
WENGERT_API std::int64_t examples_in(const char* transform, std::span<const Operand> x);
WENGERT_API Tensor entry_of(const Operand& x, std::int64_t i);      // without axis 0
WENGERT_API Tensor batch_of_one(const Operand& x, std::int64_t i);  // with axis 0, of size one
/// [n, shape of a row of y..., shape of a row of x...]
WENGERT_API Tensor jacobian_of_rows(Run&);
/// What comes out of f is the exception of the first example that threw.
WENGERT_API void for_examples(std::int64_t n, bool parallel, void (*f)(void*, std::int64_t), void* context);

/// Tensors of one structure after the other, stacked along a new axis 0.
class WENGERT_API Stack {
 public:
  Stack(const char* transform, Where where) : transform_(transform), where_(where) {}
  void add(const std::vector<Tensor>&);
  std::vector<Tensor> tensors() const;

 private:
  const char* transform_;
  Where where_;
  std::vector<std::vector<Tensor>> parts_;
};

template <class F, std::same_as<Operand>... X>
auto vmap(F& f, const X&... x) {
  using Y = std::remove_cvref_t<std::invoke_result_t<F&, decltype(x.tensor())...>>;
  const Operand all[] = {x...};
  const std::int64_t n = examples_in("vmap", all);
  Stack stack("vmap", all[0].where());
  std::optional<Y> first;
  for (std::int64_t i = 0; i < n; ++i) {
    Y y = f(entry_of(x, i)...);
    stack.add(tensors_of(y));
    if (!first) first.emplace(std::move(y));
  }
  std::vector<Tensor> stacked = stack.tensors();
  auto next = stacked.begin();
  for_each_tensor(*first, [&](Tensor& t) { t = std::move(*next++); });
  return *std::move(first);
}

template <class F, class M, std::same_as<Operand>... X>
M per_example_gradients(PerExampleOptions options, F& f, const M& model, const X&... data) {
  const Operand all[] = {data...};
  const std::int64_t n = examples_in("per_example_gradients", all);
  const Where where = all[0].where();
  std::vector<std::optional<M>> each(static_cast<std::size_t>(n));
  auto one = [&](std::int64_t i) {
    auto loss = [&](const M& m) { return f(m, batch_of_one(data, i)...); };
    Trace<M> t("per_example_gradients", loss, model, {}, where);
    t.pull_loss(t.create_graph());
    each[static_cast<std::size_t>(i)].emplace(t.gradients());
  };
  for_examples(n, options.parallel, [](void* c, std::int64_t i) { (*static_cast<decltype(one)*>(c))(i); }, &one);
  Stack stack("per_example_gradients", where);
  for (auto& g : each) stack.add(parameters(*g));
  std::vector<Tensor> stacked = stack.tensors();
  auto next = stacked.begin();
  fill_gradients(*each[0], [&](const Tensor&) { return std::move(*next++); });
  return *std::move(each[0]);
}

}  // namespace detail

/// f(x[i]) for every entry i of axis 0, stacked along a new axis 0: what a batch would give, for an f that was written
/// for one example. f returns a Tensor, or a struct, tuple or vector of them; derivatives go through. With several
/// operands, f(a[i], b[i]). Runs f once for each entry (operators are not batched), so an f that takes a whole batch is
/// faster as it is. ShapeError when the sizes of axis 0 differ, or the shapes of results; ValueError when there is no
/// entry.
///
///   Tensor y = vmap([](const Tensor& a, const Tensor& b) { return matmul(a, b); }, as, bs);
template <class F>
auto vmap(F&& f, Operand x) {
  return detail::vmap(f, x);
}
template <class F>
auto vmap(F&& f, Operand a, Operand b) {
  return detail::vmap(f, a, b);
}
template <class F>
auto vmap(F&& f, Operand a, Operand b, Operand c) {
  return detail::vmap(f, a, b, c);
}

/// Jacobians of the rows of a batch: f maps [n, ...] to [n, ...], row by row, and the result is [n, shape of a row of
/// y..., shape of a row of x...]. One pullback for each entry of a row serves all n rows at once. ValueError when rows
/// of f(x) turn out to depend on other rows of x, as with the statistics of a batch (one pullback more looks).
template <class F>
requires detail::FunctionOf<F, Tensor>
Tensor batched_jacobian(F&& f, const Tensor& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Trace<Tensor> t("batched_jacobian", f, x, options, where);
  return detail::jacobian_of_rows(t);
}

/// The gradient of each example's loss: a model whose Params are [n, shape...]. f(model, x) receives batches of one:
/// axis 0 of x is cut into n pieces that keep that axis; with several data tensors, f(model, x, y). For clipping per
/// example (differential privacy), gradient noise, influence.
///
///   auto loss = [](const Mlp& m, const Tensor& x, const Tensor& y) { return nn::cross_entropy(m(x), y); };
///   Mlp g = per_example_gradients(loss, model, x, y);   // g.hidden.weight is [n, 128, 784]; its mean the usual
///   gradient
///
/// Runs f and its derivative once for each example, which is right for any f. It costs n small steps, mostly the fixed
/// price of their operators; {.parallel = true} shares them among threads. Inside another transform the gradients are
/// differentiable. Errors as vmap's and grad's.
template <class F, class M>
M per_example_gradients(F&& f, const M& model, Operand x, PerExampleOptions options = {}) {
  return detail::per_example_gradients(options, f, model, x);
}
template <class F, class M>
M per_example_gradients(F&& f, const M& model, Operand x, Operand y, PerExampleOptions options = {}) {
  return detail::per_example_gradients(options, f, model, x, y);
}
template <class F, class M>
M per_example_gradients(F&& f, const M& model, Operand x, Operand y, Operand z, PerExampleOptions options = {}) {
  return detail::per_example_gradients(options, f, model, x, y, z);
}

}  // namespace wengert
