#pragma once

// A function of one example, applied to every example of a batch: its values, Jacobians and gradients.

#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"

namespace wengert {

struct PerExampleOptions {
  /// Runs the examples on several threads (threads()). f must not change what the examples share, such as a generator
  /// or running statistics. The gradients have the same bits. Ignored inside another transform.
  bool parallel = false;
};

namespace detail {

/// The common size of axis 0. ShapeError when sizes differ or an operand is a scalar; ValueError when the size is 0.
WENGERT_API std::int64_t examples_in(const char* transform, std::span<const Operand> x);
WENGERT_API Tensor row_of(const Operand& x, std::int64_t i);        // without axis 0
WENGERT_API Tensor batch_of_one(const Operand& x, std::int64_t i);  // with axis 0 of size 1
/// [n, shape of a row of y..., shape of a row of x...]
WENGERT_API Tensor jacobian_of_rows(Run&);
/// Calls f(context, i) for i in [0, n). Rethrows the exception of the first example that threw.
WENGERT_API void for_examples(std::int64_t n, bool parallel, void (*f)(void*, std::int64_t), void* context);

/// Collects equal lists of tensors, one per row, and stacks them along a new axis 0.
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
auto map_rows(F& f, const X&... x) {
  using Y = std::remove_cvref_t<std::invoke_result_t<F&, decltype(x.tensor())...>>;
  const Operand all[] = {x...};
  const std::int64_t n = examples_in("map_rows", all);
  Stack stack("map_rows", all[0].where());
  std::optional<Y> first;
  for (std::int64_t i = 0; i < n; ++i) {
    Y y = f(row_of(x, i)...);
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

/// f(x[i]) for every row x[i] along axis 0, stacked along a new axis 0. With several operands, f(a[i], b[i]). f is
/// written for one example, and returns a Tensor, or a struct, tuple or vector of them. The result is differentiable.
/// f runs once per row; nothing is vectorized, so that a function of the whole batch is faster where there is one.
/// ShapeError when the sizes of axis 0, or the shapes of the results, differ; ValueError when there are no rows.
///
///   Tensor y = map_rows([](const Tensor& a, const Tensor& b) { return matmul(a, b); }, as, bs);
template <class F>
auto map_rows(F&& f, Operand x) {
  return detail::map_rows(f, x);
}
template <class F>
auto map_rows(F&& f, Operand a, Operand b) {
  return detail::map_rows(f, a, b);
}
template <class F>
auto map_rows(F&& f, Operand a, Operand b, Operand c) {
  return detail::map_rows(f, a, b, c);
}

/// The Jacobian of each row of a batch. f maps [n, ...] to [n, ...], each row by itself; the result is [n, shape of a
/// row of y..., shape of a row of x...]. Each element of a row costs one pullback, which serves all n rows. One more
/// pullback checks that rows are independent: ValueError when a row of f(x) depends on another row of x, as it does
/// with batch statistics.
template <class F>
requires detail::FunctionOf<F, Tensor>
Tensor batched_jacobian(F&& f, const Tensor& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Trace<Tensor> t("batched_jacobian", f, x, options, where);
  return detail::jacobian_of_rows(t);
}

/// The gradient of each example's loss: a model whose Params are [n, shape...]. f(model, x) receives batches of one
/// example: rows of x that keep axis 0, with size 1. With several data tensors, f(model, x, y). Such gradients serve
/// clipping per example (differential privacy), gradient noise and influence.
///
///   auto loss = [](const Mlp& m, const Tensor& x, const Tensor& y) { return nn::cross_entropy(m(x), y); };
///   Mlp g = per_example_gradients(loss, model, x, y);
///   // g.hidden.weight is [n, 128, 784]; its mean over axis 0 is the gradient of the mean loss
///
/// f and its derivative run once per example, which is right for any f and costs n small steps; {.parallel = true}
/// shares them among threads. Inside another transform the gradients are differentiable. Throws what map_rows and grad
/// throw.
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
