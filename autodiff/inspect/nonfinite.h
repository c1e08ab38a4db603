#pragma once

// Finds the operator that produces the first NaN or infinity:
//
//   const NonFinite finder;                      // observes this thread for as long as it lives
//   backward(nn::cross_entropy(model(x), y));    // NonFiniteError: "log: forward made 2 Inf from finite values ..."
//
// Checked are all operators, their derivatives in both modes, and sums of cotangents. An operator is reported when its
// operands are finite and its result is not; a derivative, when the cotangents (or tangents) and the saved values that
// it reads are finite. Non-finite inputs, such as an attention mask of -inf, are not reported, and neither is what
// follows from them. Each result is read once more; results have the same bits.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/tape/pass.h"

#include <optional>
#include <string>
#include <vector>

namespace wengert {

class Tensor;

/// A summary of the elements of a tensor. min, max and mean are of the finite elements, and 0 when there are none.
struct Statistics {
  Shape shape;
  DType dtype = float32;
  double min = 0, max = 0, mean = 0;
  std::int64_t nans = 0, infinities = 0;
  std::vector<std::int64_t> first{};  ///< index of the first non-finite element
  bool finite() const { return nans + infinities == 0; }
};
WENGERT_API Statistics statistics(const Tensor&);
/// "float32 [32, 10], -3.2 to 4.1, mean 0.02, 1 NaN, 2 Inf, the first at [3, 7]"
WENGERT_API std::string to_string(const Statistics&);

struct NonFiniteFinding {
  struct Value {
    std::string what;  ///< "operand 0", "result", "cotangent of operand 1"
    Statistics statistics;
  };
  std::string name;  ///< of the rule
  Pass pass = Pass::forward;
  Where where{};               ///< where the user called the operator
  Where derivative{};          ///< where backward(), grad() or a transform was called, unless the pass is forward
  int operand = -1;            ///< in the backward pass, the operand whose cotangent is non-finite
  std::vector<Value> given{};  ///< operands; or cotangents and saved values; or tangents. All are finite
  Value made{};                ///< the non-finite result
  std::string inside{};        ///< the operator inside the rule that produced it, if any: "div (at solve.cpp:31)"
};
/// A few lines: the result, what it was computed from, and where.
WENGERT_API std::string to_string(const NonFiniteFinding&);

/// The finding as an exception. When backward() throws it, some leaves have received their gradients already.
class WENGERT_API NonFiniteError : public Error {
 public:
  explicit NonFiniteError(NonFiniteFinding);
  NonFiniteFinding finding;
};

struct NonFiniteOptions {
  bool throws = true;      ///< false: only keep the first finding, for found()
  bool infinities = true;  ///< false: report NaN only, for programs that use infinities
};

/// Observes this thread for as long as it lives, and finds the first operator that makes a NaN or an infinity from
/// finite values.
class [[nodiscard]] WENGERT_API NonFinite {
 public:
  explicit NonFinite(NonFiniteOptions = {});
  ~NonFinite();
  NonFinite(const NonFinite&) = delete;

  /// The first finding, thrown or not.
  const std::optional<NonFiniteFinding>& found() const;

 private:
  struct Finder;
  detail::Hidden<Finder> finder_;
};

}  // namespace wengert
