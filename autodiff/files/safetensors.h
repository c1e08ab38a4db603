#pragma once

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/tensor.h"

#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wengert {

/// @name Files of named tensors, in the safetensors format (https://github.com/huggingface/safetensors)
/// @{

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

using Metadata = std::map<std::string, std::string>;

/// The contents of a file, in the order of its header.
struct TensorFile {
  std::vector<NamedTensor> tensors;
  Metadata metadata;

  /// The tensor of this name; ValueError when there is none.
  WENGERT_API const Tensor& at(std::string_view name, Where = Where::current()) const;
};

/// Reads a whole file: F32, F64, I64 and BOOL tensors of up to eight axes.
/// FileError when the file cannot be read, is truncated or violates the format. Every size, shape and offset is checked
/// against the length of the file first, so that a hostile file needs no more memory than its own size.
WENGERT_API TensorFile load_tensors(const std::string& path, Where = Where::current());

/// Writes these tensors to a file. The file is complete and on the disk before it replaces an older one of its name.
/// FileError when it cannot be written; ValueError for a duplicate name, the name "__metadata__", text that is not
/// UTF-8, or an undefined tensor.
WENGERT_API void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                              const Metadata& metadata = {}, Where = Where::current());
/// @}

namespace detail {

WENGERT_API void save_model(const std::string& path, const std::vector<NamedTensor>&, const Metadata&, Where);
/// The values for `model`, in its order. FileError unless the file has the same names, shapes and dtypes.
WENGERT_API std::vector<Tensor> load_model(const std::string& path, const std::vector<NamedTensor>& model, Where);

template <class M>
std::vector<NamedTensor> named_tensors(const M& model) {
  std::vector<NamedTensor> all;
  for_each_tensor(model, [&](std::string_view name, const Tensor& t) { all.push_back({std::string(name), t}); });
  return all;
}

}  // namespace detail

/// Writes all tensors of a model, trained or not, under their paths ("hidden.weight"), with save_tensors().
template <class M>
void save(const std::string& path, const M& model, const Metadata& metadata = {}, Where where = Where::current()) {
  detail::save_model(path, detail::named_tensors(model), metadata, where);
}

/// Fills a model from a file that has exactly the model's tensors, with the same shapes and dtypes; otherwise throws
/// FileError and leaves the model unchanged. Params and Buffers are changed in place; a plain Tensor is replaced.
template <class M>
void load(const std::string& path, M& model, Where where = Where::current()) {
  const std::vector<Tensor> values = detail::load_model(path, detail::named_tensors(model), where);
  auto value = values.begin();
  for_each_tensor(model, [&]<class T>(T& t) {
    if constexpr (std::same_as<T, Tensor>) t = *value++;
    else t.assign(*value++, where);
  });
}

}  // namespace wengert
