#pragma once

// Pictures: PNG files, folders of them, and tensors as pictures.
//
//   const data::ImageFolder pets = data::image_folder("pets");        // pets/cat/*.png, pets/dog/*.png
//   data::Loader batches(pets.size(), pets, {.size = 32, .prefetch = 2});
//   data::write_png("samples.png", decoder(z));                       // [n, c, height, width] as a grid

#include "wengert/data/dataset.h"

#include <string>
#include <vector>

namespace wengert::data {

/// A PNG file as float32 [channels, height, width] in [0, 1]. Channels are 1 (grey) or 3 (red, green, blue), with one
/// more for opacity; 0: those of the file. Deeper files are rounded to 8 bits. FileError for a file that is no PNG,
/// broken, truncated or above 2^26 pixels, and when this wengert was built without libpng; memory is taken only for
/// pixels that a file of its length can hold. ValueError for other channels.
WENGERT_API Tensor read_png(const std::string& path, int channels = 0, Where = Where::current());

struct PngOptions {
  double low = 0, high = 1;  ///< what is black and white; numbers beyond them are cut, NaN is black
  std::int64_t columns = 0;  ///< of a grid; 0: about as many as rows
  std::int64_t gap = 1;      ///< pixels between the images of a grid
};
/// Writes a picture with 8 bits for each channel: [height, width] grey; [c, height, width] with c = 1, 3 or 4 (red,
/// green, blue, opacity); [n, c, height, width] as a grid. The file is written whole or not at all. ShapeError for
/// other shapes and for empty ones; TypeError unless float32 or float64; ValueError unless low < high, and for options
/// below zero; FileError.
WENGERT_API void write_png(const std::string& path, const Tensor& picture, PngOptions = {}, Where = Where::current());

/// Images in folders that bear the names of their classes. A loader calls it for its batches.
struct WENGERT_API ImageFolder {
  std::vector<std::string> classes{};  ///< in alphabetical order
  std::vector<std::string> files{};    ///< by class, then by name
  std::vector<std::int64_t> labels{};  ///< of the files
  int channels = 0;

  std::int64_t size() const { return static_cast<std::int64_t>(files.size()); }
  /// These images: x [rows, channels, height, width], y int64 [rows]. FileError for an image that cannot be read or has
  /// another shape than the first one; ValueError when there is no such row.
  Dataset operator()(Rows) const;
};
/// Looks for folder/CLASS/*.png. FileError when there are none.
WENGERT_API ImageFolder image_folder(const std::string& folder, int channels = 0, Where = Where::current());

}  // namespace wengert::data
