#pragma once

// Internal: what checkpoint() knows about the nodes that it empties and fills again.

#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/transforms/checkpoint.h"

#include <deque>
#include <mutex>

namespace wengert::detail {

/// One run of f under checkpoint(): its nodes in the order in which they were made, and how to make them again. Nodes
/// hold their region, and an inner region its outer one; a region holds neither, so that graphs die as usual.
class Region final : public Replay, public Counted {
 public:
  /// f is about to run for the first time, and has run.
  static Region* start(std::shared_ptr<const Recipe>);
  void finish(const std::vector<Tensor>& results);
  void stop();
  void release() noexcept;

  bool draw(Rng&) override;
  bool written_before(const Body& holder) override;
  void recorded(Node&) override;
  /// Runs f again, and gives their saved values back to the nodes whose rules run in the same sweep as this node's.
  void refill(Node&) override;
  void drop_saved(Node&) override;
  void leave(Node&) noexcept override;

 private:
  struct Seat : Slot {
    Node* node;     // null when it is gone
    Region* inner;  // or a checkpoint inside this one; null when it is gone
    std::uint32_t index;
  };
  static Seat& seat_of(const Node& n) { return *static_cast<Seat*>(n.slot); }
  struct Result {
    Shape shape;
    DType dtype;
    std::uint64_t bits;
  };
  class RunningAgain;
  explicit Region(std::shared_ptr<const Recipe>);
  ~Region();

  void fill(std::uint64_t sweep);
  void find_twin();
  static const Node* original(const Node*);
  static std::vector<Result> seen(const std::vector<Tensor>&);
  void become_finished();
  void used_up() noexcept;
  void compare(const Region& again, const std::vector<Tensor>& results) const;
  void adopt(Region& again, std::uint64_t sweep);
  void end_run() noexcept;

  std::mutex mutex_;  // a graph may be dropped on another thread
  std::shared_ptr<const Recipe> recipe_;
  int transforms_ = 0;  // whose f were running
  Where place_{};       // of the first node
  std::deque<Seat> seats_;
  std::vector<Rng> draws_;
  std::vector<Result> results_;
  bool finished_ = false;
  std::uint32_t filled_ = 0;  // nodes that have their saved values

  Region* outer_ = nullptr;  // held: running it again gives this one its recipe back
  Seat* seat_in_outer_ = nullptr;
  Region* enclosing_ = nullptr;  // whose f runs around this one, while it runs
  Region* twin_ = nullptr;       // held: the region that this one repeats

  // While f runs again.
  Region* again_of_ = nullptr;
  std::size_t next_draw_ = 0;
  std::vector<const Body*> young_;  // made and changed meanwhile
  std::vector<Node*> held_;         // those that will be asked for their saved values
  std::vector<Region*> held_inner_;
};

}  // namespace wengert::detail
