#include "wengert/autodiff/transforms/region.h"

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
  return n.sweep == sweep && std::any_of(n.edges, n.edges + n.edge_count, [](const Edge& e) { return e.needed(); });
}

}  // namespace

// While f runs again: as it was the first time, whatever this thread is doing.
class Region::RunningAgain {
 public:
  RunningAgain(Region& again, const Region& first) {
    ThreadState& s = thread_state();
    enclosing_ = std::exchange(s.replay, &again), again.enclosing_ = static_cast<Region*>(enclosing_);
    recording_ = std::exchange(s.recording, true), has_place_ = std::exchange(s.has_place, false);
    transforms_ = std::exchange(s.transforms, first.transforms_), unpacking_ = std::exchange(s.unpacking, nullptr);
    reattach_ = std::exchange(s.reattach, false), reattached_ = std::exchange(s.reattached, nullptr);
  }
  ~RunningAgain() {
    ThreadState& s = thread_state();
    s.replay = enclosing_, s.recording = recording_, s.has_place = has_place_, s.transforms = transforms_,
    s.unpacking = unpacking_, s.reattach = reattach_, s.reattached = reattached_;
  }
  RunningAgain(const RunningAgain&) = delete;

 private:
  Replay* enclosing_;
  bool recording_, has_place_, reattach_;
  int transforms_;
  Node* unpacking_;
  const Saved* reattached_;
};

Region::Region(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

Region::~Region() {
  if (twin_) twin_->release();
  if (!outer_) return;
  {
    std::lock_guard lock(outer_->mutex_);
    seat_in_outer_->inner = nullptr;
  }
  outer_->release();
}

void Region::release() noexcept {
  if (drop()) delete this;
}

Region* Region::start(std::shared_ptr<const Recipe> recipe) {
  ThreadState& s = thread_state();
  auto* region = new Region(std::move(recipe));
  region->enclosing_ = static_cast<Region*>(s.replay), region->transforms_ = s.transforms;
  if (Region* outer = region->enclosing_) {
    outer->retain();
    const auto index = static_cast<std::uint32_t>(outer->seats_.size());
    region->outer_ = outer, region->seat_in_outer_ = &outer->seats_.emplace_back(Slot{outer}, nullptr, region, index);
    region->find_twin();
    if (region->twin_ && outer->again_of_) region->retain(), outer->held_inner_.push_back(region);
  }
  s.replay = region;
  return region;
}

void Region::find_twin() {
  Region* first = outer_->twin_;
  const std::size_t index = seat_in_outer_->index;
  if (!first || index >= first->seats_.size()) return;
  std::lock_guard lock(first->mutex_);
  if (Region* twin = first->seats_[index].inner; twin && hold_if_alive(*twin)) twin_ = twin;
}

void Region::stop() { thread_state().replay = enclosing_; }

void Region::finish(const std::vector<Tensor>& results) {
  results_ = seen(results);
  become_finished();
}

void Region::become_finished() {
  finished_ = true;
  for (Seat& seat : seats_) {
    if (seat.node) drop_saved(*seat.node);
    if (seat.inner) seat.inner->recipe_.reset();  // running this one again gives it another
  }
  filled_ = 0;
}

void Region::recorded(Node& n) {
  if (seats_.empty()) place_ = n.where;
  const auto index = static_cast<std::uint32_t>(seats_.size());
  n.slot = &seats_.emplace_back(Slot{this}, &n, nullptr, index);
  retain();
  if (!again_of_ || index >= again_of_->seats_.size() || !again_of_->seats_[index].node) return;
  n.retain();
  held_.push_back(&n);
}

void Region::leave(Node& n) noexcept {
  {
    std::lock_guard lock(mutex_);
    seat_of(n).node = nullptr;
  }
  n.slot = nullptr;
  if (!n.emptied) used_up();
  release();
}

void Region::drop_saved(Node& n) {
  if (!finished_ || n.emptied || n.is_released()) return;
  n.forget();
  n.emptied = true;
  used_up();
}

// An inner checkpoint gives back what it was handed by the outer one, once that has run.
void Region::used_up() noexcept {
  if (filled_ && --filled_ == 0 && outer_ && outer_->finished_) recipe_.reset();
}

void Region::refill(Node& n) { fill(n.sweep); }

void Region::fill(std::uint64_t sweep) {
  if (!recipe_) outer_->fill(sweep);
  const auto recipe = recipe_;
  auto* again = new Region(recipe);
  retain(), again->twin_ = again->again_of_ = this, again->transforms_ = transforms_;
  struct Held {
    Region* again;
    ~Held() { again->end_run(); }
  } held{again};
  std::vector<Tensor> results;
  {
    RunningAgain running(*again, *this);
    results = recipe->run();
  }
  compare(*again, results);
  adopt(*again, sweep);
}

// What is left of a run again may still be differentiated, if f has put it away somewhere.
void Region::end_run() noexcept {
  for (Node* n : std::exchange(held_, {}))
    if (n->drop()) destroy(n);
  for (Region* inner : std::exchange(held_inner_, {})) inner->release();
  draws_ = again_of_->draws_, results_ = again_of_->results_;
  again_of_ = nullptr;
  young_.clear();
  become_finished();
  release();
}

void Region::adopt(Region& again, std::uint64_t sweep) {
  std::lock_guard lock(mutex_);
  for (Seat& seat : seats_) {
    Seat& other = again.seats_[seat.index];
    if (Node* n = seat.node; n && n->emptied && runs_in(*n, sweep)) {
      n->adopt(*other.node);
      for (std::uint32_t i = 0; i < n->edge_count; ++i) {
        Edge &edge = n->edges[i], &made = other.node->edges[i];
        edge.value = made.value, edge.maker = made.maker;
      }
      n->emptied = false;
      ++filled_;
    }
    if (Region* inner = seat.inner; inner && !inner->recipe_)
      inner->recipe_ = other.inner->recipe_, inner->draws_ = other.inner->draws_;
  }
}

std::vector<Region::Result> Region::seen(const std::vector<Tensor>& results) {
  std::vector<Result> all;
  for (const Tensor& y : results) all.push_back({y.shape(), y.dtype(), bits_of(y)});
  return all;
}

// The node of the first run that this one repeats; itself otherwise.
const Node* Region::original(const Node* n) {
  while (n && n->slot) {
    const Region* twin = static_cast<Region*>(n->slot->replay)->twin_;
    if (!twin) break;
    const std::uint32_t index = seat_of(*n).index;
    if (index >= twin->seats_.size()) return nullptr;
    n = twin->seats_[index].node;
  }
  return n;
}

void Region::compare(const Region& again, const std::vector<Tensor>& results) const {
  auto differs = [this](const std::string& how) {
    fail<GraphError>(place_, "checkpoint: f, run again for its derivative, {}; {}", how, cure);
  };
  if (again.next_draw_ != draws_.size()) differs("drew fewer random numbers than before");
  if (again.seats_.size() != seats_.size())
    differs(fmt::format("ran {} recorded operators where it first ran {}", again.seats_.size(), seats_.size()));
  for (const Seat& seat : seats_) {
    const Seat& other = again.seats_[seat.index];
    if (seat.inner && !other.inner) differs("made no checkpoint where it first made one");
    const Node *n = seat.node, *m = other.node;
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
  const auto now = seen(results);
  bool same = now.size() == results_.size();
  for (std::size_t i = 0; same && i < now.size(); ++i)
    same = now[i].shape == results_[i].shape && now[i].dtype == results_[i].dtype && now[i].bits == results_[i].bits;
  if (!same) differs("gave other numbers");
}

bool Region::draw(Rng& rng) {
  Region* again = this;
  while (again && !again->again_of_) again = again->enclosing_;
  if (again) {
    const auto& draws = again->again_of_->draws_;
    if (again->next_draw_ == draws.size())
      fail<GraphError>(again->again_of_->place_,
                       "checkpoint: f, run again for its derivative, draws more random numbers than before; {}", cure);
    rng = draws[again->next_draw_++];
  }
  for (Region* r = this; r != again; r = r->enclosing_) r->draws_.push_back(rng);
  return again != nullptr;
}

bool Region::written_before(const Body& holder) {
  Region* again = this;
  while (again && !again->again_of_) again = again->enclosing_;
  if (!again) return false;
  if (holder.version == 0) return again->young_.push_back(&holder), false;
  return std::find(again->young_.begin(), again->young_.end(), &holder) == again->young_.end();
}

}  // namespace wengert::detail
