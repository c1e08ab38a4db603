#pragma once

// The cost of a model before it is trained: shapes, parameters, FLOPs and memory of each operator.
//
//   std::cout << to_string(dry_run(model, x));
//   const DryRun run = dry_run([&](const Tensor& x) { return nn::cross_entropy(model(x), labels); }, x);
//
// A dry run executes the function and its derivative once on the given tensors, and observes them. Shapes are not
// inferred: every operator would have to state its shapes a second time, and data-dependent shapes would stay unknown.
// Use a batch that fits in memory, and scale the result.

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/tape/tensor.h"

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace wengert {

/// One call of an operator, with everything that ran inside it. Operators that a checkpoint recomputes have rows of
/// their own and count as backward.
struct DryRunRow {
  std::string name;
  Where where{};  ///< where the user called it
  std::vector<Shape> operands{}, results{};
  DType dtype = float32;        ///< of the first result
  std::int64_t parameters = 0;  ///< elements of the leaves among its operands; each leaf counts where it is used first
  double flops = -1, backward_flops = -1;  ///< negative: unknown (profile.h lists what is known)
  std::int64_t bytes = 0;                  ///< of results; a view counts as 0
  std::int64_t peak_bytes = 0,
               backward_peak_bytes = 0;  ///< peak memory while it ran, above that at the start of the dry run
};

struct DryRun {
  std::vector<DryRunRow> rows{};
  std::int64_t parameters = 0;
  double flops = 0, backward_flops = 0;  ///< sums over the rows that are known
  std::int64_t peak_bytes = 0;           ///< peak memory of the whole run, in blocks of the pool
};

/// A table of the rows; the last line is the total.
WENGERT_API std::string to_string(const DryRun&);

namespace detail {

class WENGERT_API DryRunner {
 public:
  DryRunner();
  ~DryRunner();
  DryRunner(const DryRunner&) = delete;
  /// Computes the derivative of y with respect to all leaves, if there is one. grad() of the leaves is unchanged.
  void differentiate(const Tensor& y);
  DryRun result() const;

 private:
  struct Look;
  Hidden<Look> look_;
};

}  // namespace detail

/// Runs f(x...) and, if it returns a Tensor on the tape, its derivative with a cotangent of ones. f has its usual side
/// effects, such as on running statistics or generators; gradients of leaves are unchanged. Memory is that of the pool
/// on all threads; temporary blocks of less than 64 KiB may be missed.
template <class F, class... X>
DryRun dry_run(F&& f, X&&... x) {
  detail::DryRunner runner;
  if constexpr (std::convertible_to<std::invoke_result_t<F, X...>, Tensor>)
    runner.differentiate(std::forward<F>(f)(std::forward<X>(x)...));
  else (void)std::forward<F>(f)(std::forward<X>(x)...);
  return runner.result();
}

}  // namespace wengert
