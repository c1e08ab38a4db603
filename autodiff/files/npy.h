#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string>
#include <vector>

namespace wengert {

/// @name Files of numpy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
/// @{

/// The array of an npy file, format versions 1 to 3, in C or Fortran order and either byte order. A dtype that the
/// library does not have becomes one that holds all its values: float16 becomes float32; int8 to int32 and uint8 to
/// uint64 become int64. FileError for other types (complex, strings, objects, records), a uint64 above 2^63 - 1, more
/// than eight axes, and any violation of the format. A shape is checked against the size of the file before memory is
/// allocated for it.
WENGERT_API Tensor load_npy(const std::string& path, Where = Where::current());

/// Writes an npy file, version 1.0 in C order, from which np.load reads the same bits. The file is replaced as a whole
/// or not at all. FileError when it cannot be written; ValueError for an undefined tensor.
WENGERT_API void save_npy(const std::string& path, const Tensor&, Where = Where::current());

/// All arrays of an npz file (np.savez, np.savez_compressed), under their names without ".npy" and in the order of the
/// archive. FileError where load_npy() throws it, and for a broken archive, a wrong checksum, or a member that is not
/// an array. Needs as much memory as the arrays, which deflate limits to 1032 times the size of the file.
WENGERT_API TensorFile load_npz(const std::string& path, Where = Where::current());

struct NpzOptions {
  bool compress = false;  ///< deflate the arrays, as np.savez_compressed does
};
/// Writes an npz file for np.load. Equal tensors give equal bytes. Throws what save_npy() throws, and ValueError for a
/// name that is empty, duplicate, or longer than a zip archive allows.
WENGERT_API void save_npz(const std::string& path, const std::vector<NamedTensor>& tensors, NpzOptions = {},
                          Where = Where::current());
/// @}

}  // namespace wengert
