#pragma once

#include "wengert/autodiff/tape/random.h"

/// Initial values of weights. They are the same for any number of threads. Constants are zeros(), ones() and full().
/// Assignment gives a layer other initial values: layer.weight = init::orthogonal(layer.weight.shape(), rng). The
/// fan_in of a weight [out, in, kernel...] is `in` times the size of the kernel, and fan_out is `out` times that size.
namespace wengert::nn::init {

struct Fans {
  std::int64_t in, out;
};
/// ShapeError for a weight with fewer than two axes.
WENGERT_API Fans fans(const Shape& weight, Where = Where::current());

/// Factors that compensate for how much an activation reduces the spread of its input.
inline constexpr double gain_linear = 1, gain_sigmoid = 1, gain_tanh = 5.0 / 3, gain_relu = 1.4142135623730951,
                        gain_selu = 0.75;
/// sqrt(2 / (1 + negative_slope^2)).
WENGERT_API double gain_leaky_relu(double negative_slope);

/// U(-b, b), b = 1 / sqrt(fan_in): the initial weights and biases of Linear and Conv2d, as in PyTorch.
WENGERT_API Tensor uniform_fan_in(const Shape&, std::int64_t fan_in, Rng&, DType = float32);
/// U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)).  Glorot & Bengio 2010.
WENGERT_API Tensor xavier_uniform(const Shape& weight, Rng&, double gain = 1, DType = float32,
                                  Where = Where::current());
/// Standard deviation gain sqrt(2 / (fan_in + fan_out)).
WENGERT_API Tensor xavier_normal(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());
/// U(-b, b), b = gain sqrt(3 / fan_in).  He, Zhang, Ren & Sun 2015.
WENGERT_API Tensor kaiming_uniform(const Shape& weight, Rng&, double gain = gain_relu, DType = float32,
                                   Where = Where::current());
/// Standard deviation gain / sqrt(fan_in).
WENGERT_API Tensor kaiming_normal(const Shape& weight, Rng&, double gain = gain_relu, DType = float32,
                                  Where = Where::current());
/// U(-b, b), b = gain sqrt(3 / fan_in), and standard deviation gain / sqrt(fan_in): keep the variance of the input of a
/// linear map.  LeCun, Bottou, Orr & Mueller 1998.
WENGERT_API Tensor lecun_uniform(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());
WENGERT_API Tensor lecun_normal(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());

/// gain times a matrix [out, in kernel...] with orthonormal rows, or orthonormal columns if there are fewer columns.
/// The distribution is uniform over such matrices: the result is the q of a normal matrix whose r has a positive
/// diagonal.  Saxe, McClelland & Ganguli 2014; Mezzadri 2007.
WENGERT_API Tensor orthogonal(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());

/// A normal distribution restricted to [low, high]. As in PyTorch the bounds are absolute, not multiples of std. Each
/// element takes one uniform number and the inverse of the distribution function.  ValueError unless low < high and
/// std > 0.
struct TruncatedOptions {
  double mean = 0, std = 1, low = -2, high = 2;
};
WENGERT_API Tensor truncated_normal(const Shape&, Rng&, TruncatedOptions = {}, DType = float32,
                                    Where = Where::current());

}  // namespace wengert::nn::init
