#pragma once

// Tools that inspect models and exclude parts of them from training. They work on any struct of parameters.
//
//   std::cout << to_string(nn::summary(model, {32, 784}));
//   for (auto& f : nn::lint(model, [&](const Mlp& m) { return nn::cross_entropy(m(x), y); })) std::cout << f.sentence;
//   nn::freeze(model, "features.*");

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/base/pattern.h"
#include "wengert/autodiff/inspect/dry_run.h"
#include "wengert/autodiff/model/model.h"

#include <string>
#include <utility>
#include <vector>

namespace wengert::nn {

/// @name What a model costs
/// @{

/// One call at a source location and everything that ran in it: a layer, or an operator without parameters.
struct SummaryRow {
  std::string layer;                       ///< path to the parameters used; without any, names of operators
  Shape output{};                          ///< shape of the last result
  std::int64_t parameters = 0;             ///< elements of parameters first used here, frozen ones included
  double flops = -1, backward_flops = -1;  ///< negative: unknown
  std::int64_t bytes = 0;                  ///< bytes of all results
};
struct Summary {
  std::vector<SummaryRow> rows{};
  std::int64_t parameters = 0, frozen = 0;  ///< elements of the whole model, used or not
  double flops = 0, backward_flops = 0;     ///< known part; recomputation by checkpoints counts as backward
  std::int64_t peak_bytes = 0;  ///< peak of a step: results and gradients, without parameters and optimizer state
};
/// A table whose last line is the total.
WENGERT_API std::string to_string(const Summary&);

namespace tools {

class WENGERT_API Summarizer {
 public:
  Summarizer();
  ~Summarizer();
  Summarizer(const Summarizer&) = delete;
  void parameter(std::string_view path, const Tensor&);
  Summary result(const DryRun&) const;

 private:
  struct Look;
  wengert::detail::Hidden<Look> look_;
};

}  // namespace tools

/// Runs f(model, x) and its derivative once, on a copy of the model, so that running statistics do not change (see
/// dry_run.h). Each row is a call at one source location. Several layers called in turn at one location, as in a loop
/// over blocks, have one row each.
template <class M, class F>
Summary summary(const M& model, const Tensor& x, F&& f) {
  const M tried = wengert::copy(model);
  tools::Summarizer look;
  for_each_param(tried, [&](std::string_view path, const Tensor& w) { look.parameter(path, w); });
  return look.result(dry_run([&](const Tensor& input) { return f(tried, input); }, x));
}
template <class M>
Summary summary(const M& model, const Tensor& x) {
  return summary(model, x, [](const M& m, const Tensor& input) { return m(input); });
}
/// Summary for an input of zeros with this shape.
template <class M>
Summary summary(const M& model, const Shape& input, DType dtype = float32) {
  return summary(model, zeros(input, dtype));
}
/// @}
/// @name What is wrong with it
/// @{

struct Finding {
  enum class Kind {
    unreached,           ///< the loss does not depend on a parameter
    copied,              ///< the loss depends on a copy of a parameter, which is another leaf: auto w = m.hidden.weight
    zero_gradient,       ///< every element of a gradient is exactly zero
    nonfinite_gradient,  ///< a gradient has a NaN or an infinity
    dead_units,          ///< outputs of relu that are zero for the whole batch
    broadcast            ///< two operands with n elements and different ranks broadcast to n^2 elements
  };
  Kind kind;
  std::string path;      ///< of the parameter; empty for operators
  std::string sentence;  ///< readable description
  Where where{};         ///< the call, for operators
};

namespace tools {

class WENGERT_API Linter {
 public:
  Linter();
  ~Linter();
  Linter(const Linter&) = delete;
  /// Ends the observation of operators.
  void done(const Tensor& loss);
  void parameter(std::string_view path, const Tensor&);
  std::vector<Finding> findings(Where);

 private:
  struct Look;
  wengert::detail::Hidden<Look> look_;
};

}  // namespace tools

/// Runs loss(model) and its derivative once, on a copy of the model, and returns what looks like a mistake. Frozen and
/// undefined parameters are not examined. The units of relu are the channels of [n, c, h, w], else the last axis. A
/// finding is a question, not a verdict: a unit may be dead for one batch and active for the next.
template <class M, class F>
std::vector<Finding> lint(const M& model, F&& loss, Where where = Where::current()) {
  const M tried = wengert::copy(model);
  tools::Linter linter;
  linter.done(loss(tried));
  for_each_param(tried, [&](std::string_view path, const Tensor& w) { linter.parameter(path, w); });
  return linter.findings(where);
}
/// @}
/// @name Which part of it is trained
/// Patterns are those of optimizers: * stands for anything, ? for one character, | parts alternatives. ValueError when
/// no parameter fits.
/// @{

/// Param::freeze() for these parameters. From now on neither backward() nor transforms give them a gradient, and clips
/// and optimizers pass over them, weight decay and moments included; copies are frozen as well, files have the elements
/// as before. Gives how many there are.
template <class M>
std::int64_t freeze(M& model, std::string_view pattern = "*", Where where = Where::current());
/// Trained again. An optimizer goes on with what it remembers of them, zeros if they were frozen when it was made, and
/// with its count of steps: Adam corrects the bias of the moments as if they had that age, so that its first steps for
/// these parameters are up to (1 - beta1) / sqrt(1 - beta2) times as long as the rate says, 3.2 by default. Make the
/// optimizer anew, or warm the rate up, where that matters.
template <class M>
std::int64_t unfreeze(M& model, std::string_view pattern = "*", Where where = Where::current());
/// Takes these out of gradients, which have the type of the model, before clipping and step(model, grads): optimizers
/// pass over a parameter whose gradient is undefined, weight decay and moments included.
template <class M>
std::int64_t mask_gradients(M& grads, std::string_view pattern, Where where = Where::current());
/// @}

namespace tools {

template <class M, class F>
std::int64_t for_fitting(const char* who, M& model, std::string_view pattern, Where where, F&& f) {
  std::vector<std::string> names;
  std::int64_t found = 0;
  for_each_param(model, [&](std::string_view path, auto& w) {
    if (wengert::detail::fits(path, pattern)) f(w), ++found;
    else names.emplace_back(path);
  });
  if (!found) wengert::detail::none_fits(who, pattern, names, where);
  return found;
}

}  // namespace tools

template <class M>
std::int64_t freeze(M& model, std::string_view pattern, Where where) {
  return tools::for_fitting("freeze", model, pattern, where, [](Param& w) { w.freeze(); });
}
template <class M>
std::int64_t unfreeze(M& model, std::string_view pattern, Where where) {
  return tools::for_fitting("unfreeze", model, pattern, where, [](Param& w) { w.unfreeze(); });
}
template <class M>
std::int64_t mask_gradients(M& grads, std::string_view pattern, Where where) {
  return tools::for_fitting("mask_gradients", grads, pattern, where, []<class T>(T& x_bar) { x_bar = T(); });
}

/// @name Which model it is
/// @{

namespace tools {

/// FNV-1a with 64 bits (Fowler, Noll & Vo).
class WENGERT_API Digest {
 public:
  void add(std::string_view path, const Tensor&);
  std::uint64_t value() const { return hash_; }

 private:
  void add(const void* bytes, std::size_t n);
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace tools

/// A hash of a model. It is equal for two models whose tensors, trained or not, have the same names, shapes, dtypes and
/// bits, and practically only then. It does not depend on the number of threads, nor on the machine if the byte order
/// is the same. The hash is 64-bit FNV-1a over, for each tensor in the order of the members: its path, a zero byte, the
/// name of its dtype, a zero byte, its number of axes and their sizes as int64, and its elements row-major. It is no
/// protection against forgery.
template <class M>
std::uint64_t digest(const M& model) {
  tools::Digest d;
  for_each_tensor(model, [&](std::string_view path, const auto& t) { d.add(path, t); });
  return d.value();
}
/// @}

}  // namespace wengert::nn
