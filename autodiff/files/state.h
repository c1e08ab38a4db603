#pragma once

#include "wengert/autodiff/files/safetensors.h"

#include <string>
#include <utility>
#include <vector>

namespace wengert {

/// @name State dictionaries: a model filled from a file that was not written by the same build of it
/// @{

struct StateOptions {
  /// Names in the file and what the model calls them, with at most one * that stands for anything:
  /// {{"fc1.*", "hidden.*"}}. The first pattern that fits a name counts; a name that none fits stays. An empty second
  /// half leaves the tensor out: {"*.num_batches_tracked", ""}.
  std::vector<std::pair<std::string, std::string>> rename = {};
  /// Throw unless every tensor of the model and of the file has found its other half.
  bool strict = true;
  /// Round float64 to float32, or widen float32 to float64, where the model has the other.
  bool convert = false;
};

/// What load_state() did.
struct LoadReport {
  std::vector<std::string> loaded;      ///< of the model, in its order
  std::vector<std::string> missing;     ///< of the model, and not in the file
  std::vector<std::string> unexpected;  ///< in the file, and not of the model
  std::vector<std::string> misfits;     ///< of another shape or dtype: "hidden.bias: the model has ..., the file ..."

  bool complete() const { return missing.empty() && unexpected.empty() && misfits.empty(); }
  /// A line that counts, then one for each tensor that did not fit.
  WENGERT_API std::string text() const;
};

/// @}

namespace detail {

struct StateMatch {
  LoadReport report;
  std::vector<Tensor> values;  // for the model, in its order; undefined where there is none
};
WENGERT_API StateMatch match_state(const TensorFile&, std::string path, const std::vector<NamedTensor>& model,
                                   const StateOptions&, Where);
/// A safetensors or npz file, told apart by its first bytes.
WENGERT_API TensorFile read_state(const std::string& path, Where);

template <class M>
LoadReport fill_state(StateMatch match, M& model, Where where) {
  auto value = match.values.begin();
  for_each_tensor(model, [&]<class T>(T& t) {
    const Tensor& v = *value++;
    if (!v.defined()) return;
    if constexpr (std::same_as<T, Tensor>) t = v;
    else t.assign(v, where);
  });
  return std::move(match.report);
}

}  // namespace detail

/// Fills a model by name from tensors that may come from elsewhere, as an exported state_dict of PyTorch:
///
///   load_state("mlp.safetensors", model, {.rename = {{"fc1.*", "hidden.*"}, {"fc2.*", "output.*"}}});
///
/// Reads safetensors and npz. FileError with the report's text, and the model is as it was, unless everything fits;
/// with
/// {.strict = false} what fits is loaded and the report tells the rest. ValueError for a broken pattern, or when two
/// tensors of the file are given one name.
template <class M>
LoadReport load_state(const std::string& path, M& model, const StateOptions& options = {},
                      Where where = Where::current()) {
  const TensorFile file = detail::read_state(path, where);
  return detail::fill_state(detail::match_state(file, path, detail::named_tensors(model), options, where), model,
                            where);
}
template <class M>
LoadReport load_state(const TensorFile& file, M& model, const StateOptions& options = {},
                      Where where = Where::current()) {
  return detail::fill_state(detail::match_state(file, "", detail::named_tensors(model), options, where), model, where);
}

}  // namespace wengert
