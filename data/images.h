#pragma once

// Images: PNG files, folders of PNG files, and tensors as images.
//
//   const data::ImageFolder pets = data::image_folder("pets");        // pets/cat/*.png, pets/dog/*.png
//   data::Loader batches(pets.size(), pets, {.batch_size = 32, .shuffle = true, .prefetch = 2});
//   data::write_png("samples.png", decoder(z));                       // [n, c, height, width] as a grid

#include "wengert/data/dataset.h"

#include <string>
#include <vector>

namespace wengert::data {

/// A PNG file as float32 [channels, height, width] in [0, 1]. Channels are 1 (gray) or 3 (red, green, blue), plus one
/// for opacity; 0: as in the file.  Files with more than 8 bits are rounded to 8 bits.  FileError for a file that is
/// not a PNG, broken, truncated or above 2^26 pixels, and when wengert was built without libpng.  Memory is allocated
/// only for pixels that a file of this length can contain. ValueError for other channels.
WENGERT_API Tensor read_png(const std::string& path, int channels = 0, Where = Where::current());

struct PngOptions {
  double low = 0, high = 1;  ///< values of black and white; others are clamped, NaN is black
  std::int64_t columns = 0;  ///< of a grid; 0: about as many as rows
  std::int64_t gap = 1;      ///< pixels between the images of a grid
};
/// Writes an image with 8 bits for each channel: [height, width] in gray; [c, height, width] with c = 1, 3 or 4 (red,
/// green, blue, opacity); [n, c, height, width] as a grid. The file is written completely or not at all.  ShapeError
/// for other shapes and for empty images; TypeError unless float32 or float64; ValueError unless low < high, columns >=
/// 0 and gap >= 0; FileError.
WENGERT_API void write_png(const std::string& path, const Tensor& picture, PngOptions = {}, Where = Where::current());

/// Images in folders whose names are the classes. A Loader calls it for its batches.
struct WENGERT_API ImageFolder {
  std::vector<std::string> classes{};  ///< in alphabetical order
  std::vector<std::string> files{};    ///< by class, then by name
  std::vector<std::int64_t> labels{};  ///< of the files
  int channels = 0;

  std::int64_t size() const { return static_cast<std::int64_t>(files.size()); }
  /// These images: x [rows, channels, height, width], y int64 [rows]. FileError for an image that cannot be read or
  /// whose shape differs from the first one; ValueError for an index out of range.
  Dataset operator()(Rows) const;
};
/// Finds folder/CLASS/*.png. FileError when there are no files.
WENGERT_API ImageFolder image_folder(const std::string& folder, int channels = 0, Where = Where::current());

}  // namespace wengert::data
