#pragma once

// Derivatives of functions. f is a C++ function of one argument x, which is a Tensor, a model (model.h), or a
// std::vector, array, tuple or pair of those; of a tuple or pair f may also take the elements one by one.
// Differentiated are the Params of models and the Tensors that stand outside any struct.
//
//   auto [loss, grads] = value_and_grad([&](const Mlp& m) { return nn::cross_entropy(m(x), y); }, model);
//   Tensor slope = grad([](const Tensor& t) { return sum(tanh(t)); }, t);
//
// grad, vjp and hvp cost a few evaluations of f, however many numbers x has; jvp too, and keeps nothing.
//
// f receives a copy of x that shares its numbers and stands on a tape of its own: x may be const and shared by several
// threads. Recording is on while f runs, whatever the caller does. All transforms nest: inside the f of another
// transform, results are differentiable.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/gradient.h"

#include <atomic>
#include <optional>
#include <tuple>

namespace wengert {

struct TransformOptions {
  /// Record the derivative, so that it can be differentiated again; what f computes then stays connected to the graph
  /// behind x. Left out: on inside the f of another transform, off elsewhere.
  std::optional<bool> create_graph = {};
};

/// What value_and_grad returns: auto [loss, grads] = value_and_grad(f, x).
template <class X>
struct ValueAndGrad {
  Tensor value;
  X grads;
};
/// What jvp returns.
struct ValueAndTangent {
  Tensor y, y_dot;
};

namespace detail {

template <class F, class X> inline constexpr bool unpacks = false;
template <class F, class... T> inline constexpr bool unpacks<F, std::tuple<T...>> =
    std::is_invocable_v<F&, const T&...>;
template <class F, class T, class U> inline constexpr bool unpacks<F, std::pair<T, U>> =
    std::is_invocable_v<F&, const T&, const U&>;
template <class F, class X>
concept FunctionOf = std::is_invocable_v<F&, const X&> || unpacks<std::remove_reference_t<F>, X>;

template <class F, class X>
decltype(auto) call_with(F& f, const X& x) {
  if constexpr (std::is_invocable_v<F&, const X&>) return f(x);
  else return std::apply(f, x);
}

/// Variables of a copy of x, on blocks of the pool: a step of a training loop asks the system for nothing.
class WENGERT_API Variables {
 public:
  Variables() = default;
  ~Variables();
  Variables(const Variables&) = delete;

  void add(Tensor& variable);
  std::span<Tensor* const> all() const { return {at_, size_}; }
  /// The cotangents of the variables: J^T y_bar. Without y_bars all ys have one element.
  void pull(std::span<const Tensor> ys, std::span<const Tensor> y_bars, BackwardOptions, Where);
  std::span<Tensor> cotangents() { return {cotangents_, size_}; }

 private:
  void grow();
  Tensor** at_ = nullptr;
  Tensor* cotangents_ = nullptr;
  std::size_t size_ = 0, room_ = 0;
};

/// One transform at work on this thread.
class WENGERT_API Differentiation {
 public:
  explicit Differentiation(TransformOptions);
  Differentiation(const Differentiation&) = delete;

  bool create_graph() const { return create_graph_; }
  /// Makes `to` a variable with the numbers of `from`.
  void make_variable(Tensor& to, const Tensor& from, bool trained, Where) const;
  /// f has run: from now on nothing is recorded but on demand.
  void finish();

 private:
  bool create_graph_, connect_leaves_;
  std::optional<ContextScope> scope_;
};

/// One call at a time of a pullback, which writes cotangents into its own variables. GraphError when another call, of
/// this thread or another, is under way.
class WENGERT_API PullbackCall {
 public:
  PullbackCall(std::atomic<bool>& busy, Where);
  ~PullbackCall() { busy_.store(false, std::memory_order_release); }
  PullbackCall(const PullbackCall&) = delete;

 private:
  std::atomic<bool>& busy_;
};

/// y as it is given to the caller.
WENGERT_API Tensor given(const Tensor& y, bool create_graph);
/// ShapeError, TypeError unless y is one number that has a derivative.
WENGERT_API void check_loss(const char* transform, const Tensor& y, Where);
WENGERT_API std::vector<Tensor> values_of(const Variables&);

/// The copy of x that f receives, and its variables.
template <class X>
struct Traced {
  Traced(const Differentiation& scope, const X& from, Where where) : x(shared_copy(from)) {
    for_each_param(x, from, [&]<class T>(Tensor& to, const T& t) {
      bool trained = false;
      if constexpr (std::is_same_v<T, Param>) trained = t.is_trained();
      scope.make_variable(to, t, trained, where);
      variables.add(to);
    });
  }
  Traced(const Traced&) = delete;
  /// The copy with the cotangents in place of the variables.
  X gradients() {
    put_gradients(x);
    return std::move(x);
  }
  X copy_of_gradients() {
    X bars = shared_copy(x);
    put_gradients(bars);
    return bars;
  }

  X x;
  Variables variables;
  std::atomic<bool> busy{false};  // see PullbackCall

 private:
  void put_gradients(X& to) {
    Tensor* next = variables.cotangents().data();
    fill_gradients(to, [&](const Tensor&) { return std::move(*next++); });
  }
};

template <class F, class X>
Tensor run_traced(F& f, const X& x) {
  static_assert(std::is_convertible_v<decltype(call_with(f, x)), Tensor>,
                "wengert: a function that is differentiated returns a Tensor");
  return call_with(f, x);
}

}  // namespace detail

/// f(x), one number, and its gradient, which has x's type: grads.hidden.weight. Variables that f does not depend on
/// receive zeros; a NaN is no error. The value is off the tape. ShapeError when f returns more than one element,
/// TypeError when it returns integers.
template <class F, class X>
requires detail::FunctionOf<F, X>
ValueAndGrad<X> value_and_grad(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  detail::Traced<X> traced(scope, x, where);
  const Tensor y = detail::run_traced(f, std::as_const(traced.x));
  scope.finish();
  detail::check_loss("value_and_grad", y, where);
  traced.variables.pull({&y, 1}, {}, {.create_graph = scope.create_graph()}, where);
  return {detail::given(y, scope.create_graph()), traced.gradients()};
}

/// The gradient alone.
template <class F, class X>
requires detail::FunctionOf<F, X>
X grad(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  return value_and_grad(f, x, options, where).grads;
}

/// What vjp returns besides f(x): a function y_bar -> J^T y_bar that may be called any number of times. Holds the graph
/// while it lives.
template <class X>
class Pullback {
 public:
  Pullback(std::unique_ptr<detail::Traced<X>> traced, Tensor y) : traced_(std::move(traced)), y_(std::move(y)) {}

  /// ShapeError unless y_bar has the shape of y; GraphError while another call of the same pullback is under way.
  X operator()(const Tensor& y_bar, TransformOptions options = {}, Where where = Where::current()) const {
    const detail::PullbackCall call(traced_->busy, where);
    const bool create_graph = detail::Differentiation(options).create_graph();
    traced_->variables.pull({&y_, 1}, {&y_bar, 1}, {.create_graph = create_graph, .keep_graph = true}, where);
    return traced_->copy_of_gradients();
  }

 private:
  std::unique_ptr<detail::Traced<X>> traced_;
  Tensor y_;
};

template <class X>
struct ValueAndPullback {
  Tensor y;
  Pullback<X> pullback;
};

/// f(x) of any shape, and its pullback: auto [y, pullback] = vjp(f, x); X x_bar = pullback(y_bar).
template <class F, class X>
requires detail::FunctionOf<F, X>
ValueAndPullback<X> vjp(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  auto traced = std::make_unique<detail::Traced<X>>(scope, x, where);
  const Tensor y = detail::run_traced(f, std::as_const(traced->x));
  return {detail::given(y, scope.create_graph()), Pullback<X>(std::move(traced), y)};
}

/// f(x) and the derivative along x_dot, which has x's type: y_dot = J x_dot.
template <class F, class X>
requires detail::FunctionOf<F, X>
ValueAndTangent jvp(F&& f, const X& x, const X& x_dot, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  detail::Traced<X> traced(scope, x, where);
  const Tensor y = detail::run_traced(f, std::as_const(traced.x));
  scope.finish();
  const auto y_dot =
      push_forward({&y, 1}, detail::values_of(traced.variables), parameters(x_dot), scope.create_graph(), where);
  return {detail::given(y, scope.create_graph()), y_dot[0]};
}

/// The Hessian of f (one number) times v, which has x's type; costs a few evaluations of f.
template <class F, class X>
requires detail::FunctionOf<F, X>
X hvp(F&& f, const X& x, const X& v, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  detail::Traced<X> traced(scope, x, where);
  const Tensor y = detail::run_traced(f, std::as_const(traced.x));
  scope.finish();
  detail::check_loss("hvp", y, where);
  traced.variables.pull({&y, 1}, {}, {.create_graph = true}, where);
  const std::vector<Tensor> slopes(traced.variables.cotangents().begin(), traced.variables.cotangents().end());
  const std::vector<Tensor> along = parameters(v);
  traced.variables.pull(slopes, along, {.create_graph = scope.create_graph()}, where);
  return traced.gradients();
}

namespace detail {
/// Leaves [shape of y..., shape of x...] in the place of each cotangent.
WENGERT_API void jacobian(const Tensor& y, Variables&, bool create_graph, Where);
WENGERT_API Tensor flat(std::span<const Tensor>, Where);
/// The Jacobians of n numbers by all variables, beside each other: [n, all].
WENGERT_API Tensor rows(std::span<const Tensor> jacobians, std::int64_t n, Where);
}  // namespace detail

/// All derivatives of the entries of f(x) by those of x: [shape of y..., shape of x...], one pullback for each entry of
/// y. Of a model: a model whose Params are such Jacobians.
template <class F, class X>
requires detail::FunctionOf<F, X>
X jacobian(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  detail::Traced<X> traced(scope, x, where);
  const Tensor y = detail::run_traced(f, std::as_const(traced.x));
  scope.finish();
  detail::jacobian(y, traced.variables, scope.create_graph(), where);
  return traced.gradients();
}

/// Second derivatives of f, one number: [shape of x..., shape of x...] for a tensor x. Of a model, or of several
/// tensors: a matrix [n, n] over the n numbers of all variables, in the order of parameters(x), each row-major.
template <class F, class X>
requires detail::FunctionOf<F, X>
Tensor hessian(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Differentiation scope(options);
  detail::Traced<X> traced(scope, x, where);
  auto& variables = traced.variables;
  const Tensor y = detail::run_traced(f, std::as_const(traced.x));
  detail::check_loss("hessian", y, where);
  variables.pull({&y, 1}, {}, {.create_graph = true}, where);
  const bool matrix = !std::is_same_v<X, Tensor>;
  const Tensor slopes = matrix ? detail::flat(variables.cotangents(), where) : variables.cotangents()[0];
  scope.finish();
  detail::jacobian(slopes, variables, scope.create_graph(), where);
  return matrix ? detail::rows(variables.cotangents(), slopes.numel(), where) : variables.cotangents()[0];
}

/// The same numbers off the tape. Of a model: Params and Tensors that share the numbers and are constants; for what is
/// not to be differentiated, as the target in detach(teacher)(x).
template <class X>
X detach(const X& x) {
  X constant = detail::shared_copy(x);
  for_each_tensor(constant, [](Tensor& t) { t = t.detach(); });
  return constant;
}

}  // namespace wengert
