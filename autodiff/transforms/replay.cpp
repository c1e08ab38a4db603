#include "wengert/autodiff/transforms/replay.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <cstring>
#include <typeinfo>

namespace wengert::detail {
namespace {

bool hold_if_alive(Counted& c) {
  auto refs = c.refs.load(std::memory_order_relaxed);
  while (refs && !c.refs.compare_exchange_weak(refs, refs + 1, std::memory_order_relaxed)) {
  }
  return refs != 0;
}

// Four sums of products side by side: the bits of a result are compared, not kept.
std::uint64_t bits_of(const Tensor& t) {
  const Tensor x = packed(t);
  const auto* at = static_cast<const unsigned char*>(Access::body(x)->data());
  auto left = static_cast<std::size_t>(x.numel()) * size_of(x.dtype());
  std::uint64_t sums[4] = {1, 2, 3, 4};
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  auto mix = [](std::uint64_t sum, std::uint64_t word) {
    sum = (sum ^ word) * odd;
    return sum ^ sum >> 29;
  };
  for (; left >= 32; left -= 32, at += 32) {
    std::uint64_t words[4];
    std::memcpy(words, at, 32);
    for (int i = 0; i < 4; ++i) sums[i] = mix(sums[i], words[i]);
  }
  for (; left; --left) sums[0] = mix(sums[0], *at++);
  return mix(mix(sums[0], sums[1]), mix(sums[2], sums[3]));
}

constexpr auto cure =
    "f has to do the same each time: what it captures by reference must live, unchanged, until the derivative is "
    "computed (pass it as an operand, or capture by value), and random numbers must come from Rng";

// Does this node's rule run in the sweep?
bool runs_in(const Node& n, std::uint64_t sweep) {
  return n.sweep.load(std::memory_order_relaxed) == sweep &&
         std::any_of(n.edges, n.edges + n.edge_count, [](const Edge& e) { return e.needed; });
}

}  // namespace

RecordedRun::RecordedRun(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

RecordedRun::~RecordedRun() {
  if (original_) original_->release();
  if (!parent_) return;
  {
    std::lock_guard lock(parent_->mutex_);
    position_in_parent_->inner = nullptr;
  }
  parent_->release();
}

void RecordedRun::release() noexcept {
  if (drop()) delete this;
}

RecordedRun* RecordedRun::start(std::shared_ptr<const Recipe> recipe) {
  Context& context = thread_state().context;
  auto* run = new RecordedRun(std::move(recipe));
  run->enclosing_ = static_cast<RecordedRun*>(context.replay), run->transforms_ = context.transforms;
  if (RecordedRun* parent = run->enclosing_) {
    parent->retain();
    const auto index = static_cast<std::uint32_t>(parent->positions_.size());
    run->parent_ = parent;
    run->position_in_parent_ = &parent->positions_.emplace_back(Slot{parent}, nullptr, run, index);
    run->find_original();
    if (run->original_ && parent->replay_) parent->replay_->hold(*run);
  }
  context.replay = run;
  return run;
}

void RecordedRun::find_original() {
  RecordedRun* first = parent_->original_;
  const std::size_t index = position_in_parent_->index;
  if (!first || index >= first->positions_.size()) return;
  std::lock_guard lock(first->mutex_);
  if (RecordedRun* inner = first->positions_[index].inner; inner && hold_if_alive(*inner)) original_ = inner;
}

void RecordedRun::finish(const std::vector<Tensor>& results) {
  for (const Tensor& y : results) results_.emplace_back(y);
  empty();
}

void RecordedRun::empty() {
  finished_ = true;
  for (Position& position : positions_) {
    if (position.node) drop_saved(*position.node);
    if (position.inner) position.inner->recipe_.reset();  // replaying this run gives it another
  }
  filled_ = 0;
}

void RecordedRun::recorded(Node& n) {
  if (positions_.empty()) place_ = n.where;
  const auto index = static_cast<std::uint32_t>(positions_.size());
  n.slot = &positions_.emplace_back(Slot{this}, &n, nullptr, index);
  retain();
  if (replay_) replay_->hold(n, index);
}

void RecordedRun::leave(Node& n) noexcept {
  {
    std::lock_guard lock(mutex_);
    position_of(n).node = nullptr;
  }
  n.slot = nullptr;
  if (!n.emptied) used_up();
  release();
}

void RecordedRun::drop_saved(Node& n) {
  if (!finished_ || n.emptied || n.is_released()) return;
  n.forget();
  n.emptied = true;
  used_up();
}

// An inner run gives back the recipe that its parent's replay lent it, once its saved values are used.
void RecordedRun::used_up() noexcept {
  if (filled_ && --filled_ == 0 && parent_ && parent_->finished_) recipe_.reset();
}

void RecordedRun::refill(Node& n) { fill(n.sweep.load(std::memory_order_relaxed)); }

void RecordedRun::fill(std::uint64_t sweep) {
  if (!recipe_) parent_->fill(sweep);
  ReplayRun replay(*this);
  adopt(replay.made(), sweep);
}

void RecordedRun::adopt(RecordedRun& made, std::uint64_t sweep) {
  std::lock_guard lock(mutex_);
  for (Position& position : positions_) {
    Position& other = made.positions_[position.index];
    if (Node* n = position.node; n && n->emptied && runs_in(*n, sweep)) {
      n->adopt(*other.node);
      for (std::uint32_t i = 0; i < n->edge_count; ++i) {
        const Edge& from = other.node->edges[i];
        n->edges[i].value = from.value, n->edges[i].producer = from.producer;
      }
      n->emptied = false;
      ++filled_;
    }
    if (RecordedRun* inner = position.inner; inner && !inner->recipe_)
      inner->recipe_ = other.inner->recipe_, inner->draws_ = other.inner->draws_;
  }
}

RecordedRun::Result::Result(const Tensor& y) : shape(y.shape()), dtype(y.dtype()), bits(bits_of(y)) {}

// The node of the first run that this one repeats; itself otherwise.
const Node* RecordedRun::original(const Node* n) {
  while (n && n->slot) {
    const RecordedRun* first = static_cast<RecordedRun*>(n->slot->replay)->original_;
    if (!first) break;
    const std::uint32_t index = position_of(*n).index;
    if (index >= first->positions_.size()) return nullptr;
    n = first->positions_[index].node;
  }
  return n;
}

void RecordedRun::compare(const RecordedRun& made) const {
  auto differs = [this](const std::string& how) {
    fail<GraphError>(place_, "checkpoint: f, run again for its derivative, {}; {}", how, cure);
  };
  if (made.replay_->draws_left()) differs("drew fewer random numbers than before");
  if (made.positions_.size() != positions_.size())
    differs(fmt::format("ran {} recorded operators where it first ran {}", made.positions_.size(), positions_.size()));
  for (const Position& position : positions_) {
    const Position& other = made.positions_[position.index];
    if (position.inner && !other.inner) differs("made no checkpoint where it first made one");
    const Node *n = position.node, *m = other.node;
    if (!n) continue;
    if (!m) differs(fmt::format("did not run {} (at {})", n->name(), short_place(n->where)));
    if (typeid(*n) != typeid(*m))
      differs(fmt::format("ran {} where it first ran {} (at {})", m->name(), n->name(), short_place(n->where)));
    bool same = n->edge_count == m->edge_count;
    for (std::uint32_t k = 0; same && k < n->result_count; ++k)
      if (!(n->result(k).shape == m->result(k).shape) || n->result(k).dtype != m->result(k).dtype)
        differs(fmt::format("gave {} {} as result of {} (at {}) where it first gave {} {}", m->result(k).dtype,
                            m->result(k).shape, n->name(), short_place(n->where), n->result(k).dtype,
                            n->result(k).shape));
    for (std::uint32_t i = 0; same && i < n->edge_count; ++i)
      same = original(n->edges[i].node) == original(m->edges[i].node) && n->edges[i].output == m->edges[i].output;
    if (!same) differs(fmt::format("ran {} (at {}) on other operands", n->name(), short_place(n->where)));
  }
  if (made.results_ != results_) differs("gave other numbers");
}

ReplayRun* RecordedRun::innermost_replay() {
  RecordedRun* run = this;
  while (run && !run->replay_) run = run->enclosing_;
  return run ? run->replay_ : nullptr;
}

bool RecordedRun::draw(Rng& rng) {
  ReplayRun* const replay = innermost_replay();
  if (replay) rng = replay->next_draw();
  for (RecordedRun* run = this; run && !run->replay_; run = run->enclosing_) run->draws_.push_back(rng);
  return replay != nullptr;
}

bool RecordedRun::written_before(const Body& holder) {
  ReplayRun* const replay = innermost_replay();
  return replay && replay->written_before(holder);
}

ReplayRun::ReplayRun(RecordedRun& first) : first_(first), made_(*new RecordedRun(first.recipe_)) {
  first.retain();
  made_.original_ = &first, made_.replay_ = this, made_.transforms_ = first.transforms_;
  try {
    const ContextScope scope;
    Context& context = thread_state().context;
    made_.enclosing_ = static_cast<RecordedRun*>(context.replay);
    context = {.transforms = first.transforms_, .replay = &made_};
    for (const Tensor& y : made_.recipe_->run()) made_.results_.emplace_back(y);
    first.compare(made_);
  } catch (...) {
    end();
    throw;
  }
}
ReplayRun::~ReplayRun() { end(); }

// What is left of this run may still be differentiated, if f has put it away somewhere.
void ReplayRun::end() noexcept {
  for (Node* n : held_)
    if (n->drop()) destroy(n);
  for (RecordedRun* inner : held_inner_) inner->release();
  made_.draws_ = first_.draws_, made_.results_ = first_.results_;
  made_.replay_ = nullptr;
  made_.empty();
  made_.release();
}

const Rng& ReplayRun::next_draw() {
  if (!draws_left())
    fail<GraphError>(first_.place_,
                     "checkpoint: f, run again for its derivative, draws more random numbers than before; {}", cure);
  return first_.draws_[next_draw_++];
}
bool ReplayRun::draws_left() const { return next_draw_ < first_.draws_.size(); }

bool ReplayRun::written_before(const Body& holder) {
  if (holder.version == 0) return young_.push_back(&holder), false;
  return std::find(young_.begin(), young_.end(), &holder) == young_.end();
}

void ReplayRun::hold(Node& n, std::uint32_t index) {
  if (index >= first_.positions_.size() || !first_.positions_[index].node) return;
  n.retain();
  held_.push_back(&n);
}
void ReplayRun::hold(RecordedRun& inner) {
  inner.retain();
  held_inner_.push_back(&inner);
}

}  // namespace wengert::detail
