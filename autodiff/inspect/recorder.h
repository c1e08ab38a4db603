#pragma once

// Internal: the observer behind Profile.

#include "wengert/autodiff/inspect/frames.h"
#include "wengert/autodiff/inspect/profile.h"

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>
#include <unordered_map>

namespace wengert::detail {

/// The times of one node on the tape, for drawings.
struct NodeCost {
  double forward_ns = 0, backward_ns = 0;
};

class Recorder final : public Observer {
 public:
  using Clock = std::chrono::steady_clock;
  using Nanoseconds = std::int64_t;

  struct Event {
    std::string_view name;
    Act act;
    Pass pass;
    bool failed;
    int thread, depth;
    Where where;
    Nanoseconds begin, end;
    std::int64_t bytes, in_use;
    double flops;
  };

  explicit Recorder(ProfileOptions);
  ~Recorder() override { end(); }
  void stop() { end(); }

  void enter(const Frame&) override;
  void leave(const Frame&) override;
  void abandon(const Frame&) noexcept override;
  void sent(const Frame&, int operand, const Tensor& x_bar) override;
  void born(Node&) override;
  void died(const Node&) noexcept override;

  std::vector<ProfileRow> rows() const;  // by name, pass and line
  std::vector<Event> events() const;     // by thread and time
  std::size_t events_left_out() const;
  const NodeCost* cost(const Node*) const;

 private:
  // Of an activity that runs.
  struct Costs {
    Nanoseconds entered = 0, begin = 0;
    Nanoseconds inside = 0;  // time of the activities inside it
    std::int64_t bytes = 0;
    double flops = Frame::unknown, flops_inside = Frame::unknown;
    std::vector<const void*> operands{};  // their storages

    void add_result(const Tensor&);  // a view of an operand takes no memory
  };
  struct Thread {
    int number;
    FrameStack<Costs> open{};
    Nanoseconds last_forward = 0;  // of the operator that ran last, until its node is born
  };
  using Key = std::tuple<std::string_view, Pass, std::string_view, std::uint32_t>;

  Nanoseconds now() const;
  Thread& thread();
  void close(const Frame&, bool failed);
  void add(const Frame&, const Costs&, Nanoseconds end, const Thread&);
  std::string_view kept(std::string_view name);

  const ProfileOptions options_;
  const Clock::time_point start_ = Clock::now();
  mutable std::mutex mutex_;
  std::unordered_map<std::thread::id, Thread> threads_;
  std::set<std::string, std::less<>> names_;
  std::map<Key, ProfileRow> rows_;
  std::vector<Event> events_;
  std::size_t left_out_ = 0;
  std::unordered_map<const Node*, NodeCost> costs_;
};

}  // namespace wengert::detail

namespace wengert {

/// Null if the node was not observed, or does not exist any more.
const detail::NodeCost* cost_of(const Profile&, const detail::Node*);

}  // namespace wengert
