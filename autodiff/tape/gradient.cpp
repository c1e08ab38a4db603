#include "wengert/autodiff/tape/gradient.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/cotangent.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/autodiff/tape/sweep.h"

#include <algorithm>
#include <ranges>

namespace wengert {
namespace detail {
namespace {

void drop_edges(Node& n) {
  for (Edge& e : n.operands())
    if (Node* to = std::exchange(e.node, nullptr); to && to->drop()) destroy(to);
}

[[gnu::cold, gnu::noinline]] void pull_watched(Node& n, CotangentSink& to) {
  std::vector<const Tensor*> y_bar;
  for (std::uint32_t k = 0; k < n.result_count; ++k) y_bar.push_back(&n.result(k).cotangent);
  Frame frame(Act::vjp, n.name(), n.where, y_bar, &n);
  n.pull(to);
  frame.done();
}
[[gnu::cold, gnu::noinline]] void push_watched(Node& n, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) {
  std::vector<const Tensor*> x;
  for (const Tensor& t : x_dot) x.push_back(&t);
  Frame frame(Act::jvp, n.name(), n.where, x, &n);
  n.push(x_dot, y_dot);
  frame.done(y_dot);
}

void check_y_bar(const Tensor& y, const Tensor& y_bar, Where where) {
  if (!(y.shape() == y_bar.shape()) || y.dtype() != y_bar.dtype())
    fail<ShapeError>(where, "backward: the cotangent must be {} {} like y, got {} {}", y.dtype(), y.shape(),
                     y_bar.dtype(), y_bar.shape());
}

Tensor seed_of(const Tensor& y, Where where) {
  if (!is_float(y.dtype()))
    fail<TypeError>(where, "backward: y is {}, and only float32 and float64 have derivatives", y.dtype());
  if (y.numel() != 1)
    fail<ShapeError>(
        where,
        "backward: y must have one element, got {}; reduce it (sum, mean) or pass its cotangent: backward(y, y_bar)",
        y.shape());
  return full(y.shape(), 1, y.dtype());
}

void check_not_released(const Node& n, Where where) {
  if (n.is_released()) [[unlikely]]
    fail<GraphError>(where,
                     "backward: the graph of {} (called at {}) was already released by the backward at {}; pass "
                     "{{.keep_graph = true}} there to go through it again",
                     n.name(), short_place(n.where), short_place(n.released));
}

// A node may be released only where its rule would have to run again.
void check_reachable(const Sweep& sweep, Where where) {
  if (!sweep.visited_released()) return;
  for (const Node* n : sweep.nodes()) check_not_released(*n, where);
}

void seed(std::span<const Tensor> ys, std::span<const Tensor> y_bars, bool create_graph, Where where) {
  for (std::size_t k = 0; k < ys.size(); ++k) {
    Node* n = Access::node(ys[k]);
    if (!n) continue;
    Tensor y_bar = y_bars.empty() ? seed_of(ys[k], where) : create_graph ? y_bars[k] : y_bars[k].detach();
    if (y_bar.defined()) accumulate(n->result(Access::output(ys[k])).cotangent, std::move(y_bar), create_graph);
  }
}

bool has_cotangent(Node& n) {
  if (n.result_count == 1) [[likely]]
    return n.first.cotangent.defined();
  for (std::uint32_t k = 0; k < n.result_count; ++k)
    if (n.result(k).cotangent.defined()) return true;
  return false;
}

// Rules may call grad() themselves, so recording is on while they run, whatever the caller's setting. Without
// create_graph nothing comes of it: what they are given is off the tape.
//
// Newest to oldest; `arrived` sees each node when its cotangents are complete and before its rule runs.
template <class Arrived>
void run(Sweep& sweep, bool create_graph, std::optional<bool> keep_graph, Where where, Arrived&& arrived) {
  const bool keep = keep_graph.value_or(create_graph);
  const ContextScope scope;
  thread_state().context.recording = true;
  RunningRule rule(create_graph);
  std::optional<Frame> frame;
  if (watched()) [[unlikely]]
    frame.emplace(Act::backward, "backward", where, std::span<const Tensor* const>());
  for (; !sweep.nodes().empty(); sweep.drop_newest()) {
    Node* n = sweep.nodes().front();
    arrived(*n);
    if (n->kind == Kind::leaf) {
      n->first.cotangent = Tensor();
      continue;
    }
    bool wanted = false;
    for (const Edge& e : n->operands()) wanted = wanted || e.needed;
    if (wanted && has_cotangent(*n)) {
      if (n->emptied) [[unlikely]]
        n->slot->replay->refill(*n);
      CotangentSink to(*n, create_graph);
      const bool observed = watched();
      rule.begin(*n, observed);
      if (observed) [[unlikely]]
        pull_watched(*n, to);
      else n->pull(to);
      rule.end();
    }
    n->clear_cotangents();
    if (n->slot && keep) [[unlikely]]
      n->slot->replay->drop_saved(*n);
    if (keep || !wanted) continue;  // what leads to no variable belongs to somebody else
    if (n->unique()) continue;      // nobody will come this way again, and it dies in a moment
    n->forget();
    n->released = where;
    if (n->slot) [[unlikely]]
      n->slot->replay->leave(*n);
    drop_edges(*n);
  }
  if (frame) frame->done();
}

}  // namespace

bool creates_graph() { return thread_state().context.transforms > 0 && recording(); }

bool pull_back(std::span<const Tensor> ys, std::span<const Tensor> y_bars, std::span<const Tensor* const> xs,
               std::span<Tensor> x_bars, BackwardOptions options, Where where) {
  for (std::size_t k = 0; k < y_bars.size(); ++k)
    if (y_bars[k].defined()) check_y_bar(ys[k], y_bars[k], where);
  for (const Tensor& y : ys)
    if (y_bars.empty() && !y.tracked()) (void)seed_of(y, where);
  const bool create_graph = options.create_graph.value_or(creates_graph());
  ++thread_state().sweeps;
  Sweep sweep(ys, where, Sweep::Busy::leave_out_leaves);
  check_reachable(sweep, where);
  bool reached = false;
  for (const Tensor* x : xs)
    if (Node* n = Access::node(*x); n && sweep.need(*n)) reached = n->variable = true;
  sweep.spread_need();
  seed(ys, y_bars, create_graph, where);
  run(sweep, create_graph, options.keep_graph, where, [&](Node& n) {
    if (n.variable)
      for (std::size_t i = 0; i < xs.size(); ++i)
        if (Access::node(*xs[i]) == &n) x_bars[i] = n.result(Access::output(*xs[i])).cotangent;
  });
  for (std::size_t i = 0; i < xs.size(); ++i)
    if (!x_bars[i].defined()) x_bars[i] = zeros(xs[i]->shape(), xs[i]->dtype());
  return reached;
}

namespace {

void check_on_tape(const char* who, std::span<const Tensor> ys, Where where) {
  if (ys.empty() || std::ranges::any_of(ys, &Tensor::tracked)) return;
  fail<GraphError>(where,
                   "{}: what is to be differentiated is not on the tape. A derivative is on the tape only if it was "
                   "taken with {{.create_graph = true}} or inside the f of a transform; was it made under no_grad, or "
                   "detached?",
                   who);
}

}  // namespace
}  // namespace detail

using namespace detail;

void backward(const Tensor& y, BackwardOptions options, Where where) {
  const Tensor y_bar = seed_of(y, where);
  backward(y, y_bar, options, where);
}

void backward(const Tensor& y, const Tensor& y_bar, BackwardOptions options, Where where) {
  if (!is_float(y.dtype())) (void)seed_of(y, where);
  Node* root = Access::node(y);
  if (!root)
    fail<GraphError>(
        where,
        "backward: this tensor is not on the tape; was it made under no_grad, detached, or from tensors that are "
        "neither Param nor track()ed?");
  if (root->kind == Kind::leaf)
    fail<GraphError>(where, "backward: this tensor is a leaf of the tape; there is nothing to differentiate");
  if (thread_state().context.replay)
    fail<GraphError>(where,
                     "backward: called inside checkpoint(), whose f runs once more later and would add the gradients "
                     "again; take grad() or vjp() there, which change nothing");
  check_y_bar(y, y_bar, where);
  Sweep sweep({&y, 1}, where);
  check_reachable(sweep, where);
  const bool create_graph = options.create_graph.value_or(creates_graph());
  seed({&y, 1}, {&y_bar, 1}, create_graph, where);
  run(sweep, create_graph, options.keep_graph, where, [&](Node& n) {
    if (n.kind == Kind::leaf && n.first.cotangent.defined()) add_to_leaf(n, std::move(n.first.cotangent), create_graph);
  });
}

std::vector<Tensor> grad(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> y_bars,
                         BackwardOptions options, Where where) {
  if (!y_bars.empty() && y_bars.size() != ys.size())
    fail<ShapeError>(where, "grad: {} results need as many cotangents, got {}", ys.size(), y_bars.size());
  std::vector<const Tensor*, FromPool<const Tensor*>> pointers;
  pointers.reserve(xs.size());
  for (const Tensor& x : xs) {
    if (!x.tracked())
      fail<GraphError>(where, "grad: an x is not on the tape; make it a variable with track() before computing y");
    pointers.push_back(&x);
  }
  check_on_tape("grad", ys, where);
  std::vector<Tensor> x_bars(xs.size());
  pull_back(ys, y_bars, pointers, x_bars, options, where);
  return x_bars;
}

Tensor grad(const Tensor& y, const Tensor& x, BackwardOptions options, Where where) {
  return grad({&y, 1}, {&x, 1}, {}, options, where)[0];
}

std::vector<Tensor> push_forward(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> x_dots,
                                 std::optional<bool> wanted, Where where) {
  if (xs.size() != x_dots.size())
    fail<ShapeError>(where, "jvp: {} operands need as many tangents, got {}", xs.size(), x_dots.size());
  for (std::size_t i = 0; i < xs.size(); ++i)
    if (!(xs[i].shape() == x_dots[i].shape()) || xs[i].dtype() != x_dots[i].dtype())
      fail<ShapeError>(where, "jvp: the tangent must be {} {} like x, got {} {}", xs[i].dtype(), xs[i].shape(),
                       x_dots[i].dtype(), x_dots[i].shape());
  check_on_tape("jvp", ys, where);
  const bool create_graph = wanted.value_or(creates_graph());
  ++thread_state().sweeps;
  Sweep sweep(ys, where, Sweep::Busy::leave_out_leaves);
  for (const Tensor& x : xs)
    if (Node* n = Access::node(x)) sweep.need(*n);
  sweep.spread_need();
  const ContextScope scope;
  thread_state().context.recording = true;
  std::optional<Frame> frame;
  if (watched()) [[unlikely]]
    frame.emplace(Act::tangents, "jvp", where, std::span<const Tensor* const>());
  RunningRule rule(create_graph);
  // The slots that hold cotangents in reverse mode hold tangents here.
  std::vector<Tensor> x_dot, y_dot;
  for (Node* n : sweep.nodes() | std::views::reverse) {
    if (!n->needed) continue;
    for (std::size_t i = 0; i < xs.size(); ++i)
      if (Access::node(xs[i]) == n)
        n->result(Access::output(xs[i])).cotangent = create_graph ? x_dots[i] : x_dots[i].detach();
    bool reached = false;
    x_dot.clear();
    for (const Edge& e : n->operands()) {
      x_dot.push_back(e.needed ? e.node->result(e.output).cotangent : Tensor());
      reached = reached || x_dot.back().defined();
    }
    if (!reached) continue;
    check_not_released(*n, where);
    y_dot.assign(n->result_count, Tensor());
    if (n->emptied) [[unlikely]]
      n->slot->replay->refill(*n);
    const bool observed = watched();
    rule.begin(*n, observed);
    if (observed) [[unlikely]]
      push_watched(*n, x_dot, y_dot);
    else n->push(x_dot, y_dot);
    rule.end();
    if (n->slot) [[unlikely]]
      n->slot->replay->drop_saved(*n);
    for (std::uint32_t k = 0; k < n->result_count; ++k) {
      Tensor& slot = n->result(k).cotangent;
      if (!y_dot[k].defined()) continue;
      check_tangent(*n, k, y_dot[k]);
      slot = slot.defined() ? add(slot, y_dot[k]) : std::move(y_dot[k]);
    }
  }
  std::vector<Tensor> result;
  for (const Tensor& y : ys) {
    Node* n = Access::node(y);
    Tensor t = n ? n->result(Access::output(y)).cotangent : Tensor();
    result.push_back(t.defined() ? t : zeros(y.shape(), y.dtype()));
  }
  for (Node* n : sweep.nodes()) n->clear_cotangents();
  if (frame) frame->done();
  return result;
}

}  // namespace wengert
