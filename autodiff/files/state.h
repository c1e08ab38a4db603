#pragma once

#include "wengert/autodiff/files/safetensors.h"

#include <string>
#include <utility>
#include <vector>

namespace wengert {

/// @name State dictionaries: filling a model from a file whose names, or some of whose tensors, differ
/// @{

struct StateOptions {
  /// Pairs of a name in the file and its name in the model, with at most one *, which matches any text:
  /// {{"fc1.*", "hidden.*"}}. The first pattern that matches a name is used; other names are unchanged. An empty new
  /// name skips the tensor: {"*.num_batches_tracked", ""}.
  std::vector<std::pair<std::string, std::string>> rename = {};
  /// Throw unless every tensor of the model is in the file, and every tensor of the file in the model.
  bool strict = true;
  /// Convert between float32 and float64 where the model and the file differ.
  bool convert = false;
};

/// What load_state() did.
struct LoadReport {
  std::vector<std::string> loaded;      ///< tensors of the model, in its order
  std::vector<std::string> missing;     ///< tensors of the model that are not in the file
  std::vector<std::string> unexpected;  ///< tensors of the file that are not in the model
  std::vector<std::string>
      misfits;  ///< tensors of another shape or dtype: "hidden.bias: the model has ..., the file ..."

  bool complete() const { return missing.empty() && unexpected.empty() && misfits.empty(); }
  /// A line with the counts, then one line for each tensor that did not match.
  WENGERT_API std::string text() const;
};

/// @}

namespace detail {

struct StateMatch {
  LoadReport report;
  std::vector<Tensor> values;  // for the model, in its order; undefined where the file has none
};
WENGERT_API StateMatch match_state(const TensorFile&, std::string path, const std::vector<NamedTensor>& model,
                                   const StateOptions&, Where);
/// Reads a safetensors or npz file, which differ in their first bytes.
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

/// Fills a model by name from tensors of another program, such as an exported state_dict of PyTorch:
///
///   load_state("mlp.safetensors", model, {.rename = {{"fc1.*", "hidden.*"}, {"fc2.*", "output.*"}}});
///
/// Reads safetensors and npz files. Unless everything matches, throws FileError with the report's text and leaves the
/// model unchanged; {.strict = false} loads what matches and reports the rest. ValueError for an invalid pattern, or
/// when two tensors of the file are renamed to the same name.
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
