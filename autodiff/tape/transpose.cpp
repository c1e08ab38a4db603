// The mode that a rule lacks, from the one it has.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/cotangent.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>

namespace wengert::detail {
namespace {

// A variable of a linear function, whose derivative is the same everywhere. No entry is zero and no two neighbours are
// equal, so that a function that left the tape shows by its numbers.
Tensor probe(const Shape& shape, DType dtype, Where where) {
  Tensor x = empty(shape, float64);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double turns = 0.61803398874989485 * static_cast<double>(i + 1);
    fresh<double>(x)[i] = 0.5 + turns - static_cast<double>(static_cast<std::int64_t>(turns));
  }
  return convert(x, dtype).track(where);
}

// False for zero.
bool check_recorded(const Node& n, int operand, const Tensor& t, const char* wanted, const char* given) {
  if (!t.defined() || t.tracked()) return t.defined();
  const auto numbers = convert(t, float64).to_vector<double>();
  if (std::ranges::any_of(numbers, [](double v) { return v != 0; }))
    fail<GraphError>(n.where,
                     "{}: has no {} for operand {}, and none can be derived from its {}, which leaves the tape; write "
                     "that with operators, or give the rule a {}",
                     n.name(), wanted, operand, given, wanted);
  return false;
}

}  // namespace

void no_rule(const Node& n, std::string_view mode, int operand) {
  fail<GraphError>(n.where,
                   "{}: has no {} for operand {}, and nothing to derive it from; give the rule a {}(arg<{}>, …), or "
                   "detach() that operand",
                   n.name(), mode, operand, mode, operand);
}

Tensor zeros_like_result(const Node& n, std::uint32_t k) { return zeros(n.result(k).shape, n.result(k).dtype); }

void push_by_vjp(Node& n, int operand, const Tensor& x_dot, std::span<Tensor> y_dot, RuleVjp vjp) {
  const bool create_graph = thread_state().context.rule->with_history;
  std::vector<Tensor> y_bar, transposed(n.result_count);
  std::vector<const Tensor*> variables;
  for (std::uint32_t k = 0; k < n.result_count; ++k)
    y_bar.push_back(is_float(n.result(k).dtype) ? probe(n.result(k).shape, n.result(k).dtype, n.where)
                                                : zeros_like_result(n, k));
  for (const Tensor& t : y_bar) variables.push_back(&t);
  const Tensor x_bar = vjp(n, operand, y_bar);
  if (!check_recorded(n, operand, x_bar, "jvp", "vjp")) return;
  check_cotangent(n, operand, x_bar);
  pull_back({&x_bar, 1}, {&x_dot, 1}, variables, transposed, {.create_graph = create_graph}, n.where);
  for (std::uint32_t k = 0; k < n.result_count; ++k)
    if (is_float(n.result(k).dtype)) y_dot[k] = y_dot[k].defined() ? add(y_dot[k], transposed[k]) : transposed[k];
}

Tensor pull_by_jvp(Node& n, int operand, std::span<const Tensor> y_bar, RuleJvp jvp) {
  const bool create_graph = thread_state().context.rule->with_history;
  const Edge& e = n.edges[operand];
  const Tensor x_dot = probe(e.node->result(e.output).shape, e.node->result(e.output).dtype, n.where);
  std::vector<Tensor> y_dot(n.result_count), ys, y_bars;
  jvp(n, operand, x_dot, y_dot);
  for (std::uint32_t k = 0; k < n.result_count; ++k) {
    if (!is_float(n.result(k).dtype) || !check_recorded(n, operand, y_dot[k], "vjp", "jvp")) continue;
    check_tangent(n, k, y_dot[k]);
    ys.push_back(y_dot[k]), y_bars.push_back(y_bar[k]);
  }
  if (ys.empty()) return {};
  const Tensor* variable = &x_dot;
  Tensor x_bar;
  pull_back(ys, y_bars, {&variable, 1}, {&x_bar, 1}, {.create_graph = create_graph}, n.where);
  return x_bar;
}

}  // namespace wengert::detail
