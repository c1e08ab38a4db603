#pragma once

// Transformations of batches before they enter a model. They are not recorded on the tape.
//
//   const data::Normalize norm(train.x);
//   data::Loader batches(train, [=](data::Dataset b, Rng& rng) {
//     return data::Dataset{data::random_shift(norm(b.x), rng, 2), b.y};
//   });

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::data {

/// (x - mean) / std with the statistics of the training part. A member of a model is saved with the model, so that
/// later data is normalized like the training part.
class WENGERT_API Normalize {
 public:
  /// Mean 0 and std 1, to be overwritten by load().
  explicit Normalize(const Shape& shape = {});
  /// Mean and standard deviation over these axes: {0} for each column of [n, columns], {0, 2, 3} for each channel of
  /// [n, channels, height, width], {} over all axes. The variance divides by n. Constant values are shifted, not
  /// scaled. TypeError unless x is float32 or float64; ShapeError when there are no elements to average.
  explicit Normalize(const Tensor& x, const Shape& axes = {0}, Where = Where::current());

  Tensor operator()(Operand x) const;  ///< any number of rows, result of the same shape
  Tensor inverse(Operand y) const;     ///< y * std + mean

  Tensor mean, std;  ///< shape of x, with size 1 for the averaged axes

  static auto members(auto& self) { return fields(field("mean", self.mean), field("std", self.std)); }
};

/// @name Images [n, ..., height, width] of any dtype, with one random decision for each of n images
/// ShapeError when there are fewer than three axes; ValueError when an argument is out of range.
/// @{

/// Mirrors each image left to right with probability p.
WENGERT_API Tensor random_flip(const Tensor& x, Rng& rng, double p = 0.5, Where = Where::current());
/// Moves each image by up to max_shift pixels vertically and horizontally, and fills with zeros.
WENGERT_API Tensor random_shift(const Tensor& x, Rng& rng, std::int64_t max_shift, Where = Where::current());
/// A part of this size from a random place in the image, which is padded by `padding` zeros on each side.
WENGERT_API Tensor random_crop(const Tensor& x, std::int64_t height, std::int64_t width, Rng& rng,
                               std::int64_t padding = 0, Where = Where::current());
/// The central part of this size.
WENGERT_API Tensor center_crop(const Tensor& x, std::int64_t height, std::int64_t width, Where = Where::current());
/// @}

}  // namespace wengert::data
