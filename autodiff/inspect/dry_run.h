#pragma once

// What a model costs before it is trained: shapes, parameters, FLOPs and memory of each operator.
//
//   std::cout << to_string(dry_run(model, x));
//   const DryRun run = dry_run([&](const Tensor& x) { return nn::cross_entropy(model(x), labels); }, x);
//
// It runs the function once, on the numbers given, and its derivative, and looks on. Shapes could be found without
// numbers only if each operator said a second time what it makes of them, and where indices, masks or loops choose the
// shapes there would still be no answer. So use it with a batch that fits; afterwards multiply.

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/tape/tensor.h"

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace wengert {

/// One operator that ran, with all that ran inside it. What a checkpoint computes once more has a row of its own, and
/// counts as backward.
struct DryRunRow {
  std::string name;
  Where where{};  ///< the user's call
  std::vector<Shape> operands{}, results{};
  DType dtype = float32;                   ///< of the first result
  std::int64_t parameters = 0;             ///< numbers of the leaves among its operands, where they are used first
  double flops = -1, backward_flops = -1;  ///< negative: not known (see profile.h for what is)
  std::int64_t bytes = 0;                  ///< of results; a view counts as none
  std::int64_t peak_bytes = 0, backward_peak_bytes = 0;  ///< most in use while it ran, above what was at the beginning
};

struct DryRun {
  std::vector<DryRunRow> rows{};
  std::int64_t parameters = 0;
  double flops = 0, backward_flops = 0;  ///< sums of what is known
  std::int64_t peak_bytes = 0;           ///< most in use during the whole run; blocks of the pool are a little larger
};

/// A table of the rows; the last line sums up.
WENGERT_API std::string to_string(const DryRun&);

namespace detail {

class WENGERT_API DryRunner {
 public:
  DryRunner();
  ~DryRunner();
  DryRunner(const DryRunner&) = delete;
  /// The derivative of y by all leaves, if there is one; gradients in the leaves stay as they are.
  void differentiate(const Tensor& y);
  DryRun result() const;

 private:
  struct Look;
  Hidden<Look> look_;
};

}  // namespace detail

/// Runs f(x...), and where it returns a Tensor that is on the tape, its derivative with ones for cotangents. What f
/// changes, such as running statistics or the state of a generator, it changes as always; gradients stay as they are.
/// Memory is that of the pool, on all threads; what an operator takes for less than its own time may be missed below
/// 64 KiB.
template <class F, class... X>
DryRun dry_run(F&& f, X&&... x) {
  detail::DryRunner runner;
  if constexpr (std::convertible_to<std::invoke_result_t<F, X...>, Tensor>)
    runner.differentiate(std::forward<F>(f)(std::forward<X>(x)...));
  else (void)std::forward<F>(f)(std::forward<X>(x)...);
  return runner.result();
}

}  // namespace wengert
