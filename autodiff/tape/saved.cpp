#include "wengert/autodiff/tape/saved.h"

#include "wengert/autodiff/base/fail.h"

namespace wengert {

using detail::Access;
using detail::RunningRule;
using detail::thread_state;

namespace detail {

void RunningRule::detach_all() {
  for (const Saved* saved = std::exchange(attached_, nullptr); saved; saved = saved->next_)
    Access::detach(saved->value_);
}

const Shape& operand_shape(int i) {
  const Edge& e = thread_state().context.rule->node->edges[i];
  return e.node->result(e.output).shape;
}
const Shape& result_shape() { return thread_state().context.rule->node->first.shape; }

}  // namespace detail

// One result of a node; no node for a constant.
struct Saved::Source {
  detail::Node* node = nullptr;
  std::uint32_t output = 0;
};

// A saved value is stored without its history, or every node would hold itself. While a rule runs with history, the
// value gets it back: it is either an operand, and then its history is that of the edge, or a result of the node itself.
const Tensor& Saved::get() const {
  RunningRule* const rule = thread_state().context.rule;
  if (value_.defined() && Access::body(value_)->changes() == version_ && (!rule || rule->plain())) [[likely]]
    return value_;
  return get_checked(rule);
}

const Tensor& Saved::get_checked(RunningRule* rule) const {
  require_unchanged(rule);
  if (!rule) return value_;
  if (rule->observed) detail::tell_read(*rule->node, value_);
  if (rule->with_history && !value_.tracked()) attach(find_source(*rule->node), *rule);
  return value_;
}

void Saved::require_unchanged(const RunningRule* rule) const {
  const Where made = rule ? rule->node->where : Where();
  if (!value_.defined()) fail<GraphError>(made, "a saved value was read that was never saved");
  if (const detail::Body& b = *Access::body(value_); b.changes() != version_)
    fail<GraphError>(made,
                     "{}: a value that its derivative needs was changed in place at {}; differentiate before changing "
                     "it, or keep a clone()",
                     rule ? rule->node->name() : "saved value", short_place(b.holder().changed));
}

// The operand that the value was; else the result that it is; else an operand of the same storage, for a value that was
// saved off the tape.
Saved::Source Saved::find_source(detail::Node& n) const {
  const void* const identity = Access::body(value_);
  for (const detail::Edge& e : n.operands())
    if (e.value == identity && e.producer == producer_) return {e.node, e.output};
  for (std::uint32_t k = 0; k < n.result_count; ++k)
    if (n.result(k).value == identity) return {&n, k};
  for (const detail::Edge& e : n.operands())
    if (e.value == identity) return {e.node, e.output};
  if (is_float(value_.dtype()))
    fail<GraphError>(
        n.where,
        "{}: keeps a value that is neither operand nor result, so its derivative cannot be differentiated; "
        "save operands and results, or declare it SavedConstant",
        n.name());
  return {};
}

void Saved::attach(const Source& from, RunningRule& rule) const {
  if (!from.node) return;
  from.node->retain();
  Access::attach(value_, from.node, from.output);
  next_ = std::exchange(rule.attached_, this);
}

}  // namespace wengert
