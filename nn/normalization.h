#pragma once

// Normalization layers. Initial weights are 1 and initial biases 0. Variances divide by n and take two passes.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/nn/mode.h"

#include <optional>

namespace wengert::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< weight of the newest batch in the running statistics; nullopt:
                                         ///< cumulative average
  bool affine = true;                    ///< has weight and bias
  bool track_running_stats = true;       ///< keep running statistics; if false, batch statistics are used in
                                         ///< evaluation too
  DType dtype = float32;
};

/// (x - mean) / sqrt(var + eps) weight + bias for each channel.  x [n, channels, spatial...]; BatchNorm1d also takes
/// [n, channels].  In training, mean and var are those of the batch, and the running statistics are updated,
///   running = (1 - momentum) running + momentum batch,
/// where the variance of the batch divides by n - 1 as in PyTorch,
/// in place and off the tape. In evaluation, mean and var are the running statistics.  ShapeError for x with other
/// channels or another number of axes.  ValueError in training when each channel has a single value.  Ioffe & Szegedy
/// 2015.
template <int rank>
struct WENGERT_API BatchNorm {
  using Options = BatchNormOptions;
  BatchNorm(std::int64_t channels, Options = {}, Where = Where::current());
  Tensor operator()(Operand x, Mode) const;
  static auto members(auto& self) {
    return fields(field("weight", self.weight), field("bias", self.bias), field("running_mean", self.running_mean),
                  field("running_var", self.running_var), field("num_batches_tracked", self.num_batches_tracked));
  }

  Param weight, bias;  ///< [channels], undefined unless affine
  Buffer running_mean, running_var,
      num_batches_tracked;  ///< [channels], [channels], [] int64; undefined unless track_running_stats
  std::int64_t channels;
  double eps;
  std::optional<double> momentum;
};
using BatchNorm1d = BatchNorm<1>;
using BatchNorm2d = BatchNorm<2>;
using BatchNorm3d = BatchNorm<3>;

struct InstanceNormOptions {
  double eps = 1e-5;
  bool affine = false;
  DType dtype = float32;
};

/// Normalizes each channel of each example over its spatial axes, then applies weight and bias if affine.  x [n,
/// channels, spatial...].  There are no running statistics.  ShapeError for x with other channels or another number of
/// axes.  ValueError when a channel has a single value.  Ulyanov, Vedaldi & Lempitsky 2016.
template <int rank>
struct WENGERT_API InstanceNorm {
  using Options = InstanceNormOptions;
  InstanceNorm(std::int64_t channels, Options = {}, Where = Where::current());
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
  std::int64_t channels;
  double eps;
};
using InstanceNorm1d = InstanceNorm<1>;
using InstanceNorm2d = InstanceNorm<2>;
using InstanceNorm3d = InstanceNorm<3>;

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;  ///< has weight and bias
  bool bias = true;                ///< false: weight only
  DType dtype = float32;
};

/// (x - mean) / sqrt(var + eps) weight + bias, with mean and variance over the last axes, whose sizes are `shape`. A
/// single number is the size of the last axis.  weight and bias have that shape.  ShapeError for x with other last
/// axes.  Ba, Kiros & Hinton 2016.
struct WENGERT_API LayerNorm {
  LayerNorm(const Shape& shape, LayerNormOptions = {}, Where = Where::current());
  LayerNorm(std::int64_t size, LayerNormOptions options = {}, Where where = Where::current())
      : LayerNorm(Shape{size}, options, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
  Shape shape;
  double eps;
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< has weight and bias
  DType dtype = float32;
};

/// Divides the channels of x [n, channels, ...] into `groups` of neighbors and normalizes each group of each example.
/// weight and bias are [channels].  ValueError unless groups divides channels.  Wu & He 2018.
struct WENGERT_API GroupNorm {
  GroupNorm(std::int64_t groups, std::int64_t channels, GroupNormOptions = {}, Where = Where::current());
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;
  std::int64_t groups, channels;
  double eps;
};

struct RmsNormOptions {
  std::optional<double> eps = {};  ///< nullopt: machine epsilon of the dtype of x
  bool elementwise_affine = true;  ///< has a weight
  DType dtype = float32;
};

/// x / sqrt(mean(x^2) + eps) weight, with the mean over the last axes, whose sizes are `shape`.  There is no
/// bias.  Zhang & Sennrich 2019.
struct WENGERT_API RmsNorm {
  RmsNorm(const Shape& shape, RmsNormOptions = {}, Where = Where::current());
  RmsNorm(std::int64_t size, RmsNormOptions options = {}, Where where = Where::current())
      : RmsNorm(Shape{size}, options, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
  Shape shape;
  std::optional<double> eps;
};

/// x / (k + alpha mean(x^2))^beta, with the mean over `size` channels around each channel.  x [n, channels, ...].
struct WENGERT_API LocalResponseNorm {
  std::int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;
  Tensor operator()(Operand x) const;
};

extern template struct BatchNorm<1>;
extern template struct BatchNorm<2>;
extern template struct BatchNorm<3>;
extern template struct InstanceNorm<1>;
extern template struct InstanceNorm<2>;
extern template struct InstanceNorm<3>;

}  // namespace wengert::nn
