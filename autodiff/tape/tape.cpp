#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/rule.h"

namespace wengert {

using detail::thread_state;

bool recording() { return thread_state().recording; }
no_grad::no_grad() : before_(std::exchange(thread_state().recording, false)) {}
no_grad::~no_grad() { thread_state().recording = before_; }

At::At(Where where) : outermost_(!thread_state().has_place) {
  if (outermost_) thread_state().place = where, thread_state().has_place = true;
}
At::~At() {
  if (outermost_) thread_state().has_place = false;
}

namespace detail {

ThreadState& thread_state() {
  [[gnu::tls_model("initial-exec")]] static constinit thread_local ThreadState state;
  return state;
}

Place place_of(Where call) {
  const ThreadState& s = thread_state();
  return {s.unpacking ? s.unpacking->where : s.has_place ? s.place : call, s.replay};
}

bool repeat_draw(Rng& rng) {
  Replay* replay = thread_state().replay;
  return replay && replay->draw(rng);
}
bool written_before_replay(const Body& holder) {
  Replay* replay = thread_state().replay;
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
  void pull(Pullback&) override {}
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

Unpacking::Unpacking(bool reattach)
    : state_(thread_state()),
      node_before_(state_.unpacking),
      reattach_before_(std::exchange(state_.reattach, reattach)),
      list_before_(std::exchange(state_.reattached, nullptr)) {}
Unpacking::~Unpacking() {
  end();
  state_.reattach = reattach_before_, state_.reattached = list_before_;
}
void Unpacking::take_off() {
  for (const Saved* saved = std::exchange(state_.reattached, nullptr); saved; saved = saved->next_)
    Access::detach(saved->value_);
}

const Shape& operand_shape(int i) {
  const Edge& e = thread_state().unpacking->edges[i];
  return e.node->result(e.output).shape;
}
const Shape& result_shape() { return thread_state().unpacking->first.shape; }

void no_rule(const Node& n, std::string_view mode, int operand) {
  fail<GraphError>(n.where,
                   "{}: has no {} for operand {}, and nothing to derive it from; give the rule a {}(arg<{}>, …), or "
                   "detach() that operand",
                   n.name(), mode, operand, mode, operand);
}

Tensor zeros_like_result(const Node& n, std::uint32_t k) { return zeros(n.result(k).shape, n.result(k).dtype); }

}  // namespace detail

const Tensor& Saved::get() const {
  const auto& s = thread_state();
  if (value_.defined() && detail::Access::body(value_)->changes() == version_ && !s.reads_told && !s.reattach)
      [[likely]]
    return value_;
  return get_checked();
}

const Tensor& Saved::get_checked() const {
  auto& s = thread_state();
  if (!value_.defined()) [[unlikely]]
    fail<GraphError>(s.unpacking ? s.unpacking->where : Where(), "a saved value was read that was never saved");
  if (const detail::Body& b = *detail::Access::body(value_); b.changes() != version_) [[unlikely]] {
    const Where made = s.unpacking ? s.unpacking->where : Where();
    fail<GraphError>(made,
                     "{}: a value that its derivative needs was changed in place at {}; differentiate before changing "
                     "it, or keep a clone()",
                     s.unpacking ? s.unpacking->name() : "saved value", short_place(b.holder().changed));
  }
  if (s.reads_told) [[unlikely]]
    detail::tell_read(*s.unpacking, value_);
  if (!s.reattach || value_.tracked()) return value_;
  detail::Node& n = *s.unpacking;
  const void* identity = detail::Access::body(value_);
  auto attach = [&](detail::Node* to, std::uint32_t output) {
    to->retain();
    detail::Access::attach(value_, to, output);
    next_ = std::exchange(s.reattached, this);
  };
  auto from_edge = [&](auto&& is_meant) {
    for (const detail::Edge& e : n.operands())
      if (e.value == identity && is_meant(e)) {
        if (e.node) attach(e.node, e.output);
        return true;
      }
    return false;
  };
  if (from_edge([&](const detail::Edge& e) { return e.maker == maker_; })) return value_;
  for (std::uint32_t k = 0; k < n.result_count; ++k)
    if (n.result(k).value == identity) {
      attach(&n, k);
      return value_;
    }
  if (from_edge([](const detail::Edge&) { return true; })) return value_;  // saved without its graph
  if (is_float(value_.dtype())) [[unlikely]]
    fail<GraphError>(
        n.where,
        "{}: keeps a value that is neither operand nor result, so its derivative cannot be differentiated; "
        "save operands and results, or declare it Constant",
        n.name());
  return value_;
}

}  // namespace wengert
