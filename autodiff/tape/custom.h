#pragma once

// Operators of your own from lambdas, and hooks on gradients. An operator that keeps more than its operands and result
// is a struct (rule.h).

#include "wengert/autodiff/tape/rule.h"

#include <type_traits>

namespace wengert {

namespace detail {

struct Absent {};

/// f(derivative, y, x...), f(derivative, x...) or f(derivative): which of them f takes.
enum class Takes { nothing, derivative, operands, all };
template <class F, class D, class Y, class... X>
consteval Takes takes() {
  if constexpr (std::is_same_v<F, Absent>) return Takes::nothing;
  else if constexpr (std::is_invocable_v<const F&, const D&, const Y&, const X&...>) return Takes::all;
  else if constexpr (std::is_invocable_v<const F&, const D&, const X&...>) return Takes::operands;
  else if constexpr (std::is_invocable_v<const F&, const D&>) return Takes::derivative;
  else return Takes::nothing;
}

template <std::size_t>
struct TensorAt {  // no alias: Clang would forget that it depends on the index
  using type = Tensor;
};
template <class F, std::size_t... I>
consteval bool takes_tensors(std::index_sequence<I...>) {
  return std::is_invocable_v<const F&, const typename TensorAt<I>::type&...>;
}

template <class F, class V, class J, std::size_t N>
struct CustomRule {
  template <std::size_t... I>
  static auto result(std::index_sequence<I...>)
      -> std::remove_cvref_t<std::invoke_result_t<const F&, const typename TensorAt<I>::type&...>>;
  template <class G, class D, std::size_t... I>
  static consteval Takes takes_of(std::index_sequence<I...>) {
    return takes<G, D, Y, typename TensorAt<I>::type...>();
  }
  using Indices = std::make_index_sequence<N>;
  using Y = decltype(result(Indices()));
  static constexpr std::size_t K = ResultCount<Y>::value;
  static_assert(std::is_same_v<Y, Tensor> || K > 1, "wengert: forward returns a Tensor, or a std::array of them");
  /// Several operands have their tangents, and cotangents, in an array.
  using X = std::conditional_t<N == 1, Tensor, std::array<Tensor, N>>;
  static constexpr Takes of_vjp = takes_of<V, Y>(Indices()), of_jvp = takes_of<J, X>(Indices());
  static_assert(of_vjp != Takes::nothing || std::is_same_v<V, Absent>,
                "wengert: vjp takes (y_bar), (y_bar, x...) or (y_bar, y, x...), all const Tensor&");
  static_assert(of_jvp != Takes::nothing || std::is_same_v<J, Absent>,
                "wengert: jvp takes (x_dot), (x_dot, x...) or (x_dot, y, x...), all const Tensor&; x_dot is a "
                "std::array<Tensor, n> when there are n > 1 operands");

  std::string_view name;
  F f;
  [[no_unique_address]] V v;
  [[no_unique_address]] J j;
  std::array<Saved, N> x{};
  std::array<Saved, K> y{};

  void forget() { x = {}, y = {}; }

  Y forward(const std::same_as<Tensor> auto&... operands) {
    Y result = f(operands...);
    if constexpr (of_vjp >= Takes::operands || of_jvp >= Takes::operands || (N > 1 && of_jvp != Takes::nothing)) {
      std::size_t i = 0;
      ((x[i++] = operands), ...);
    }
    if constexpr (of_vjp == Takes::all || of_jvp == Takes::all) {
      if constexpr (K == 1) y[0] = result;
      else
        for (std::size_t k = 0; k < K; ++k) y[k] = result[k];
    }
    return result;
  }
  X vjp(const Y& y_bar) const requires(of_vjp != Takes::nothing) { return call<of_vjp>(v, y_bar, Indices()); }
  std::array<Tensor, N> vjp(const Y& y_bar, Wants) const requires(of_vjp != Takes::nothing) {
    if constexpr (N == 1) return {vjp(y_bar)};
    else return vjp(y_bar);
  }
  template <int I>
  Y jvp(arg<I>, const Tensor& x_dot) const requires(of_jvp != Takes::nothing) {
    if constexpr (N == 1) {
      return call<of_jvp>(j, x_dot, Indices());
    } else {
      X all;
      for (std::size_t i = 0; i < N; ++i) all[i] = i == I ? x_dot : zeros(x[i]->shape(), x[i]->dtype());
      return call<of_jvp>(j, all, Indices());
    }
  }

 private:
  template <Takes what, class G, class D, std::size_t... I>
  auto call(const G& g, const D& derivative, std::index_sequence<I...>) const {
    if constexpr (what == Takes::derivative) {
      return g(derivative);
    } else if constexpr (what == Takes::operands) {
      return g(derivative, x[I].get()...);
    } else {
      Y result;
      if constexpr (K == 1) result = y[0].get();
      else
        for (std::size_t k = 0; k < K; ++k) result[k] = y[k].get();
      return g(derivative, result, x[I].get()...);
    }
  }
};

template <class F>
struct GradientHook {
  static constexpr std::string_view name = "on_gradient";
  F f;
  void forget() {}
  Tensor forward(const Tensor& x) { return x.detach(); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    if constexpr (std::is_void_v<std::invoke_result_t<const F&, const Tensor&>>) return f(y_bar), y_bar;
    else return f(y_bar);
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return x_dot; }
};

}  // namespace detail

/// An operator from lambdas:
///
///   const custom cube{.name = "cube",
///                     .forward = [](const Tensor& x) { return x * x * x; },
///                     .vjp = [](const Tensor& y_bar, const Tensor& x) { return y_bar * 3.0 * x * x; }};
///   Tensor y = cube(x);
///
/// forward(x...) gives a Tensor or a std::array of them; it is not recorded, and may compute outside the tape.
/// vjp gives the cotangent of x from that of y: a Tensor, or for n operands a std::array<Tensor, n> of which any may be
/// undefined (zero). It takes (y_bar), (y_bar, x...) or (y_bar, y, x...), and what it does not take is not kept.
/// jvp gives the tangent of y in the same way: (x_dot), (x_dot, x...) or (x_dot, y, x...), where x_dot is a
/// std::array<Tensor, n> for n operands.
///
/// One of the two may be left out and is then derived from the other, which is transposed; both have to be written with
/// operators for that, and for derivatives of the derivative. Without either the operator has no derivative.
/// GraphError, with the place of the call, when a derivative is asked for that cannot be had, and when one comes in
/// another shape or dtype than its operand.
template <class F, class V = detail::Absent, class J = detail::Absent>
struct custom {
  std::string_view name = "custom";  ///< a literal: it is not copied
  F forward;
  V vjp = {};
  J jvp = {};

  /// Does forward take n tensors?
  template <std::size_t n>
  static constexpr bool takes = detail::takes_tensors<F>(std::make_index_sequence<n>());

  auto operator()(Operand a) const requires(takes<1>) { return run(a); }
  auto operator()(Operand a, Operand b) const requires(takes<2>) { return run(a, b); }
  auto operator()(Operand a, Operand b, Operand c) const requires(takes<3>) { return run(a, b, c); }
  auto operator()(Operand a, Operand b, Operand c, Operand d) const requires(takes<4>) { return run(a, b, c, d); }
  auto operator()(Operand a, Operand b, Operand c, Operand d, Operand e) const requires(takes<5>) {
    return run(a, b, c, d, e);
  }
  auto operator()(Operand a, Operand b, Operand c, Operand d, Operand e, Operand f) const requires(takes<6>) {
    return run(a, b, c, d, e, f);
  }

 private:
  template <std::same_as<Operand>... X>
  auto run(const X&... x) const {
    return apply(detail::CustomRule<F, V, J, sizeof...(X)>{name, forward, vjp, jvp}, x...);
  }
};

/// x, with a hook on its gradient: f receives the whole cotangent of what on_gradient returns, before it
/// goes on to x.
///
///   h = on_gradient(h, [&](const Tensor& h_bar) { norms.push_back(norm(h_bar).item()); });
///   h = on_gradient(h, [](const Tensor& h_bar) { return clamp(h_bar, -1, 1); });
///
/// An f that returns a Tensor replaces the cotangent (undefined: zero), and is differentiated through under
/// create_graph; one that returns nothing only observes. Cotangents of higher derivatives pass through f as well, tangents
/// do not. GraphError, with the place of this call, when another shape or dtype comes back.
template <class F>
Tensor on_gradient(Operand x, F f) {
  static_assert(std::is_invocable_v<const F&, const Tensor&>,
                "wengert: the f of on_gradient(x, f) is called as f(const Tensor& x_bar)");
  if (!x->tracked() || !recording()) return x.tensor();
  return apply(detail::GradientHook<F>{std::move(f)}, x);
}

}  // namespace wengert
