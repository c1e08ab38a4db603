#pragma once

#include "wengert/autodiff/tensor.h"

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

/// What a file holds, in the order of its header.
struct TensorFile {
  std::vector<NamedTensor> tensors;
  Metadata metadata;

  /// ValueError when there is no tensor of this name.
  WENGERT_API const Tensor& at(std::string_view name, Where = Where::current()) const;
};

/// Reads a whole file: F32, F64, I64 and BOOL tensors of up to eight axes.
/// FileError when it cannot be read, is truncated or breaks the format in any way: no size, shape or offset is believed
/// before it was checked against the length of the file, so a hostile file costs no more memory than its own size.
WENGERT_API TensorFile load_tensors(const std::string& path, Where = Where::current());

/// Writes a file that holds these tensors, or leaves what was there before: it is complete, and on the disk, before it
/// takes the name. FileError when it cannot be written; ValueError for a name given twice, "__metadata__", text that is
/// not UTF-8, or a tensor without a value.
WENGERT_API void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                              const Metadata& metadata = {}, Where = Where::current());
/// @}

}  // namespace wengert
