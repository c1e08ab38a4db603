#pragma once

#include "wengert/autodiff/tape/random.h"

/// Initial values of weights, the same for any number of threads; constants are zeros(), ones() and full(). A layer's
/// weights are given others by assignment: layer.weight = init::orthogonal(layer.weight.shape(), rng). fan_in of a
/// weight [out, in, kernel...] is in times the size of the kernel, fan_out is out times that size.
namespace wengert::nn::init {

struct Fans {
  std::int64_t in, out;
};
/// ShapeError for a weight of less than two axes.
WENGERT_API Fans fans(const Shape& weight, Where = Where::current());

/// How much an activation shrinks the spread of what passes through it.
inline constexpr double gain_linear = 1, gain_sigmoid = 1, gain_tanh = 5.0 / 3, gain_relu = 1.4142135623730951,
                        gain_selu = 0.75;
/// sqrt(2 / (1 + negative_slope^2)).
WENGERT_API double gain_leaky_relu(double negative_slope);

/// U(-b, b), b = 1 / sqrt(fan_in): what Linear and Conv2d start from, for weights and biases (as in PyTorch).
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
/// U(-b, b), b = gain sqrt(3 / fan_in), and standard deviation gain / sqrt(fan_in): keep the variance of what passes
/// through a linear map.  LeCun, Bottou, Orr & Mueller 1998.
WENGERT_API Tensor lecun_uniform(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());
WENGERT_API Tensor lecun_normal(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());

/// gain times a matrix with orthonormal rows, or columns if there are fewer of them, seen as [out, in kernel...]; every
/// such matrix is as likely as any other (the q of a normal matrix, with a positive diagonal of r).  Saxe, McClelland &
/// Ganguli 2014; Mezzadri 2007.
WENGERT_API Tensor orthogonal(const Shape& weight, Rng&, double gain = 1, DType = float32, Where = Where::current());

/// Normal numbers between low and high: the density is cut there, whatever mean and std (as in PyTorch, where others
/// cut at multiples of std).  By the inverse of the distribution, one uniform number each.  ValueError unless low <
/// high and std > 0.
struct TruncatedOptions {
  double mean = 0, std = 1, low = -2, high = 2;
};
WENGERT_API Tensor truncated_normal(const Shape&, Rng&, TruncatedOptions = {}, DType = float32,
                                    Where = Where::current());

}  // namespace wengert::nn::init
