#pragma once

// Where the first NaN or infinity comes from:
//
//   const NonFinite finder;                      // as long as it lives, on this thread
//   backward(nn::cross_entropy(model(x), y));    // NonFiniteError: "log: forward made 2 infinities of finite numbers
//   ..."
//
// What is looked at is every operator, its derivatives backwards and forwards, and the sums of cotangents. One whose
// operands (of a derivative: the cotangents and the saved values that it reads) are finite and whose result is not is
// found. Numbers that were given as NaN or infinity, like the mask of an attention, are nobody's fault, nor is what is
// made of them. Costs a pass over every result; results keep their bits.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/tape/pass.h"

#include <optional>
#include <string>
#include <vector>

namespace wengert {

class Tensor;

/// What the numbers of a tensor are like. Smallest, largest and mean are those of the finite ones; 0 without any.
struct Statistics {
  Shape shape;
  DType dtype = float32;
  double min = 0, max = 0, mean = 0;
  std::int64_t nans = 0, infinities = 0;
  std::vector<std::int64_t> first{};  ///< indices of the first number that is not finite
  bool finite() const { return nans + infinities == 0; }
};
WENGERT_API Statistics statistics(const Tensor&);
/// "float32 [32, 10], -3.2 to 4.1, mean 0.02, 1 NaN, 2 Inf, the first at [3, 7]"
WENGERT_API std::string to_string(const Statistics&);

struct NonFiniteFinding {
  struct Value {
    std::string what;  ///< "operand 0", "result", "cotangent of operand 1"
    Statistics numbers;
  };
  std::string name;  ///< of the operator
  Pass pass = Pass::forward;
  Where where{};               ///< the user's call of the operator
  Where derivative{};          ///< the call of backward(), grad() or a transform, unless the pass is forward
  int operand = -1;            ///< backward: the operand whose cotangent it is
  std::vector<Value> given{};  ///< operands; cotangents and saved values; tangents: all are finite
  Value made{};
  std::string inside{};  ///< the operator within it that did it, if there is one: "div (at solve.cpp:31)"
};
/// Some lines of text: what was made of what, and where.
WENGERT_API std::string to_string(const NonFiniteFinding&);

/// The finding as an exception. A backward that ends with it has left gradients in some of the leaves.
class WENGERT_API NonFiniteError : public Error {
 public:
  explicit NonFiniteError(NonFiniteFinding);
  NonFiniteFinding finding;
};

struct NonFiniteOptions {
  bool throws = true;      ///< false: the first finding is kept, and the program goes on
  bool infinities = true;  ///< false: NaN only, where infinities are meant
};

/// Looks for the first operator on this thread that makes NaN or infinity of finite numbers, for as long as it lives.
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
