#pragma once

// Internal: what checkpoint() knows about the nodes that it empties and fills again.
//
//   recording --finish()--> emptied --ReplayRun: compare, adopt--> filled --the last saved value is used--> emptied
//
// A RecordedRun is what remains of a run of f: it lives as long as one of its nodes. A ReplayRun is f running again: it
// lives on the stack meanwhile, and what f records then is a RecordedRun of its own.

#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/autodiff/transforms/checkpoint.h"

#include <deque>
#include <mutex>

namespace wengert::detail {

class ReplayRun;

/// One run of f under checkpoint(): its nodes in the order in which they were made, and how to make them again.
///
/// Invariants: nodes hold their run, and an inner run its parent; a run holds neither, so that graphs die as usual.
/// Thread safety: a run is recorded and replayed by one thread at a time; its nodes may die on any.
class RecordedRun final : public Replay, public Counted {
 public:
  /// f is about to run for the first time, in a ContextScope of the caller's.
  static RecordedRun* start(std::shared_ptr<const Recipe>);
  /// f has returned: its nodes forget what they saved.
  void finish(const std::vector<Tensor>& results);
  void release() noexcept;

  bool draw(Rng&) override;
  bool written_before(const Body& holder) override;
  void recorded(Node&) override;
  /// Runs f again, and gives their saved values back to the nodes whose rules run in the same sweep as this node's.
  void refill(Node&) override;
  void drop_saved(Node&) override;
  void leave(Node&) noexcept override;

 private:
  friend class ReplayRun;
  /// The place of a node, or of a checkpoint inside this one, in the order of recording. Null when it is gone.
  struct Position : Slot {
    Node* node;
    RecordedRun* inner;
    std::uint32_t index;
  };
  struct Result {
    Shape shape;
    DType dtype;
    std::uint64_t bits;
    explicit Result(const Tensor&);
    bool operator==(const Result& o) const { return shape == o.shape && dtype == o.dtype && bits == o.bits; }
  };

  explicit RecordedRun(std::shared_ptr<const Recipe>);
  ~RecordedRun();
  static Position& position_of(const Node& n) { return *static_cast<Position*>(n.slot); }
  static const Node* original(const Node*);
  ReplayRun* innermost_replay();
  void find_original();
  void empty();
  void fill(std::uint64_t sweep);
  void compare(const RecordedRun& made) const;
  void adopt(RecordedRun& made, std::uint64_t sweep);
  void used_up() noexcept;

  std::mutex mutex_;  // of positions: a graph may be dropped on another thread
  std::shared_ptr<const Recipe> recipe_;
  int transforms_ = 0;  // nesting depth of transforms when f ran first
  Where place_{};       // of the first node
  std::deque<Position> positions_;
  std::vector<Rng> draws_;
  std::vector<Result> results_;
  bool finished_ = false;
  std::uint32_t filled_ = 0;  // nodes that have their saved values

  RecordedRun* parent_ = nullptr;  // held: replaying it gives this one its recipe back
  Position* position_in_parent_ = nullptr;
  RecordedRun* original_ = nullptr;  // held: the run that this one repeats

  // While f runs.
  RecordedRun* enclosing_ = nullptr;  // the checkpoint whose f runs around this one
  ReplayRun* replay_ = nullptr;       // if f runs again
};

/// f running again for its derivative.
class ReplayRun {
 public:
  /// Runs f as it ran the first time, whatever this thread is doing. GraphError when it does something else.
  explicit ReplayRun(RecordedRun& first);
  ~ReplayRun();
  ReplayRun(const ReplayRun&) = delete;

  RecordedRun& made() { return made_; }
  /// The generator at the next draw of the first run.
  const Rng& next_draw();
  bool draws_left() const;
  /// Was this tensor there before f ran again?
  bool written_before(const Body& holder);
  void hold(Node&, std::uint32_t index);
  void hold(RecordedRun& inner);

 private:
  void end() noexcept;

  RecordedRun& first_;
  RecordedRun& made_;
  std::size_t next_draw_ = 0;
  std::vector<const Body*> young_;  // tensors that f made and wrote to
  std::vector<Node*> held_;         // nodes that will be asked for their saved values
  std::vector<RecordedRun*> held_inner_;
};

}  // namespace wengert::detail
