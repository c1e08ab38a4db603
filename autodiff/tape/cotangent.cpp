#include "wengert/autodiff/tape/cotangent.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/rows.h"
#include "wengert/autodiff/tape/rule.h"

namespace wengert::detail {
namespace {

void add_to(Tensor& into, const Tensor& more, bool create_graph) {
  if (!create_graph && Access::body(into)->overwritable() && more.is_contiguous() && into.dtype() == more.dtype())
    add_in_place(into, more);
  else into = add(into, more);
}

// The same, and observers are notified.
[[gnu::cold, gnu::noinline]] void add_watched(Tensor& into, const Tensor& more, bool create_graph) {
  const Tensor* x[] = {&into, &more};
  Frame frame(Act::accumulate, "accumulate", Where(), x);
  add_to(into, more, create_graph);
  frame.done({&into, 1}, static_cast<double>(into.numel()));
}

bool fits(const Tensor& t, const Result& like) { return t.shape() == like.shape && t.dtype() == like.dtype; }

[[gnu::cold, gnu::noinline]] void wrong(const Node& n, const char* mode, const char* what, std::uint32_t which,
                                        const Tensor& got, const Result& like) {
  fail<GraphError>(n.where, "{}: its {} returned {} {} for {} {}, which is {} {}", n.name(), mode, got.dtype(),
                   got.shape(), what, which, like.dtype, like.shape);
}

}  // namespace

void check_cotangent(const Node& n, int operand, const Tensor& x_bar) {
  const Edge& e = n.edges[operand];
  if (const Result& like = e.node->result(e.output); !fits(x_bar, like)) [[unlikely]]
    wrong(n, "vjp", "operand", static_cast<std::uint32_t>(operand), x_bar, like);
}

void check_tangent(const Node& n, std::uint32_t result, const Tensor& y_dot) {
  if (const Result& like = n.result(result); !fits(y_dot, like)) [[unlikely]]
    wrong(n, "jvp", "result", result, y_dot, like);
}

void accumulate(Tensor& into, Tensor&& more, bool create_graph) {
  if (!into.defined()) return void(into = std::move(more));
  if (rows_of(into) && !rows_of(more)) std::swap(into, more);  // rows are added to what has all of them
  if (watched()) [[unlikely]]
    add_watched(into, more, create_graph);
  else add_to(into, more, create_graph);
}

void CotangentSink::send(int operand, Tensor x_bar) const {
  if (!x_bar.defined()) return;
  const Edge& e = node_.edges[operand];
  check_cotangent(node_, operand, x_bar);
  if (watched()) [[unlikely]]
    tell_sent(operand, x_bar);
  accumulate(e.node->result(e.output).cotangent, std::move(x_bar), create_graph_);
}

Tensor* CotangentSink::sum_in_place(int operand) const {
  const Edge& e = node_.edges[operand];
  Tensor& sum = e.node->result(e.output).cotangent;
  return !create_graph_ && sum.defined() && Access::body(sum)->overwritable() && !watched() ? &sum : nullptr;
}

}  // namespace wengert::detail
