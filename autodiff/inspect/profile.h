#pragma once

// The cost of operators, on all threads:
//
//   Profile profile;
//   for (...) { backward(nn::cross_entropy(model(x), y)); adam.step(model); }
//   profile.stop();
//   std::cout << to_string(profile);         // a table; by line: to_string(profile, Profile::By::line)
//   profile.write_trace("trace.json");       // for chrome://tracing or ui.perfetto.dev
//
// Times are wall-clock times. Operators may run inside another activity, as in a vjp, which is written with operators:
// its total time includes theirs, its own time does not. Observation costs each operator about a microsecond, which its
// own time does not include. Optimizers update parameters in place, without operators, and do not appear.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/tape/pass.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wengert {

namespace detail {
struct Node;
struct NodeCost;
class Recorder;
}  // namespace detail

struct ProfileRow {
  std::string name;
  Pass pass = Pass::forward;
  Where where{};  ///< where the user called it; only in rows by line
  std::int64_t calls = 0;
  double total_ns = 0, own_ns = 0;
  std::int64_t bytes = 0;  ///< of results; a view of an operand counts as 0
  double flops = 0;        ///< of the calls whose FLOPs are known, see Profile
  double flops_ns = 0;     ///< the time of these calls
  double gflops() const { return flops_ns > 0 ? flops / flops_ns : 0; }
};

struct ProfileOptions {
  /// A trace keeps only the first max_events events; tables count all.
  std::size_t max_events = 1'000'000;
};

/// Observes operators, sums of cotangents and sweeps on all threads from its construction until stop() or its
/// destruction. FLOPs are known for matrix products, convolutions, pointwise operators (one per element), sums and
/// softmax; a multiplication and an addition count as two. The FLOPs of a vjp are those of the operators inside it.
class [[nodiscard]] WENGERT_API Profile {
 public:
  enum class By { name, line };

  explicit Profile(ProfileOptions = {});
  ~Profile();
  Profile(const Profile&) = delete;

  /// Stops observing; the rows remain.
  void stop();
  /// Sorted by own time, longest first.
  std::vector<ProfileRow> rows(By = By::name) const;
  /// Writes a timeline with one row per thread in the trace format of Chrome. The file is written whole or not at all.
  /// FileError when it cannot be written.
  void write_trace(const std::string& path, Where = Where::current()) const;

 private:
  friend const detail::NodeCost* cost_of(const Profile&, const detail::Node*);
  detail::Hidden<detail::Recorder> recorder_;
};

/// A table of rows() with units; the last line is the total.
WENGERT_API std::string to_string(const Profile&, Profile::By = Profile::By::name);

}  // namespace wengert
