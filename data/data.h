#pragma once

#include "wengert/data/dataset.h"
#include "wengert/data/images.h"
#include "wengert/data/loader.h"
#include "wengert/data/table.h"
#include "wengert/data/text.h"
#include "wengert/data/transforms.h"

#include <string>

/// Data sets, the files that hold them, and mini-batches.
namespace wengert::data {

/// The generator to shuffle by; none, and rows keep their order. Written as a generator: {.shuffle = rng}.
class Shuffle {
 public:
  Shuffle() = default;
  Shuffle(Rng& rng) : rng_(&rng) {}
  Rng* rng() const { return rng_; }

 private:
  Rng* rng_ = nullptr;
};

/// @name Data sets
/// @{

/// 1797 handwritten digits of 8 x 8 pixels, embedded in the library.  x float32 [1797, 64] in [0, 1], y int64 [1797].
/// UCI "Optical Recognition of Handwritten Digits", Alpaydin & Kaynak 1998, CC BY 4.0.
WENGERT_API Dataset digits();

/// MNIST, or anything with its file names, from a folder of idx files, plain or gzip.  x float32 [n, height * width] in
/// [0, 1], y int64 [n] from 0 to 9.  Where train-images-idx3-ubyte and its labels are absent, t10k serves for both: the
/// first 85 % train. FileError when files are absent or broken, do not belong together, or a label is out of range.
WENGERT_API Split mnist(const std::string& folder, Where = Where::current());

/// @}
/// @name Files. Plain or gzip, recognised by their first bytes.
/// @{

/// An idx file (http://yann.lecun.com/exdb/mnist) as a tensor of its shape, converted to `dtype`: integers to float32,
/// float64 or int64, floats to float32 or float64.  TypeError for other conversions.  FileError for a wrong magic
/// number, sizes that do not match the bytes that are there, trailing bytes and broken gzip; memory grows with what is
/// read, never with what is promised.
WENGERT_API Tensor read_idx(const std::string& path, DType dtype = float32, Where = Where::current());

struct CsvOptions {
  bool header = false;   ///< skip the first line
  char separator = ',';  ///< ' ' stands for any run of blanks
  DType dtype = float32;
  bool allow_nonfinite = false;  ///< read nan and inf; else one spoils a training silently, so it is an error
};
/// Numbers in lines of equal length -> [rows, columns].  Blanks around a number, CRLF, a byte order mark and empty
/// lines at the end are overlooked; an empty field is not: a missing value must be written as nan, and allowed
/// (nan and inf in any case of letters). FileError with line and column for anything else; also when there are no
/// numbers at all.
WENGERT_API Tensor read_csv(const std::string& path, CsvOptions = {}, Where = Where::current());

/// @}
/// @name Rows
/// @{

struct SplitOptions {
  double test = 0.2;  ///< the part that is held out, rounded to whole rows
  Shuffle shuffle = {};
};
/// The last rows are for testing, the others for training; shuffled first if asked for, else both are views.
/// ValueError unless 0 <= test <= 1; ShapeError when x and y differ in their rows.
WENGERT_API Split split(const Dataset&, SplitOptions = {}, Where = Where::current());

struct BatchOptions {
  std::int64_t size = 32;
  Shuffle shuffle = {};
  bool drop_last = false;  ///< leave out the last batch if it is smaller than the others
};

/// One pass over a data set in parts; what batches() returns.
class WENGERT_API Batches {
 public:
  Batches(const Dataset&, BatchOptions, Where);

  /// Number of batches.
  std::int64_t size() const { return count_; }
  Dataset operator[](std::int64_t i) const;

  class Iterator {
   public:
    Iterator(const Batches& of, std::int64_t i) : of_(&of), i_(i) {}
    Dataset operator*() const { return (*of_)[i_]; }
    Iterator& operator++() { return ++i_, *this; }
    bool operator==(const Iterator& o) const { return i_ == o.i_; }

   private:
    const Batches* of_;
    std::int64_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, count_}; }

 private:
  Dataset data_;
  Tensor order_;  // of the rows; undefined when they are not shuffled
  std::int64_t batch_, count_;
};

/// Every row once, `size` at a time:
///
///   for (auto [x, y] : data::batches(train, {.size = 64, .shuffle = rng})) ...
///
/// The order is drawn by the call, so every epoch has another one, and the same seed gives the same epochs. Batches are
/// copies when shuffled, views otherwise. ValueError unless size >= 1; ShapeError when x and y differ in their rows; y
/// may be left undefined.
WENGERT_API Batches batches(const Dataset&, BatchOptions = {}, Where = Where::current());

/// @}
}  // namespace wengert::data
