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

/// @name Data sets
/// @{

/// 1797 handwritten digits of 8 x 8 pixels, embedded in the library.  x float32 [1797, 64] in [0, 1], y int64 [1797].
/// UCI "Optical Recognition of Handwritten Digits", Alpaydin & Kaynak 1998, CC BY 4.0.
WENGERT_API Dataset digits();

/// MNIST, or any data set with the same file names, from a folder of idx files, plain or gzip.  x float32 [n, height *
/// width] in [0, 1], y int64 [n] from 0 to 9.  Without train-images-idx3-ubyte and its labels, the first 85 % of t10k
/// are the training part and the rest is the test part.  FileError for files that are missing, broken or of different
/// lengths, and for a label out of range.
WENGERT_API Split mnist(const std::string& folder, Where = Where::current());

/// @}
/// @name Files, plain or gzip, recognized by their first bytes
/// @{

/// An idx file (http://yann.lecun.com/exdb/mnist) as a tensor of its shape, converted to `dtype`: integers to float32,
/// float64 or int64, floats to float32 or float64.  TypeError for other conversions.  FileError for a wrong magic
/// number, sizes that do not match the length of the file, trailing bytes and broken gzip.  Memory is bounded by the
/// data in the file, not by the sizes in its header.
WENGERT_API Tensor read_idx(const std::string& path, DType dtype = float32, Where = Where::current());

struct CsvOptions {
  bool header = false;   ///< skip the first line
  char separator = ',';  ///< ' ' stands for any number of blanks
  DType dtype = float32;
  bool allow_nonfinite = false;  ///< accept nan and inf, which are errors by default
};
/// Reads lines with equal numbers of fields -> [rows, columns].  Blanks around a number, CRLF, a byte order mark and
/// empty lines at the end are ignored.  A missing value must be written as nan (in any case of letters) and be allowed.
/// FileError with line and column for anything else, and for a file without numbers.
WENGERT_API Tensor read_csv(const std::string& path, CsvOptions = {}, Where = Where::current());

/// @}
/// @name Rows
/// @{

struct SplitOptions {
  double test = 0.2;        ///< share of rows that is held out, rounded to whole rows
  Shuffle shuffle = false;  ///< true: by default_rng()
};
/// The last rows are the test part and the others the training part. Both are views of the data set unless rows are
/// shuffled first.
/// ValueError unless 0 <= test <= 1; ShapeError when x and y differ in their rows.
WENGERT_API Split split(const Dataset&, SplitOptions = {}, Where = Where::current());

struct BatchOptions {
  std::int64_t batch_size = 32;
  Shuffle shuffle = false;  ///< true: by default_rng()
  bool drop_last = false;   ///< skip the last batch if it is smaller than the others
};

/// The batches of one pass over a data set, as returned by batches().
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
  Tensor order_;  // of the rows; undefined unless shuffled
  std::int64_t batch_size_, count_;
};

/// Every row once, batch_size at a time:
///
///   for (auto [x, y] : data::batches(train, {.batch_size = 64, .shuffle = rng})) ...
///
/// Each call draws an order, so epochs differ, and the same seed gives the same epochs. Shuffled batches are copies,
/// others are views. ValueError unless batch_size >= 1; ShapeError when x and y differ in their rows; y may be
/// undefined.
WENGERT_API Batches batches(const Dataset&, BatchOptions = {}, Where = Where::current());

/// @}
}  // namespace wengert::data
