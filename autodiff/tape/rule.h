#pragma once

#include "wengert/autodiff/tape/node.h"
#include "wengert/autodiff/tape/saved.h"

namespace wengert {

namespace detail {
template <class Rule>
concept Named = requires(const Rule& rule) { std::string_view(rule.name); };
}  // namespace detail

/// Runs a rule, and records it when an operand is on the tape: the rule becomes the node. A rule is a struct with a name
/// (static constexpr std::string_view name = "...";  a struct inside a function, where C++ forbids static members, has
/// const std::string_view name = "...";) and any of these members. Y is Tensor, or std::array<Tensor, K> for K results;
/// N is the number of operands.
///
/// | member                                                        | gives                                             |
/// |---------------------------------------------------------------|---------------------------------------------------|
/// | Y forward(const Tensor& x...)                                 | the results; required. It saves what a derivative |
/// |                                                               | needs. Operators inside it are not recorded.      |
/// | Tensor vjp(arg<i>, const Y& y_bar) const                      | the cotangent of operand i; undefined: zero       |
/// | Tensor vjp(arg<i>, Tensor&& y_bar) const                      | the same where nothing else needs y_bar: the      |
/// |                                                               | result may take its memory                        |
/// | std::array<Tensor, N> vjp(const Y& y_bar, Wants) const        | the cotangents of all wanted operands together    |
/// | std::optional<std::array<Tensor, N>> vjp(y_bar, Wants) const  | the same, or nullopt: the single ones are called  |
/// | bool add_vjp(arg<i>, const Y& y_bar, Tensor& sum) const       | adds a mostly zero cotangent to what has arrived  |
/// |                                                               | from elsewhere, or returns false                  |
/// | Y jvp(arg<i>, const Tensor& x_dot) const                      | the tangents of the results                       |
/// | Y jvp(std::span<const Tensor> x_dot) const                    | the same from all operands; undefined: zero       |
/// | void describe(detail::Attributes&) const                      | attributes by name, for observers                 |
/// | double flops(const Y& y, const Tensor& x...) const            | floating-point operations of forward              |
/// | void forget()                                                 | drops saved values, of a rule that cannot be      |
/// |                                                               | made by Rule{}                                    |
///
/// One of vjp and jvp may be left out: it is then derived from the other by transposition, if that is made of operators.
/// A rule on a list of operands has forward(std::span<const Tensor>), vjp(int i, y_bar) and jvp(int i, x_dot) instead.
template <class Rule, std::same_as<Operand>... X>
auto apply(Rule rule, X... x) {
  static_assert(
      detail::Named<Rule>,
      "wengert: a rule has a name: static constexpr std::string_view name, or, in a struct inside a function, "
      "const std::string_view name");
  using Y = decltype(rule.forward(x.tensor()...));
  const bool record = (x.tensor().tracked() || ...) && recording();
  const Operand& first = std::get<0>(std::tie(x...));
  const auto run = [&] {
    if (!record) return rule.forward(x.tensor()...);
    no_grad inside;
    return rule.forward(x.tensor()...);
  };
  Y y = [&] {
    if (detail::watched()) [[unlikely]] {
      const auto same = run;  // whose address may be known; the other stays in registers
      return detail::run_watched(rule, same, first.where(), x.tensor()...);
    }
    return run();
  }();
  if (!record || !detail::any_float(y)) return y;
  using N = detail::FixedNode<Rule, sizeof...(X), detail::ResultCount<Y>::value>;
  auto* node = new N(detail::place_of(first.where()), std::array{&x.tensor()...}, std::move(rule));
  node->attach(y);
  return y;
}

/// The same for a rule on a list of operands.
template <class Rule>
auto apply(Rule rule, std::span<const Tensor> x, Where where) {
  using Y = decltype(rule.forward(x));
  bool record = false;
  for (auto& t : x) record |= t.tracked();
  record = record && recording();
  const auto run = [&] {
    if (!record) return rule.forward(x);
    no_grad inside;
    return rule.forward(x);
  };
  Y y = [&] {
    if (detail::watched()) [[unlikely]]
      return detail::run_watched(rule, run, where, x);
    return run();
  }();
  if (!record || !detail::any_float(y)) return y;
  auto* node = new detail::ListNode<Rule, detail::ResultCount<Y>::value>(detail::place_of(where), x, std::move(rule));
  node->attach(y);
  return y;
}

}  // namespace wengert
