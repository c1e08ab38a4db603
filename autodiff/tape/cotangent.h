#pragma once

// How the derivatives of a node travel on: to its operands, and into sums.

#include "wengert/autodiff/tape/tape.h"

namespace wengert {

/// Which operands' cotangents are wanted, for a rule that computes several of them together: wants(0).
class Wants {
 public:
  explicit Wants(const detail::Node& n) : node_(n) {}
  bool operator()(int operand) const { return node_.edges[operand].needed; }

 private:
  const detail::Node& node_;
};

namespace detail {

/// Receives the cotangents of one node's operands.
class WENGERT_API CotangentSink {
 public:
  CotangentSink(Node& node, bool create_graph) : node_(node), create_graph_(create_graph) {}
  bool wants(int operand) const { return node_.edges[operand].needed; }
  /// An undefined x_bar is zero. GraphError unless it has the operand's shape and dtype.
  void send(int operand, Tensor x_bar) const;
  /// The sum that has arrived for this operand so far, if more may be added to it in place: no other handle holds it,
  /// and there is no observer. Null otherwise.
  Tensor* sum_in_place(int operand) const;

 private:
  Node& node_;
  bool create_graph_;
};

/// into += more, in place where `into` is the only handle.
WENGERT_API void accumulate(Tensor& into, Tensor&& more, bool create_graph);

/// GraphError unless what a rule returned has the shape and dtype of its operand, or of its result.
void check_cotangent(const Node&, int operand, const Tensor& x_bar);
void check_tangent(const Node&, std::uint32_t result, const Tensor& y_dot);

}  // namespace detail
}  // namespace wengert
