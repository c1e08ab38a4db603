#pragma once

// Internal: what a rule returned must fit its operand, or its result.

#include "wengert/autodiff/tape/tape.h"

namespace wengert::detail {

[[noreturn]] void wrong_cotangent(const Node&, int operand, const Tensor& x_bar);
[[noreturn]] void wrong_tangent(const Node&, std::uint32_t result, const Tensor& y_dot);

inline void check_returned(const Node& n, int operand, const Tensor& x_bar) {
  const Edge& e = n.edges[operand];
  if (!(x_bar.shape() == e.node->result(e.output).shape) || x_bar.dtype() != e.node->result(e.output).dtype)
      [[unlikely]]
    wrong_cotangent(n, operand, x_bar);
}
inline void check_returned(const Node& n, std::uint32_t result, const Tensor& y_dot) {
  if (!(y_dot.shape() == n.result(result).shape) || y_dot.dtype() != n.result(result).dtype) [[unlikely]]
    wrong_tangent(n, result, y_dot);
}

}  // namespace wengert::detail
