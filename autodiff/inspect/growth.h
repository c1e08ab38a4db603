#pragma once

// A warning when the tape grows without end, as it does when a sum of losses keeps the graph of each of them:
//
//   const GrowthWatch watch([](const GrowthReport& r) { std::cerr << to_string(r) << '\n'; });
//   for (...) { ...; backward(loss); total = total + loss; ... }    // says: + at train.cpp:31, of step 0, ...
//
// The library prints nothing itself. What the callback throws comes out of the operator or the backward that was
// running.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/hidden.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wengert {

/// A bound is 0 where it does not matter. One that was passed is doubled, so that warnings stay few.
struct GrowthOptions {
  std::int64_t max_nodes = 1'000'000;  ///< operators on the tape
  std::int64_t max_bytes = 0;          ///< what the pool has handed out since the watch began, for numbers and tape
  int max_steps = 10;                  ///< graphs of so many earlier steps that are still there
};

struct GrowthReport {
  enum class Reason { nodes, bytes, steps };
  struct Place {
    std::string name;                  ///< of the operator
    Where where{};                     ///< the user's call
    std::int64_t nodes = 0, step = 0;  ///< how many there are; the step of the oldest
  };
  Reason reason = Reason::nodes;
  std::int64_t bound = 0;       ///< which was passed
  std::int64_t nodes = 0;       ///< operators on the tape, recorded on this thread since the watch began
  std::int64_t bytes = 0;       ///< handed out since then
  std::int64_t steps = 0;       ///< earlier ones of which there are nodes
  std::vector<Place> oldest{};  ///< up to five calls, oldest first
};
/// Some lines of text: what grew, and which calls recorded the oldest of it.
WENGERT_API std::string to_string(const GrowthReport&);

/// Watches what this thread records, for as long as it lives. A step ends with each backward(), grad() or transform
/// that was not called inside another, or with step(). Nodes that a backward has released do not count.
class [[nodiscard]] WENGERT_API GrowthWatch {
 public:
  template <class F>
  explicit GrowthWatch(F warn, GrowthOptions options = {})
      : GrowthWatch(
            std::make_shared<F>(std::move(warn)),
            [](void* f, const GrowthReport& report) { (*static_cast<F*>(f))(report); }, options) {}
  ~GrowthWatch();
  GrowthWatch(const GrowthWatch&) = delete;

  /// For loops without a backward: one round is over.
  void step();
  /// How things stand, asked without a reason.
  GrowthReport report() const;

 private:
  using Warn = void (*)(void*, const GrowthReport&);
  GrowthWatch(std::shared_ptr<void>, Warn, GrowthOptions);
  struct Watch;
  detail::Hidden<Watch> watch_;
};

}  // namespace wengert
