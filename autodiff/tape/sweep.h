#pragma once

#include "wengert/autodiff/tape/tape.h"

#include <vector>

namespace wengert::detail {

/// Every node that is reachable from `roots`, in an order in which each comes after all that use it. Holds the nodes
/// while it lives, and owns their scratch: a node belongs to one thread's sweeps at a time. Sweeps of one thread nest: a
/// rule may start one of its own.
class WENGERT_API Sweep {
 public:
  enum class Busy { refuse, leave_out_leaves };

  /// GraphError when a sweep of another thread owns a node. With leave_out_leaves a leaf that is owned like this is left
  /// out: a derivative that does not ask for it needs no scratch of it.
  explicit Sweep(std::span<const Tensor> roots, Where = Where::current(), Busy = Busy::refuse);
  ~Sweep();
  Sweep(const Sweep&) = delete;

  /// Newest first.
  std::span<Node* const> nodes() const { return std::span(nodes_).subspan(gone_); }
  bool visited(const Node& n) const { return n.sweep.load(std::memory_order_relaxed) == id_; }
  /// Was any of them released by a backward()?
  bool visited_released() const { return released_; }
  /// Marks the node of a variable as needed; false if it is not reachable. GraphError if it was left out.
  bool need(Node&);
  /// Leaves only nodes and edges that lead to a needed node. Without this call all edges are needed.
  void spread_need();
  /// Lets go of the newest, and starts to load those that follow.
  void drop_newest();

 private:
  struct Stashed;
  explicit Sweep(Where);
  void order(std::span<const Tensor> roots, Busy);
  bool visit(Node*, Node*& open, Busy);
  [[noreturn]] void refuse(const Node&) const;
  void append(Node*);
  void disown(Node&);
  void disown_reachable(std::span<const Tensor> roots);

  std::vector<Node*, FromPool<Node*>> nodes_;
  std::size_t gone_ = 0;
  const std::uint64_t id_;
  const Where where_;
  bool released_ = false;
  std::vector<Stashed> stash_;
  std::vector<const Node*> left_out_;
};

}  // namespace wengert::detail
