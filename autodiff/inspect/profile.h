#pragma once

// What operators cost, of this thread and all others:
//
//   Profile profile;
//   for (...) { backward(nn::cross_entropy(model(x), y)); adam.step(model); }
//   profile.stop();
//   std::cout << to_string(profile);         // a table; by line: to_string(profile, Profile::By::line)
//   profile.write_trace("trace.json");       // for chrome://tracing or ui.perfetto.dev
//
// Time is of the wall clock. Inside an operator others may run, as in a vjp, which is written with operators: the total
// time contains theirs, its own does not. To watch an operator costs it about a microsecond, which its own time does
// not contain. Optimizers change parameters in place, by no operators, and do not appear.

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
  Where where{};  ///< the user's call; by line only
  std::int64_t calls = 0;
  double total_ns = 0, own_ns = 0;
  std::int64_t bytes = 0;  ///< of results; a view of an operand counts as none
  double flops = 0;        ///< of those calls that are known, see Profile
  double flops_ns = 0;     ///< the time of these calls
  double gflops() const { return flops_ns > 0 ? flops / flops_ns : 0; }
};

struct ProfileOptions {
  /// A trace keeps the first so many events; tables count all.
  std::size_t max_events = 1'000'000;
};

/// Watches operators, sums of cotangents and sweeps of all threads from its construction until stop() or its end.
/// FLOPs are known for matrix products, convolutions, pointwise operators (one for each number), sums and softmax: a
/// multiplication and an addition are two. Those of a vjp are the sum over the operators inside it.
class [[nodiscard]] WENGERT_API Profile {
 public:
  enum class By { name, line };

  explicit Profile(ProfileOptions = {});
  ~Profile();
  Profile(const Profile&) = delete;

  /// Stops watching; what was seen stays.
  void stop();
  /// By their own time, longest first.
  std::vector<ProfileRow> rows(By = By::name) const;
  /// Writes what ran when, a row for each thread, in the format of Chrome's traces. The file is written whole or not at
  /// all. FileError.
  void write_trace(const std::string& path, Where = Where::current()) const;

 private:
  friend const detail::NodeCost* cost_of(const Profile&, const detail::Node*);
  detail::Hidden<detail::Recorder> recorder_;
};

/// A table of rows(), with units; the last line sums up.
WENGERT_API std::string to_string(const Profile&, Profile::By = Profile::By::name);

}  // namespace wengert
