#pragma once

// Derivatives of functions. f is a C++ function of one argument x, which is a Tensor, a model (model.h), or a
// std::vector, array, tuple or pair of those; of a tuple or pair f may also take the elements one by one. The gradients of
// std::tie(a, b) are a std::tuple of values.
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

#include "wengert/autodiff/base/pool.h"
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

/// One run of f with variables in place of x's tensors, and the sweeps through what it recorded: all of a transform
/// that does not depend on the type of x. Its memory comes from the pool.
class WENGERT_API Run {
 public:
  /// From here until finish(), and no longer than the object lives, operators are recorded.
  Run(const char* transform, TransformOptions, Where);
  Run(const Run&) = delete;

  /// Makes `to` a variable with the value of `from`.
  void add_variable(Tensor& to, const Tensor& from, bool trained);
  /// GraphError when there was no variable to add.
  void check_variables() const;
  /// f has returned y.
  void finish(Tensor y);

  const char* transform() const { return transform_; }
  Where where() const { return where_; }
  bool create_graph() const { return create_graph_; }
  const Tensor& y() const { return y_; }
  /// y for the caller: off the tape unless the derivative is recorded.
  Tensor value() const;
  std::span<Tensor* const> variables() const { return variables_; }
  /// What the latest sweep left for each variable.
  std::span<Tensor> cotangents() { return cotangents_; }

  /// cotangents() = the gradient of sum_k <y_bar_k, y_k>; without y_bars every y has one element.
  /// Does any y depend on a variable?
  bool pull(std::span<const Tensor> ys, std::span<const Tensor> y_bars, BackwardOptions);
  /// GraphError unless y was reached; a constant may be what is left of derivatives that f took.
  void check_reached(bool) const;
  /// cotangents() = dy/dx. ShapeError, TypeError unless y is one floating-point element.
  void pull_loss(bool create_graph);
  /// cotangents() = J^T y_bar, any number of times. ShapeError unless y_bar has the shape and dtype of y.
  void pull_result(const Tensor& y_bar, TransformOptions, Where);
  /// cotangents() = the derivative of <cotangents(), v>. ShapeError unless v is like x.
  void pull_along(std::span<const Tensor> v);
  /// J x_dot. ShapeError unless x_dot is like x.
  Tensor push(std::span<const Tensor> x_dot);
  /// cotangents() = [shape of z..., shape of x...] for a z that was made from the variables.
  void jacobian(const Tensor& z);
  /// After pull_loss(true): the second derivatives; of several variables as one matrix.
  Tensor hessian(bool matrix);

 private:
  friend class PullbackCall;
  void check_float(const Tensor&) const;
  void check_like_x(const char* what, std::span<const Tensor>) const;

  const char* transform_;
  Where where_;
  bool create_graph_, connect_leaves_, f_differentiates_ = false;
  std::uint64_t sweeps_before_;
  std::atomic<bool> busy_{false};                     // see PullbackCall
  std::optional<ContextScope> scope_{std::in_place};  // while f runs
  Tensor y_;
  std::vector<Tensor*, FromPool<Tensor*>> variables_;
  std::vector<Tensor, FromPool<Tensor>> cotangents_;
};

/// One call at a time of a pullback, which writes cotangents into its own variables. GraphError when another call, of
/// this thread or another, is under way.
class WENGERT_API PullbackCall {
 public:
  PullbackCall(Run&, Where);
  ~PullbackCall();
  PullbackCall(const PullbackCall&) = delete;

 private:
  Run& run_;
};

/// The run of f(x), with the copy of x that f receives.
template <class X>
class Trace : public Run {
 public:
  template <class F, class From>
  Trace(const char* transform, F& f, const From& x, TransformOptions options, Where where)
      : Run(transform, options, where), x_(shared_copy(x)) {
    static_assert(std::is_convertible_v<decltype(call_with(f, x)), Tensor>,
                  "wengert: a function that is differentiated returns a Tensor");
    for_each_trained(
        x_, x, [&](Tensor& to, const Tensor& from) { add_variable(to, from, Access::role(from) == Role::trained); });
    check_variables();
    finish(call_with(f, std::as_const(x_)));
  }
  /// x with the cotangents in place of the variables. The trace is at its end.
  X gradients() {
    put_cotangents(x_);
    return std::move(x_);
  }
  X copy_of_gradients() {
    X bars = shared_copy(x_);
    put_cotangents(bars);
    return bars;
  }

 private:
  void put_cotangents(X& to) {
    Tensor* next = cotangents().data();
    fill_gradients(to,
                   [&](const Tensor& t) { return Access::role(t) == Role::frozen ? Tensor() : std::move(*next++); });
  }
  X x_;
};

/// Of what has the type of x, the tensors that belong to variables of x.
template <class X, class V>
std::vector<Tensor> variables_of(const X& x, const V& v) {
  std::vector<Tensor> all;
  for_each_trained(x, v, [&](const Tensor&, const Tensor& t) { all.push_back(t); });
  return all;
}

}  // namespace detail

/// f(x), one number, and its gradient, which has x's type: grads.hidden.weight. Variables that f does not depend on
/// receive zeros, frozen Params nothing (undefined); a NaN is no error. The value is off the tape. ShapeError when f
/// returns more than one element, TypeError when it returns integers, GraphError when x has no variables or f depends on
/// none of them: does it use a captured model instead of its argument?
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
ValueAndGrad<detail::Owned<X>> value_and_grad(F&& f, const X& x, TransformOptions options = {},
                                              Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("value_and_grad", f, x, options, where);
  t.pull_loss(t.create_graph());
  return {t.value(), t.gradients()};
}

/// The gradient alone.
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
detail::Owned<X> grad(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("grad", f, x, options, where);
  t.pull_loss(t.create_graph());
  return t.gradients();
}

/// What vjp returns besides f(x): a function y_bar -> J^T y_bar that may be called any number of times. Holds the graph
/// while it lives.
template <class X>
class Pullback {
 public:
  explicit Pullback(std::unique_ptr<detail::Trace<X>> trace) : trace_(std::move(trace)) {}

  /// ShapeError unless y_bar has the shape and dtype of y; GraphError while another call of the same pullback is under
  /// way.
  X operator()(const Tensor& y_bar, TransformOptions options = {}, Where where = Where::current()) const {
    const detail::PullbackCall call(*trace_, where);
    trace_->pull_result(y_bar, options, where);
    return trace_->copy_of_gradients();
  }

 private:
  std::unique_ptr<detail::Trace<X>> trace_;
};

template <class X>
struct ValueAndPullback {
  Tensor y;
  Pullback<X> pullback;
};

/// f(x) of any shape, and its pullback: auto [y, pullback] = vjp(f, x); X x_bar = pullback(y_bar).
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
ValueAndPullback<detail::Owned<X>> vjp(F&& f, const X& x, TransformOptions options = {},
                                       Where where = Where::current()) {
  auto t = std::make_unique<detail::Trace<detail::Owned<X>>>("vjp", f, x, options, where);
  Tensor y = t->value();
  return {std::move(y), Pullback<detail::Owned<X>>(std::move(t))};
}

/// f(x) and the derivative along x_dot, which has x's type: y_dot = J x_dot.
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
ValueAndTangent jvp(F&& f, const X& x, const detail::Owned<X>& x_dot, TransformOptions options = {},
                    Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("jvp", f, x, options, where);
  return {t.value(), t.push(detail::variables_of(x, x_dot))};
}

/// The Hessian of f (one number) times v, which has x's type; costs a few evaluations of f.
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
detail::Owned<X> hvp(F&& f, const X& x, const detail::Owned<X>& v, TransformOptions options = {},
                     Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("hvp", f, x, options, where);
  t.pull_loss(true);
  t.pull_along(detail::variables_of(x, v));
  return t.gradients();
}

/// All derivatives of the entries of f(x) by those of x: [shape of y..., shape of x...], one pullback for each entry of
/// y. Of a model: a model whose Params are such Jacobians.
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
detail::Owned<X> jacobian(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("jacobian", f, x, options, where);
  t.jacobian(t.y());
  return t.gradients();
}

/// Second derivatives of f, one number: [shape of x..., shape of x...] for a tensor x. Of a model, or of several
/// tensors: a matrix [n, n] over the n numbers of all variables, in the order of parameters(x), each row-major.
template <class F, class X>
requires detail::FunctionOf<F, detail::Owned<X>>
Tensor hessian(F&& f, const X& x, TransformOptions options = {}, Where where = Where::current()) {
  detail::Trace<detail::Owned<X>> t("hessian", f, x, options, where);
  t.pull_loss(true);
  return t.hessian(!std::is_same_v<X, Tensor>);
}

/// The same numbers off the tape. Of a model: Params and Tensors that share the numbers and are constants; for what is
/// not to be differentiated, as the target in detach(teacher)(x).
template <class X>
detail::Owned<X> detach(const X& x) {
  detail::Owned<X> constant = detail::shared_copy(x);
  for_each_tensor(constant, [](Tensor& t) { detail::Access::become(t, t.detach()); });
  return constant;
}

}  // namespace wengert
