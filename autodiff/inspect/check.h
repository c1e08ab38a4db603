#pragma once

// The harness that every rule of the library passes, for your own operators too.

#include "wengert/autodiff/tape/tensor.h"

#include <string>
#include <vector>

namespace wengert {

struct CheckOptions {
  /// Central differences use step * max(1, |x|).
  double step = 1e-6;
  /// |difference - derivative| <= absolute + relative |difference|.
  double absolute = 1e-5, relative = 1e-3;
  /// Relative error allowed in <y_bar, J x_dot> = <J^T y_bar, x_dot>: rounding of float64.
  double identity = 1e-12;
  /// Derivatives of derivatives: against differences of the gradient, and for symmetry.
  bool second_order = true;
  /// And of those: against differences of the second.
  bool third_order = true;
  /// The same in float32, to this relative accuracy; 0: not.
  double float32 = 1e-4;
  std::uint64_t seed = 1;
};

struct CheckReport {
  /// One sentence for each disagreement, with numbers.
  std::vector<std::string> problems;
  /// Types of the rules on the tape of f.
  std::vector<std::string> rules;
  bool passed() const { return problems.empty(); }
  /// All problems, a line each.
  WENGERT_API std::string text() const;
};

namespace detail {
struct CheckFunction {
  const void* f;
  std::vector<Tensor> (*call)(const void* f, const std::vector<Tensor>& x);
  std::vector<Tensor> operator()(const std::vector<Tensor>& x) const { return call(f, x); }
};
WENGERT_API CheckReport check(CheckFunction, const std::vector<Tensor>& x, const CheckOptions&, Where);
}  // namespace detail

/// Checks all derivatives of f at x, where f maps a std::vector<Tensor> to a Tensor or a std::vector of them. The
/// float64 tensors of x are variables, others are data (indices, masks). Compared are: jvp with central differences
/// along random directions; vjp with jvp through <y_bar, J x_dot> = <J^T y_bar, x_dot>, to rounding; second order with
/// differences of the gradient, and its symmetry; third order with differences of the second; every subset of
/// variables, in both modes; operands, cotangents and tangents that are strided, permuted or repeated views; different
/// numbers of threads (equal bits); float32. x must stay a step away from kinks.  TypeError when no tensor of x is
/// float64.
template <class F>
CheckReport check(const F& f, const std::vector<Tensor>& x, const CheckOptions& options = {},
                  Where where = Where::current()) {
  auto call = [](const void* g, const std::vector<Tensor>& operands) {
    const F& function = *static_cast<const F*>(g);
    if constexpr (requires { Tensor(function(operands)); }) return std::vector<Tensor>{function(operands)};
    else return std::vector<Tensor>(function(operands));
  };
  return detail::check({&f, call}, x, options, where);
}

}  // namespace wengert
