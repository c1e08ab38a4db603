#pragma once

#include "wengert/autodiff/tape/tensor.h"

#include <array>

namespace wengert {

/// A generator of random numbers, as a value: Philox4x32-10 (Salmon et al. 2011). A number depends on the seed and its
/// place in the stream only, so results are the same for any number of threads, and a copy of the generator repeats
/// what the original will draw.
///
///   Rng rng{42};
///   Tensor x = rng.normal({32, 784});
struct WENGERT_API Rng {
  std::uint64_t seed = 0;
  std::uint64_t counter = 0;  ///< blocks of four 32-bit numbers drawn so far

  /// Uniform on [low, high). float32 or float64.
  Tensor uniform(const Shape&, double low = 0, double high = 1, DType = float32, Where = Where::current());
  /// Normal (Box & Muller 1958). float32 or float64. ValueError when std < 0.
  Tensor normal(const Shape&, double mean = 0, double std = 1, DType = float32, Where = Where::current());
  /// Integers of [low, high), int64; the probabilities are equal to within (high - low) / 2^64. ValueError unless low <
  /// high.
  Tensor integers(const Shape&, std::int64_t low, std::int64_t high, Where = Where::current());
  /// True with probability p. ValueError unless 0 <= p <= 1.
  Tensor bernoulli(const Shape&, double p = 0.5, DType = boolean, Where = Where::current());
  /// 0, 1, ..., n - 1 in random order, int64 [n] (Fisher & Yates).
  Tensor permutation(std::int64_t n, Where = Where::current());

  /// The next 64 bits; takes a whole block.
  std::uint64_t bits();
  /// A generator of its own, with numbers unrelated to the ones still to be drawn here.
  Rng split() { return {bits(), 0}; }

  friend bool operator==(const Rng&, const Rng&) = default;
};

/// Uniform on [0, 1).
inline Tensor rand(const Shape& shape, Rng& rng, DType dtype = float32) { return rng.uniform(shape, 0, 1, dtype); }
/// Normal with mean 0 and standard deviation 1.
inline Tensor randn(const Shape& shape, Rng& rng, DType dtype = float32) { return rng.normal(shape, 0, 1, dtype); }

/// This thread's generator: for the initial values of layers, and for shuffling, when no generator is given. It starts as
/// Rng{0}.
WENGERT_API Rng& default_rng();
/// Starts this thread's default_rng() afresh: default_rng() = Rng{seed}.
WENGERT_API void seed(std::uint64_t seed);

namespace detail {
/// Ten rounds of Philox.
WENGERT_API std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);
}  // namespace detail
}  // namespace wengert
