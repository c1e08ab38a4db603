#pragma once

// What is done to a batch before a model sees it. Nothing here is on the tape.
//
//   const data::Normalise norm(train.x);
//   data::Loader batches(train, [=](data::Dataset b, Rng& rng) {
//     return data::Dataset{data::random_shift(norm(b.x), 2, rng), b.y};
//   });

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::data {

/// (x - mean) / std, by the statistics of the training part. As a part of a model its numbers are saved with it, so
/// that what comes later is normalised as the training part was.
class WENGERT_API Normalise {
 public:
  /// Does nothing yet: mean 0, std 1. A place for load().
  explicit Normalise(const Shape& shape = {});
  /// Mean and spread over these axes: {0} for each column of [n, columns], {0, 2, 3} for each channel of
  /// [n, channels, height, width]; {} over all. The variance divides by their number. What does not vary is shifted
  /// only. TypeError unless x is float32 or float64; ShapeError when there is nothing to average.
  explicit Normalise(const Tensor& x, const Shape& axes = {0}, Where = Where::current());

  Tensor operator()(Operand x) const;  ///< any number of rows -> the same shape
  Tensor inverse(Operand y) const;     ///< y * std + mean

  Tensor mean, std;  ///< of x's shape, with ones for the axes

  static auto members(auto& self) { return fields(field("mean", self.mean), field("std", self.std)); }
};

/// @name Images [n, ..., height, width] of any dtype, each treated in its own way
/// ShapeError when there are fewer than three axes; ValueError when a number is out of range.
/// @{

/// Mirrored left to right, each with probability p.
WENGERT_API Tensor random_flip(const Tensor& x, Rng& rng, double p = 0.5, Where = Where::current());
/// Moved by up to `most` pixels up or down, left or right; zeros come in.
WENGERT_API Tensor random_shift(const Tensor& x, std::int64_t most, Rng& rng, Where = Where::current());
/// A part of this size, from anywhere in the image with `padding` zeros around it.
WENGERT_API Tensor random_crop(const Tensor& x, std::int64_t height, std::int64_t width, Rng& rng,
                               std::int64_t padding = 0, Where = Where::current());
/// The part of this size in the middle.
WENGERT_API Tensor centre_crop(const Tensor& x, std::int64_t height, std::int64_t width, Where = Where::current());
/// @}

}  // namespace wengert::data
