#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string>
#include <vector>

namespace wengert {

/// @name Files of numpy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
/// @{

/// The array of an npy file, format versions 1 to 3, in C or Fortran order, either order of bytes. What we have no
/// dtype for becomes the one that holds every value: float16 becomes float32; int8 to int32 and uint8 to uint64 become
/// int64. FileError for other types (complex, strings, objects, records), a uint64 above 2^63 - 1, more than eight
/// axes, and any breach of the format: no shape is believed before it was checked against the bytes that are there.
WENGERT_API Tensor load_npy(const std::string& path, Where = Where::current());

/// Writes what np.load reads back bit by bit, as version 1.0 in C order; the old file or the whole new one, as
/// save_tensors(). FileError when it cannot be written; ValueError for a tensor without a value.
WENGERT_API void save_npy(const std::string& path, const Tensor&, Where = Where::current());

/// All arrays of an npz file, stored or deflated (np.savez, np.savez_compressed), under their names without ".npy" and
/// in the order of the archive. FileError as load_npy(), for a broken archive, a wrong checksum, and members that are
/// no arrays. It takes as much memory as the arrays have; deflate makes those at most 1032 times as large as the file.
WENGERT_API TensorFile load_npz(const std::string& path, Where = Where::current());

struct NpzOptions {
  bool compress = false;  ///< deflate the members, as np.savez_compressed
};
/// Writes what np.load reads; the same tensors always make the same bytes. FileError and ValueError as save_npy(), and
/// ValueError for names that are empty, given twice, or longer than a zip archive allows.
WENGERT_API void save_npz(const std::string& path, const std::vector<NamedTensor>& tensors, NpzOptions = {},
                          Where = Where::current());
/// @}

}  // namespace wengert
