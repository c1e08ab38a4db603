#pragma once

#include "wengert/autodiff/tape/tape.h"

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

/// Which operands' cotangents are wanted, for a rule that computes several of them together.
using Wants = const detail::Pullback&;

/// A value that a rule keeps for its derivative: its own operand or its own result. Reading it checks that the numbers
/// were not changed in place meanwhile, and, when a derivative of the derivative is recorded, puts it back on the tape.
class WENGERT_API Saved {
 public:
  Saved() = default;
  [[gnu::always_inline]] Saved& operator=(const Tensor& t) {
    detail::Access::keep(value_, detail::Access::body(t));
    maker_ = detail::Access::maker(t);
    version_ = detail::Access::body(t)->changes();
    return *this;
  }
  /// GraphError when the value was changed since, or when a value that is neither operand nor result is differentiated.
  const Tensor& get() const;
  operator const Tensor&() const { return get(); }
  const Tensor* operator->() const { return &get(); }
  bool kept() const { return value_.defined(); }
  void forget() { value_ = Tensor(); }

 private:
  friend class detail::Pullback;
  friend class detail::Unpacking;
  const Tensor& get_checked() const;
  mutable Tensor value_;
  mutable const Saved* next_ = nullptr;  // in the list of those to be taken off the tape again
  std::uint32_t version_ = 0;
  std::uint32_t maker_ = 0;  // tells operands apart that share a body: x and x.detach(), x and x.track()
};

/// As Saved, for a number that is constant in the eyes of every derivative (a mask, a shift that cancels).
class Constant {
 public:
  Constant& operator=(const Tensor& t) {
    value_ = t.detach();
    return *this;
  }
  const Tensor& get() const { return value_; }
  operator const Tensor&() const { return value_; }
  const Tensor* operator->() const { return &value_; }

 private:
  Tensor value_;
};

WENGERT_API Tensor add(Operand x, Operand y);

namespace detail {

/// Names the node whose rule runs, and afterwards takes its saved values off the tape again.
class WENGERT_API Unpacking {
 public:
  explicit Unpacking(bool reattach);
  ~Unpacking();
  Unpacking(const Unpacking&) = delete;

  void begin(Node& n) { state_.unpacking = &n; }
  void end() {
    if (state_.reattached) [[unlikely]]
      take_off();
    state_.unpacking = node_before_;
  }

 private:
  void take_off();
  ThreadState& state_;
  Node* const node_before_;
  const bool reattach_before_;
  const Saved* const list_before_;
};

/// Inside a rule's vjp or jvp: the shape of an operand (one that is on the tape) and of the first result.
WENGERT_API const Shape& operand_shape(int i);
WENGERT_API const Shape& result_shape();

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
  return {n, Access::output(x), Access::maker(x), Access::body(x)};
}

template <class R> struct ResultCount {
  static constexpr std::size_t value = 1;
};
template <std::size_t K> struct ResultCount<std::array<Tensor, K>> {
  static constexpr std::size_t value = K;
};

/// A node with edges of its own: they follow at once, so that who walks along the graph reads two lines of the cache.
template <std::size_t N>
struct WithEdges : Node {
  std::array<Edge, N> list;

  using Node::Node;
  void connect(const std::array<const Tensor*, N>& x) {
    for (std::size_t i = 0; i < N; ++i) list[i] = edge_to(*x[i]);
    edges = list.data(), edge_count = N;
  }
};

/// As many as there happen to be.
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
    if constexpr (requires { rule.forget(); }) rule.forget();
    else rule = Rule{};
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

  void pull(Pullback& to) override {
    auto y_bar = this->take_cotangent();
    if constexpr (requires { this->rule.vjp(y_bar, to); }) {
      auto x_bar = this->rule.vjp(y_bar, to);
      for (std::size_t i = 0; i < N; ++i)
        if (to.wants(int(i))) to.send(int(i), std::move(x_bar[i]));
    } else {
      // May return undefined tensors, where it has nothing to win.
      if constexpr (requires { this->rule.vjp_together(y_bar, to); }) {
        auto x_bar = this->rule.vjp_together(y_bar, to);
        if (x_bar[0].defined()) {
          for (std::size_t i = 0; i < N; ++i) to.send(int(i), std::move(x_bar[i]));
          return;
        }
      }
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (pull_one<int(I)>(to, y_bar), ...);
      }(std::make_index_sequence<N>());
    }
  }
  // Who asks last may have the cotangent: a rule that takes it by && may write its result over it.
  template <int I>
  void pull_one(Pullback& to, auto& y_bar) {
    if (!to.wants(I)) return;
    if constexpr (requires(Tensor& sum) { this->rule.add_vjp(arg<I>(), std::as_const(y_bar), sum); })
      if (Tensor* sum = to.held(I); sum && this->rule.add_vjp(arg<I>(), std::as_const(y_bar), *sum)) return;
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
    else if constexpr (requires(typename FixedNode::Cotangent y_bar, const Pullback& w) { this->rule.vjp(y_bar, w); })
      push_by_vjp(*this, I, x_dot, y_dot, [](Node& n, int, std::span<const Tensor> y_bar) -> Tensor {
        const Pullback wants(n, false);
        return static_cast<FixedNode&>(n).rule.vjp(FixedNode::as_cotangent(y_bar), wants)[I];
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

  void pull(Pullback& to) override {
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

/// run() is the rule's forward; observers look on.
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

/// Runs a rule and records it when an operand is on the tape: rule.forward(x...) gives the result (a Tensor, or an
/// array of them), rule.vjp(arg<i>, y_bar) and rule.jvp(arg<i>, x_dot) its derivatives. Operators called inside forward
/// are not recorded. One of vjp and jvp may be left out: the other is transposed, if it is made of operators. A rule
/// whose cotangent is mostly zero may have add_vjp(arg<i>, y_bar, sum) as well, which adds it to what has arrived from
/// elsewhere, or returns false.
template <class Rule, std::same_as<Operand>... X>
auto apply(Rule rule, X... x) {
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

/// The same for a rule on a list: forward(span), vjp(i, y_bar), jvp(i, x_dot).
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
