#pragma once

#include "wengert/autodiff/tape/context.h"
#include "wengert/autodiff/tape/observer.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string_view>

namespace wengert {

struct Rng;

namespace detail {

/// A checkpoint, as the tape sees it: transforms/replay.h implements it. The first three are called while its function
/// runs on this thread, the others for nodes that it recorded.
struct Replay {
  /// A random number is about to be drawn. True while the function runs again: `rng` then is what it was at this draw.
  virtual bool draw(Rng& rng) = 0;
  /// True while the function runs again and this tensor was there before: it was written to the first time.
  virtual bool written_before(const Body& holder) = 0;
  virtual void recorded(Node&) = 0;
  /// Saved values come back, and are dropped again.
  virtual void refill(Node&) = 0;
  virtual void drop_saved(Node&) = 0;
  /// The node dies, or is released.
  virtual void leave(Node&) noexcept = 0;

 protected:
  ~Replay() = default;
};

/// The place of a node in the checkpoint that recorded it.
struct Slot {
  Replay* replay;
};

/// What a new node is attributed to: a source location, and the checkpoint that records it.
struct Place {
  Where where;
  Replay* replay;
};
WENGERT_API Place place_of(Where call);

/// One operand of a node: the node that produced it, and which of its results it is.
struct Edge {
  Node* node = nullptr;  // null: not differentiable
  std::uint16_t output = 0;
  bool needed = false;          // scratch of a sweep: does this operand lead to a variable?
  std::uint32_t producer = 0;   // the node again, as an identity
  const void* value = nullptr;  // the operand's storage: an identity, never read through
};

enum class Kind : std::uint8_t { operation, leaf };

/// What the tape knows of one result of an operator.
struct Result {
  Tensor cotangent;             // scratch: what has arrived so far
  const void* value = nullptr;  // its storage: an identity, never read through
  [[no_unique_address]] Shape shape;
  DType dtype = float32;

  void of(const Tensor& y) { value = Access::body(y), shape = y.shape(), dtype = y.dtype(); }
};

/// An operator that ran: its rule, and where its operands came from. The tape is all that handles can reach. Results are
/// numbered; nearly every node has one.
///
/// Thread safety: scratch belongs to the sweep whose number is in `sweep`, and to its thread. A node is built before
/// another thread can reach it; afterwards only the sweep that owns it changes it.
struct WENGERT_API Node : Counted {
  // What every pass of a sweep reads comes first: with the count and the first cotangent it is one line of the cache.
  std::uint16_t edge_count = 0;
  std::uint16_t result_count = 1;
  Kind kind = Kind::operation;
  bool needed = false;                  // scratch of a sweep: does it lead to a variable?
  bool variable = false;                // scratch of a sweep: is a result of it one?
  bool watched = false;                 // an observer was notified of it
  std::uint32_t pending = 0;            // scratch of a sweep: cotangents still to come
  std::atomic<std::uint64_t> sweep{0};  // the sweep that owns the scratch; 0: none
  Node* next = nullptr;                 // scratch of a sweep's beginning, or of destruction
  Edge* edges = nullptr;
  Where released{};  // the backward() that dropped the saved values
  [[no_unique_address]] Result first;
  bool emptied = false;  // its checkpoint has to run again before its rule can
  bool shared = false;   // an outer sweep of the same thread has set its scratch aside
  Where where;           // the user's call
  Slot* slot = nullptr;  // in the checkpoint that recorded it

  [[gnu::always_inline]] explicit Node(Where w) : where(w) {
    if (detail::watched()) [[unlikely]]
      tell_born(*this);
  }
  [[gnu::always_inline]] explicit Node(Place p) : Node(p.where) {
    if (p.replay) [[unlikely]]
      p.replay->recorded(*this);
  }
  Node(const Node&) = delete;
  static void* operator new(std::size_t bytes) { return allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { deallocate(p, bytes); }

  virtual std::string_view name() const = 0;
  /// Sends the cotangents of the operands that are needed to `to`.
  virtual void pull(class CotangentSink& to) = 0;
  /// Tangents of the results from those of the operands (undefined: zero).
  virtual void push(std::span<const Tensor> x_dot, std::span<Tensor> y_dot) = 0;
  /// Forgets the saved values; edges stay.
  virtual void forget() = 0;
  /// Takes over the saved values of a node of the same type, made from the same numbers.
  virtual void adopt(Node& twin) = 0;
  Result& result(std::uint32_t k) { return k == 0 ? first : further()[k - 1]; }
  const Result& result(std::uint32_t k) const { return const_cast<Node&>(*this).result(k); }
  /// Bytes of the saved values that only this node keeps alive are not known; this counts all it saved.
  virtual std::size_t block_bytes() const = 0;

  bool is_released() const { return released.line() != 0; }
  std::span<Edge> operands() { return {edges, edge_count}; }
  void clear_cotangents() {
    if (result_count == 1) [[likely]] {
      if (first.cotangent.defined()) first.cotangent = Tensor();
      return;
    }
    for (std::uint32_t k = 0; k < result_count; ++k) result(k).cotangent = Tensor();
  }

 protected:
  ~Node() = default;  // destroyed by destroy(Node*) only
  friend void destroy(Node*) noexcept;
  virtual void end() noexcept = 0;               // runs the derived destructor
  virtual Result* further() { return nullptr; }  // the results after the first
};
inline Node* Access::node(const Tensor& t) { return static_cast<Node*>(t.node_); }

/// What Replay::draw and Replay::written_before say; false outside of checkpoints.
bool repeat_draw(Rng&);
bool written_before_replay(const Body& holder);

WENGERT_API Counted* new_leaf(const Body& value, Where);
/// The elements in storage that no other handle sees: taken over where that is so already, else copied.
Tensor owned(Tensor);
/// Notes which leaf was copied, for those who look for mistakes.
void mark_copy(Node& leaf, const Node& original);
bool is_copy_of(const Node& leaf, const Node& original);
/// owned(), as a leaf.
Tensor as_leaf(Tensor, Where);
/// Of what made it; empty off the tape.
Where place_of_leaf(const Tensor&);
/// The gradient that backward() accumulates in a leaf. It starts at zero again once an optimizer has used it.
WENGERT_API Tensor leaf_gradient(Node&);
WENGERT_API bool leaf_has_fresh_gradient(Node&);
WENGERT_API void mark_leaf_used(Node&);
WENGERT_API void clear_leaf(Node&);
void add_to_leaf(Node&, Tensor&& gradient, bool create_graph);

}  // namespace detail
}  // namespace wengert
