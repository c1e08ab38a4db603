#pragma once

// A derivative checker. Every rule of the library passes it, and your own operators can.

#include "wengert/autodiff/tape/tensor.h"

#include <string>
#include <vector>

namespace wengert {

struct CheckOptions {
  /// Central differences use step * max(1, |x|).
  double step = 1e-6;
  /// |difference - derivative| <= absolute + relative |difference|.
  double absolute = 1e-5, relative = 1e-3;
  /// Relative error allowed in <y_bar, J x_dot> = <J^T y_bar, x_dot>, which holds up to rounding in float64.
  double identity = 1e-12;
  /// Check second derivatives: against differences of the gradient, and for symmetry.
  bool second_order = true;
  /// Check third derivatives: against differences of the second. Needs second_order.
  bool third_order = true;
  /// Relative error allowed between derivatives in float32 and in float64; 0 skips float32.
  double float32 = 1e-4;
  std::uint64_t seed = 1;
};

struct CheckReport {
  /// One sentence for each disagreement, with both values.
  std::vector<std::string> problems;
  /// Names of the rules that f put on the tape.
  std::vector<std::string> rules;
  bool passed() const { return problems.empty(); }
  /// All problems, one line each.
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
/// float64 tensors of x are variables; all others are data, such as indices and masks. x must be further than one step
/// from any kink of f. TypeError when no tensor of x is float64. The checks are:
/// - jvp against central differences along random directions;
/// - vjp against jvp: <y_bar, J x_dot> = <J^T y_bar, x_dot>, up to rounding;
/// - second derivatives against differences of the gradient, and their symmetry;
/// - third derivatives against differences of the second;
/// - every subset of the variables, in both modes;
/// - operands, cotangents and tangents that are strided, permuted or repeated views;
/// - different numbers of threads, which must give equal bits;
/// - float32 against float64.
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
