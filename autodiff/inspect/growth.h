#pragma once

// Warns when the tape grows without bound, as when a running sum of losses keeps the graph of every step:
//
//   const GrowthWatch watch([](const GrowthReport& r) { std::cerr << to_string(r) << '\n'; });
//   for (...) { ...; backward(loss); total = total + loss; ... }    // says: + at train.cpp:31, of step 0, ...
//
// The library itself prints nothing. An exception from the callback leaves through the operator or backward() that was
// running.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/function.h"
#include "wengert/autodiff/base/hidden.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wengert {

/// 0 disables a bound. A bound that was exceeded is doubled, so that warnings stay few.
struct GrowthOptions {
  std::int64_t max_nodes = 1'000'000;  ///< operators on the tape
  std::int64_t max_bytes = 0;          ///< memory in use, data and tape, above that at the start of the watch
  int max_steps = 10;                  ///< earlier steps whose graphs still exist
};

struct GrowthReport {
  enum class Reason { nodes, bytes, steps };
  struct Place {
    std::string name;                  ///< of the operator
    Where where{};                     ///< where the user called it
    std::int64_t nodes = 0, step = 0;  ///< how many nodes; the step of the oldest
  };
  Reason reason = Reason::nodes;
  std::int64_t bound = 0;       ///< the bound that was exceeded
  std::int64_t nodes = 0;       ///< operators on the tape that this thread recorded since the watch began
  std::int64_t bytes = 0;       ///< memory in use, above that at the start of the watch
  std::int64_t steps = 0;       ///< earlier steps that still have nodes
  std::vector<Place> oldest{};  ///< up to five calls, oldest first
};
/// A few lines: what grew, and which calls recorded the oldest nodes.
WENGERT_API std::string to_string(const GrowthReport&);

/// Observes what this thread records, for as long as it lives. A step ends with every outermost backward(), grad() or
/// transform, or with step(). Nodes that a backward() has released do not count.
class [[nodiscard]] WENGERT_API GrowthWatch {
 public:
  /// warn(report) is called whenever a bound is exceeded.
  explicit GrowthWatch(detail::Function<void(const GrowthReport&)> warn, GrowthOptions options = {});
  ~GrowthWatch();
  GrowthWatch(const GrowthWatch&) = delete;

  /// Ends a step, in loops without backward().
  void step();
  /// The present state; reason and bound have no meaning in it.
  GrowthReport report() const;

 private:
  struct Watch;
  detail::Hidden<Watch> watch_;
};

}  // namespace wengert
