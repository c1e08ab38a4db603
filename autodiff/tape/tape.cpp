#include "wengert/autodiff/tape/cotangent.h"

namespace wengert {

namespace detail {

Place place_of(Where call) {
  const Context& c = thread_state().context;
  return {c.rule ? c.rule->node->where : c.place.line() ? c.place : call, c.replay};
}

bool repeat_draw(Rng& rng) {
  Replay* replay = thread_state().context.replay;
  return replay && replay->draw(rng);
}
bool written_before_replay(const Body& holder) {
  Replay* replay = thread_state().context.replay;
  return replay && replay->written_before(holder);
}

// Destruction is a worklist, so that a graph of any depth dies on any stack: a node that loses its last handle while
// another is being buried waits in the graveyard.
void destroy(Node* node) noexcept {
  ThreadState& s = thread_state();
  node->next = s.graveyard;
  s.graveyard = node;
  if (s.burying) return;
  s.burying = true;
  while (Node* n = s.graveyard) {
    s.graveyard = n->next;
    for (Edge& e : n->operands())
      if (e.node && e.node->drop()) e.node->next = s.graveyard, s.graveyard = e.node;
    if (n->watched) [[unlikely]]
      tell_died(*n);
    if (n->slot) [[unlikely]]
      n->slot->replay->leave(*n);
    n->end();  // may drop handles inside the rule, which come back here
  }
  s.burying = false;
}
void destroy_node(Counted* c) noexcept { destroy(static_cast<Node*>(c)); }

struct Leaf final : Node {
  Tensor gradient;
  bool used = false;               // an optimizer has stepped with it: the next backward() starts afresh
  const void* original = nullptr;  // the leaf that it was copied from: an identity, never read through

  explicit Leaf(Where where) : Node(where) { kind = Kind::leaf; }
  std::string_view name() const override { return "leaf"; }
  void pull(CotangentSink&) override {}
  void push(std::span<const Tensor>, std::span<Tensor>) override {}
  void forget() override {}
  void adopt(Node&) override {}
  std::size_t block_bytes() const override { return sizeof *this; }
  void end() noexcept override { delete this; }
};

Counted* new_leaf(const Body& value, Where where) {
  auto* leaf = new Leaf(where);
  leaf->first.value = &value, leaf->first.shape = value.shape, leaf->first.dtype = value.dtype;
  return leaf;
}

void mark_copy(Node& leaf, const Node& original) { static_cast<Leaf&>(leaf).original = &original; }
bool is_copy_of(const Node& leaf, const Node& original) { return static_cast<const Leaf&>(leaf).original == &original; }
Tensor leaf_gradient(Node& n) { return static_cast<Leaf&>(n).gradient; }
bool leaf_has_fresh_gradient(Node& n) {
  return static_cast<Leaf&>(n).gradient.defined() && !static_cast<Leaf&>(n).used;
}
void mark_leaf_used(Node& n) { static_cast<Leaf&>(n).used = true; }
void clear_leaf(Node& n) { static_cast<Leaf&>(n).gradient = Tensor(); }

void add_to_leaf(Node& n, Tensor&& g, bool create_graph) {
  auto& leaf = static_cast<Leaf&>(n);
  if (std::exchange(leaf.used, false)) leaf.gradient = Tensor();
  accumulate(leaf.gradient, std::move(g), create_graph);
}

}  // namespace detail
}  // namespace wengert
