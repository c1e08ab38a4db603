#pragma once

// The machinery of rules: a node that holds a rule by value, and calls its vjp and jvp.

#include "wengert/autodiff/tape/cotangent.h"

#include <array>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <tuple>

namespace wengert {

/// Names an operand at compile time: vjp(arg<0>, y_bar) is the cotangent of the first.
template <int I>
struct arg {};

/// The tape knows one operator: derivatives are summed with add (ops.h), so that sums can be differentiated too.
WENGERT_API Tensor add(Operand x, Operand y);

namespace detail {

/// The missing mode from the other one. J^T y_bar is linear in y_bar, so that reverse mode through a vjp gives J x_dot;
/// and reverse mode through a jvp, which is linear in x_dot, gives J^T y_bar. GraphError when the given one is not made
/// of operators.
using RuleVjp = Tensor (*)(Node&, int operand, std::span<const Tensor> y_bar);
using RuleJvp = void (*)(Node&, int operand, const Tensor& x_dot, std::span<Tensor> y_dot);
WENGERT_API void push_by_vjp(Node&, int operand, const Tensor& x_dot, std::span<Tensor> y_dot, RuleVjp);
WENGERT_API Tensor pull_by_jvp(Node&, int operand, std::span<const Tensor> y_bar, RuleJvp);

[[noreturn]] WENGERT_API void no_rule(const Node&, std::string_view mode, int operand);
WENGERT_API Tensor zeros_like_result(const Node&, std::uint32_t);

inline Edge edge_to(const Tensor& x) {
  Node* n = Access::node(x);
  if (n) n->retain();
  return {n, static_cast<std::uint16_t>(Access::output(x)), false, Access::producer(x), Access::body(x)};
}

template <class R> struct ResultCount {
  static constexpr std::size_t value = 1;
};
template <std::size_t K> struct ResultCount<std::array<Tensor, K>> {
  static constexpr std::size_t value = K;
};

/// A node with edges of its own: they follow at once, so that a traversal touches two cache lines per node.
template <std::size_t N>
struct WithEdges : Node {
  std::array<Edge, N> list;

  using Node::Node;
  void connect(const std::array<const Tensor*, N>& x) {
    for (std::size_t i = 0; i < N; ++i) list[i] = edge_to(*x[i]);
    edges = list.data(), edge_count = N;
  }
};

/// A node whose number of operands is known at run time only.
struct WithEdgeList : Node {
  using Node::Node;
  void connect(std::span<const Tensor> x) {
    edges = static_cast<Edge*>(allocate(x.size() * sizeof(Edge)));
    edge_count = static_cast<std::uint16_t>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) new (edges + i) Edge(edge_to(x[i]));
  }
  ~WithEdgeList() {
    if (edges) deallocate(edges, edge_count * sizeof(Edge));
  }
};

/// The common part of nodes made from a rule with K results.
template <class Rule, std::size_t K, class Base>
struct RuleNode : Base {
  Rule rule;
  [[no_unique_address]] std::array<Result, K - 1> others;

  /// The rule is made where it stands. Edges come last: they hold other nodes, and a rule may throw.
  template <class Operands, class... Made>
  RuleNode(Place place, const Operands& x, Made&&... of) : Base(place), rule{std::forward<Made>(of)...} {
    this->connect(x);
    this->result_count = K;
  }

  std::string_view name() const override { return rule.name; }
  void forget() override {
    if constexpr (requires { rule.forget(); }) {
      rule.forget();
    } else {
      std::destroy_at(&rule);  // a rule with const members cannot be assigned
      std::construct_at(&rule);
    }
  }
  void adopt(Node& twin) override {
    auto& other = static_cast<RuleNode&>(twin);
    std::destroy_at(&rule);  // a rule that holds a lambda cannot be assigned
    std::construct_at(&rule, std::move(other.rule));
    for (std::uint32_t k = 0; k < K; ++k) this->result(k).value = other.result(k).value;
  }
  Result* further() override { return others.data(); }

  void attach(Tensor& y) {
    this->first.of(y);
    Access::attach(y, this, 0);  // the handle takes over the first reference
  }
  void attach(std::array<Tensor, K>& y) requires(K > 1) {
    bool held = false;
    for (std::uint32_t k = 0; k < K; ++k) {
      this->result(k).of(y[k]);
      if (!is_float(y[k].dtype())) continue;
      if (held) this->retain();
      held = true;
      Access::attach(y[k], this, k);
    }
    if (!held) destroy(this);  // no differentiable result
  }
  /// The cotangent as the rule takes it: a tensor, or all of them with zeros where none arrived.
  auto take_cotangent() {
    if constexpr (K == 1) {
      return std::move(this->first.cotangent);
    } else {
      std::array<Tensor, K> y_bar;
      for (std::uint32_t k = 0; k < K; ++k) {
        y_bar[k] = std::move(this->result(k).cotangent);
        if (!y_bar[k].defined()) y_bar[k] = zeros_like_result(*this, k);
      }
      return y_bar;
    }
  }
  static std::span<const Tensor> as_span(const Tensor& y_bar) { return {&y_bar, 1}; }
  static std::span<const Tensor> as_span(const std::array<Tensor, K>& y_bar) requires(K > 1) { return y_bar; }
  static decltype(auto) as_cotangent(std::span<const Tensor> y_bar) {
    if constexpr (K == 1) {
      return (y_bar[0]);
    } else {
      std::array<Tensor, K> all;
      for (std::size_t k = 0; k < K; ++k) all[k] = y_bar[k];
      return all;
    }
  }
  using Cotangent = std::conditional_t<K == 1, Tensor, std::array<Tensor, K>>;
  static void accumulate(std::span<Tensor> y_dot, Tensor&& more) {
    y_dot[0] = y_dot[0].defined() ? add(y_dot[0], more) : std::move(more);
  }
  static void accumulate(std::span<Tensor> y_dot, std::array<Tensor, K>&& more) requires(K > 1) {
    for (std::size_t k = 0; k < K; ++k)
      if (more[k].defined()) y_dot[k] = y_dot[k].defined() ? add(y_dot[k], more[k]) : std::move(more[k]);
  }
};

template <class Rule, std::size_t N, std::size_t K>
struct FixedNode final : RuleNode<Rule, K, WithEdges<N>> {
  using FixedNode::RuleNode::RuleNode;

  void end() noexcept override { delete this; }
  std::size_t block_bytes() const override { return sizeof *this; }

  void pull(CotangentSink& to) override {
    auto y_bar = this->take_cotangent();
    if constexpr (requires { this->rule.vjp(y_bar, Wants(*this)); }) {
      auto x_bar = this->rule.vjp(y_bar, Wants(*this));
      if constexpr (requires { x_bar.has_value(); }) {
        if (x_bar) send_all(to, *x_bar);
        else pull_each(to, y_bar);
      } else {
        send_all(to, x_bar);
      }
    } else {
      pull_each(to, y_bar);
    }
  }
  void send_all(CotangentSink& to, std::array<Tensor, N>& x_bar) {
    for (std::size_t i = 0; i < N; ++i)
      if (to.wants(int(i))) to.send(int(i), std::move(x_bar[i]));
  }
  void pull_each(CotangentSink& to, auto& y_bar) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (pull_one<int(I)>(to, y_bar), ...);
    }(std::make_index_sequence<N>());
  }
  // The last wanted operand receives y_bar by rvalue, so that its rule may compute in place.
  template <int I>
  void pull_one(CotangentSink& to, auto& y_bar) {
    if (!to.wants(I)) return;
    if constexpr (requires(Tensor& sum) { this->rule.add_vjp(arg<I>(), std::as_const(y_bar), sum); })
      if (Tensor* sum = to.sum_in_place(I); sum && this->rule.add_vjp(arg<I>(), std::as_const(y_bar), *sum)) return;
    if constexpr (requires { this->rule.vjp(arg<I>(), std::as_const(y_bar)); }) {
      bool last = true;
      for (std::size_t i = I + 1; i < N; ++i) last = last && !to.wants(int(i));
      if (last) to.send(I, this->rule.vjp(arg<I>(), std::move(y_bar)));
      else to.send(I, this->rule.vjp(arg<I>(), std::as_const(y_bar)));
    } else if constexpr (requires { this->rule.jvp(arg<I>(), Tensor()); })
      to.send(I, pull_by_jvp(*this, I, this->as_span(y_bar), [](Node& n, int, const Tensor& x_dot, auto y_dot) {
                FixedNode::accumulate(y_dot, static_cast<FixedNode&>(n).rule.jvp(arg<I>(), x_dot));
              }));
    else no_rule(*this, "vjp", I);
  }
  void push(std::span<const Tensor> x_dot, std::span<Tensor> y_dot) override {
    if constexpr (requires { this->rule.jvp(x_dot); }) {  // all tangents together; those that are zero are undefined
      this->accumulate(y_dot, this->rule.jvp(x_dot));
    } else {
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (push_one<int(I)>(x_dot[I], y_dot), ...);
      }(std::make_index_sequence<N>());
    }
  }
  template <int I>
  void push_one(const Tensor& x_dot, std::span<Tensor> y_dot) {
    if (!x_dot.defined()) return;
    if constexpr (requires { this->rule.jvp(arg<I>(), x_dot); })
      this->accumulate(y_dot, this->rule.jvp(arg<I>(), x_dot));
    else if constexpr (requires(typename FixedNode::Cotangent y_bar) { this->rule.vjp(arg<I>(), y_bar); })
      push_by_vjp(*this, I, x_dot, y_dot, [](Node& n, int, std::span<const Tensor> y_bar) -> Tensor {
        return static_cast<FixedNode&>(n).rule.vjp(arg<I>(), FixedNode::as_cotangent(y_bar));
      });
    else if constexpr (requires(typename FixedNode::Cotangent y_bar, Wants w) { this->rule.vjp(y_bar, w)[I]; })
      push_by_vjp(*this, I, x_dot, y_dot, [](Node& n, int, std::span<const Tensor> y_bar) -> Tensor {
        return static_cast<FixedNode&>(n).rule.vjp(FixedNode::as_cotangent(y_bar), Wants(n))[I];
      });
    else no_rule(*this, "jvp", I);
  }
};

/// For rules on a list of operands: vjp(i, y_bar), jvp(i, x_dot).
template <class Rule, std::size_t K>
struct ListNode final : RuleNode<Rule, K, WithEdgeList> {
  using ListNode::RuleNode::RuleNode;

  void end() noexcept override { delete this; }
  std::size_t block_bytes() const override { return sizeof *this; }

  void pull(CotangentSink& to) override {
    auto y_bar = this->take_cotangent();
    for (int i = 0; i < this->edge_count; ++i) {
      if (!to.wants(i)) continue;
      if constexpr (requires { this->rule.vjp(i, y_bar); }) to.send(i, this->rule.vjp(i, y_bar));
      else if constexpr (requires { this->rule.jvp(i, Tensor()); })
        to.send(i, pull_by_jvp(*this, i, this->as_span(y_bar), [](Node& n, int k, const Tensor& x_dot, auto y_dot) {
                  ListNode::accumulate(y_dot, static_cast<ListNode&>(n).rule.jvp(k, x_dot));
                }));
      else no_rule(*this, "vjp", i);
    }
  }
  void push(std::span<const Tensor> x_dot, std::span<Tensor> y_dot) override {
    for (int i = 0; i < this->edge_count; ++i) {
      if (!x_dot[i].defined()) continue;
      if constexpr (requires { this->rule.jvp(i, x_dot[i]); }) this->accumulate(y_dot, this->rule.jvp(i, x_dot[i]));
      else if constexpr (requires(typename ListNode::Cotangent y_bar) { this->rule.vjp(i, y_bar); })
        push_by_vjp(*this, i, x_dot[i], y_dot, [](Node& n, int k, std::span<const Tensor> y_bar) -> Tensor {
          return static_cast<ListNode&>(n).rule.vjp(k, ListNode::as_cotangent(y_bar));
        });
      else no_rule(*this, "jvp", i);
    }
  }
};

inline bool any_float(const Tensor& y) { return is_float(y.dtype()); }
template <std::size_t K>
bool any_float(const std::array<Tensor, K>& y) {
  for (auto& t : y)
    if (is_float(t.dtype())) return true;
  return false;
}

inline std::span<const Tensor> results_of(const Tensor& y) { return {&y, 1}; }
template <std::size_t K>
std::span<const Tensor> results_of(const std::array<Tensor, K>& y) {
  return y;
}

/// What a forward costs, if the rule says so: floating-point operations, of which a fused multiply-add is two and an
/// elementary function one.
template <class Rule, class Y, class... X>
double flops_of(const Rule& rule, const Y& y, const X&... x) {
  if constexpr (requires { double(rule.flops(y, x...)); }) return rule.flops(y, x...);
  else return Frame::unknown;
}

/// Runs forward inside a Frame, so that observers are notified.
template <class Rule, class Run, class... X>
[[gnu::cold, gnu::noinline]] auto run_watched(Rule& rule, const Run& run, Where call, const X&... x) {
  const Tensor* operands[] = {&x...};
  Frame frame(Act::forward, rule.name, call, operands);
  frame.of(rule);
  auto y = run();
  frame.done(results_of(y), flops_of(rule, y, x...));
  return y;
}
template <class Rule, class Run>
[[gnu::cold, gnu::noinline]] auto run_watched(Rule& rule, const Run& run, Where call, std::span<const Tensor> x) {
  std::vector<const Tensor*> operands;
  for (const Tensor& t : x) operands.push_back(&t);
  Frame frame(Act::forward, rule.name, call, operands);
  frame.of(rule);
  auto y = run();
  frame.done(results_of(y), flops_of(rule, y, x));
  return y;
}

}  // namespace detail
}  // namespace wengert
