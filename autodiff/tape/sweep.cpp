#include "wengert/autodiff/tape/sweep.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <atomic>

namespace wengert::detail {
namespace {

// The number of a sweep: its thread's above, and below it a count on this thread.
constexpr int count_bits = 40;

std::uint64_t next_sweep() {
  static constinit std::atomic<std::uint64_t> threads{0};
  std::uint64_t& last = thread_state().last_sweep;
  if (!last) last = (threads.fetch_add(1, std::memory_order_relaxed) + 1) << count_bits;
  return ++last;
}
bool same_thread(std::uint64_t sweep, std::uint64_t other) { return (sweep ^ other) >> count_bits == 0; }

}  // namespace

// Scratch of an outer sweep of this thread, set aside while an inner one owns the node.
struct Sweep::Stashed {
  Node* node;
  bool needed, variable, shared;
  std::uint32_t pending;
  std::uint64_t sweep;
  std::vector<Tensor> cotangents;
  std::vector<bool> edges;

  explicit Stashed(Node& n)
      : node(&n), needed(n.needed), variable(n.variable), shared(n.shared), pending(n.pending), sweep(n.sweep) {
    cotangents.reserve(n.result_count);
    for (const Edge& e : n.operands()) edges.push_back(e.needed);
    for (std::uint32_t k = 0; k < n.result_count; ++k) cotangents.push_back(std::move(n.result(k).cotangent));
  }
  void restore() noexcept {
    node->needed = needed, node->variable = variable, node->shared = shared, node->pending = pending;
    for (std::uint32_t k = 0; k < node->result_count; ++k) node->result(k).cotangent = std::move(cotangents[k]);
    for (std::size_t i = 0; i < edges.size(); ++i) node->edges[i].needed = edges[i];
    node->sweep.store(sweep, std::memory_order_relaxed);
  }
};

void Sweep::refuse(const Node& n) const {
  fail<GraphError>(
      where_,
      "another thread differentiates through {} (called at {}) at this moment, and a graph is "
      "differentiated by one thread at a time; let the threads take turns, or give each a graph and leaves "
      "of its own, as value_and_grad does",
      n.name(), short_place(n.where));
}

// False for a leaf that is left out.
bool Sweep::visit(Node* n, Node*& open, Busy busy) {
  __builtin_prefetch(reinterpret_cast<const char*>(n) + sizeof(Node));  // its edges
  std::uint64_t owner = n->sweep.load(std::memory_order_relaxed);
  if (owner == id_) return true;
  if (!left_out_.empty() && std::ranges::find(left_out_, n) != left_out_.end()) [[unlikely]]
    return false;
  if (owner == 0) [[likely]] {
    if (one_thread()) n->sweep.store(id_, std::memory_order_relaxed);
    else n->sweep.compare_exchange_strong(owner, id_, std::memory_order_acquire, std::memory_order_relaxed);
  }
  if (owner != 0) [[unlikely]] {
    if (!same_thread(owner, id_)) {
      if (n->kind != Kind::leaf || busy == Busy::refuse) refuse(*n);
      left_out_.push_back(n);
      return false;
    }
    stash_.emplace_back(*n);
    n->shared = true;
    n->sweep.store(id_, std::memory_order_relaxed);
  }
  n->pending = 0, n->needed = n->variable = false;
  released_ |= n->is_released();
  n->clear_cotangents();
  n->next = open;
  open = n;
  return true;
}

void Sweep::append(Node* n) {
  if (nodes_.capacity() == 0) [[unlikely]]
    nodes_.reserve(128);
  nodes_.push_back(n);
  n->retain();
}

Sweep::Sweep(Where where) : id_(next_sweep()), where_(where) {}

// The destructor runs for what the other constructor has made, so that nodes in the list are let go by it.
Sweep::Sweep(std::span<const Tensor> roots, Where where, Busy busy) : Sweep(where) {
  try {
    order(roots, busy);
  } catch (...) {
    disown_reachable(roots);
    throw;
  }
}

// Two passes, no recursion, no sort: first every node learns how many operands of reachable nodes it is; then a node
// follows in the list once all those have been listed. The list is an array, so that a pass along it can have several
// nodes loaded at a time.
void Sweep::order(std::span<const Tensor> roots, Busy busy) {
  Node* open = nullptr;
  for (const Tensor& r : roots)
    if (Node* n = Access::node(r)) visit(n, open, Busy::refuse);
  while (Node* n = open) {
    open = n->next;
    for (const Edge& e : n->operands())
      if (e.node && visit(e.node, open, busy)) ++e.node->pending;
  }
  Node* ready = nullptr;
  constexpr auto listed = ~std::uint32_t{0};
  auto make_ready = [&](Node* n) {
    n->pending = listed;
    n->next = ready;
    ready = n;
  };
  for (const Tensor& r : roots)
    if (Node* n = Access::node(r); n && n->pending == 0) make_ready(n);
  while (Node* n = ready) {
    ready = n->next;
    for (Edge& e : n->operands()) {
      e.needed = e.node && visited(*e.node);
      if (e.needed && --e.node->pending == 0) make_ready(e.node);
    }
    append(n);
  }
}

void Sweep::disown(Node& n) {
  if (stash_.empty() || !n.shared) [[likely]]
    n.sweep.store(0, std::memory_order_release);
}

void Sweep::disown_reachable(std::span<const Tensor> roots) {
  for (Stashed& s : stash_) s.restore();
  stash_.clear();
  Node* open = nullptr;
  auto reach = [&](Node* n) {
    if (!n || !visited(*n)) return;
    disown(*n);
    n->next = open;
    open = n;
  };
  for (const Tensor& r : roots) reach(Access::node(r));
  while (Node* n = open) {
    open = n->next;
    for (const Edge& e : n->operands()) reach(e.node);
  }
}

Sweep::~Sweep() {
  for (Node* n : nodes()) {
    if (visited(*n)) disown(*n);
    if (n->drop()) destroy(n);
  }
  for (Stashed& s : stash_) s.restore();
}

bool Sweep::need(Node& n) {
  if (visited(n)) return n.needed = true;
  if (std::ranges::find(left_out_, &n) != left_out_.end()) refuse(n);
  return false;
}

void Sweep::spread_need() {
  for (std::size_t i = nodes_.size(); i-- > gone_;) {
    Node* n = nodes_[i];
    for (Edge& e : n->operands()) {
      e.needed = e.needed && e.node->needed;
      n->needed = n->needed || e.needed;
    }
  }
}

// Nodes and values were last used when they were made, and there are many: what will be read soon is prefetched.
void Sweep::drop_newest() {
  Node* n = nodes_[gone_++];
  disown(*n);
  if (n->drop()) destroy(n);
  if (gone_ + 2 < nodes_.size()) {
    const auto* soon = reinterpret_cast<const char*>(nodes_[gone_ + 2]);
    for (int line = 0; line < 5; ++line) __builtin_prefetch(soon + 64 * line);
    const auto* value = static_cast<const char*>(nodes_[gone_ + 1]->first.value);
    for (int line = 0; line < 4; ++line) __builtin_prefetch(value + 64 * line);
  }
}

}  // namespace wengert::detail
