#include "wengert/autodiff/tape/random.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace wengert {
namespace detail {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0], b = std::uint64_t{0xCD9E8D57} * c[2];
    const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
    const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    c = {high(b) ^ c[1] ^ k[0], low(b), high(a) ^ c[3] ^ k[1], low(a)};
    k[0] += 0x9E3779B9, k[1] += 0xBB67AE85;
  }
  return c;
}

}  // namespace detail

namespace {

using Words = std::array<std::uint32_t, 4>;

Words block(std::uint64_t seed, std::uint64_t i) {
  return detail::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0},
                        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}
std::uint64_t pair(const Words& w, int i) { return std::uint64_t{w[2 * i + 1]} << 32 | w[2 * i]; }

// [0, 1), as many bits as the type holds: sums of such numbers are exact.
template <class T>
T unit(const Words&, int);
template <>
float unit<float>(const Words& w, int i) {
  return static_cast<float>(w[i] >> 8) * 0x1p-24f;
}
template <>
double unit<double>(const Words& w, int i) {
  return static_cast<double>(pair(w, i) >> 11) * 0x1p-53;
}

// How many numbers of type T a block of four words makes.
template <class T>
constexpr int per_block = sizeof(T) == 4 ? 4 : 2;

// make(words, numbers) turns each block into per_block numbers. The last block may be used in part.
template <class T, class Make>
void fill(Rng& rng, T* to, std::int64_t n, Make&& make) {
  constexpr int width = per_block<T>;
  const std::int64_t blocks = (n + width - 1) / width;
  const std::uint64_t seed = rng.seed, first = rng.counter;
  kernels::parallel_for(blocks, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      T numbers[width];
      make(block(seed, first + static_cast<std::uint64_t>(b)), numbers);
      std::copy_n(numbers, std::min<std::int64_t>(width, n - b * width), to + b * width);
    }
  });
  rng.counter += static_cast<std::uint64_t>(blocks);
}

template <class T>
void fill_uniform(Rng& rng, Tensor& y, double low, double high) {
  const T from = static_cast<T>(low), range = static_cast<T>(high - low);
  fill(rng, detail::fresh<T>(y), y.numel(), [=](const Words& w, T* to) {
    for (int i = 0; i < per_block<T>; ++i) to[i] = from + range * unit<T>(w, i);
  });
}

template <class T>
void fill_normal(Rng& rng, Tensor& y, double mean, double std) {
  const T centre = static_cast<T>(mean), spread = static_cast<T>(std);
  fill(rng, detail::fresh<T>(y), y.numel(), [=](const Words& w, T* to) {
    for (int i = 0; i < per_block<T>; i += 2) {
      const T radius = std::sqrt(T(-2) * std::log(T(1) - unit<T>(w, i)));  // 1 - u is on (0, 1]
      const T angle = T(2 * std::numbers::pi) * unit<T>(w, i + 1);
      to[i] = centre + spread * radius * std::cos(angle);
      to[i + 1] = centre + spread * radius * std::sin(angle);
    }
  });
}

// The generator to draw from. While a checkpoint runs again it is what it was the first time, and the caller's stays.
class Drawing {
 public:
  explicit Drawing(Rng& rng) : again_(rng), rng_(detail::repeat_draw(again_) ? again_ : rng) {}
  Rng& operator*() { return rng_; }
  Rng* operator->() { return &rng_; }

 private:
  Rng again_;
  Rng& rng_;
};

void need_float(const char* what, DType dtype, Where where) {
  if (!is_float(dtype)) fail<TypeError>(where, "{}: makes float32 or float64, not {}", what, dtype);
}

// The high half of bits * range: a number below range, without a division.
std::int64_t below(std::uint64_t range, std::uint64_t bits) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(Wide{bits} * range >> 64));
}

}  // namespace

Tensor Rng::uniform(const Shape& shape, double low, double high, DType dtype, Where where) {
  need_float("uniform", dtype, where);
  if (!(low <= high)) fail<ValueError>(where, "uniform: low must not be above high, got [{}, {})", low, high);
  Tensor y = empty(shape, dtype);
  Drawing rng(*this);
  if (dtype == float32) fill_uniform<float>(*rng, y, low, high);
  else fill_uniform<double>(*rng, y, low, high);
  return y;
}

Tensor Rng::normal(const Shape& shape, double mean, double std, DType dtype, Where where) {
  need_float("normal", dtype, where);
  if (!(std >= 0)) fail<ValueError>(where, "normal: std must be at least 0, got {}", std);
  Tensor y = empty(shape, dtype);
  Drawing rng(*this);
  if (dtype == float32) fill_normal<float>(*rng, y, mean, std);
  else fill_normal<double>(*rng, y, mean, std);
  return y;
}

Tensor Rng::integers(const Shape& shape, std::int64_t low, std::int64_t high, Where where) {
  if (low >= high) fail<ValueError>(where, "integers: low must be below high, got [{}, {})", low, high);
  Tensor y = empty(shape, int64);
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  Drawing rng(*this);
  fill(*rng, detail::fresh<std::int64_t>(y), y.numel(), [=](const Words& w, std::int64_t* to) {
    for (int i = 0; i < 2; ++i) to[i] = low + below(range, pair(w, i));
  });
  return y;
}

Tensor Rng::bernoulli(const Shape& shape, double p, DType dtype, Where where) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>(where, "bernoulli: p must be in [0, 1], got {}", p);
  const double limit = p * 0x1p32;  // a word is below it with probability p, to within 2^-32
  Drawing rng(*this);
  auto draw = [&]<class T>(T) {
    Tensor y = empty(shape, dtype);
    const std::int64_t n = y.numel(), blocks = (n + 3) / 4;
    T* to = detail::fresh<T>(y);
    const std::uint64_t key = rng->seed, first = rng->counter;
    kernels::parallel_for(blocks, 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const Words w = block(key, first + static_cast<std::uint64_t>(b));
        for (int i = 0; i < 4 && b * 4 + i < n; ++i) to[b * 4 + i] = static_cast<T>(static_cast<double>(w[i]) < limit);
      }
    });
    rng->counter += static_cast<std::uint64_t>(blocks);
    return y;
  };
  switch (dtype) {
    case DType::float32: return draw(float());
    case DType::float64: return draw(double());
    case DType::int64: return draw(std::int64_t());
    case DType::boolean: break;
  }
  return draw(bool());
}

Tensor Rng::permutation(std::int64_t n, Where where) {
  if (n < 0) fail<ValueError>(where, "permutation: n must be at least 0, got {}", n);
  Tensor y = empty({n}, int64);
  auto* order = detail::fresh<std::int64_t>(y);
  std::iota(order, order + n, std::int64_t{0});
  Drawing rng(*this);
  for (std::int64_t i = n; i > 1; --i) {
    const Words w = block(rng->seed, rng->counter + static_cast<std::uint64_t>(n - i) / 2);
    std::swap(order[i - 1], order[below(static_cast<std::uint64_t>(i), pair(w, int((n - i) % 2)))]);
  }
  rng->counter += static_cast<std::uint64_t>(n) / 2;
  return y;
}

std::uint64_t Rng::bits() {
  Drawing rng(*this);
  return pair(block(rng->seed, rng->counter++), 0);
}

Rng& default_rng() {
  thread_local Rng rng;
  return rng;
}

void seed(std::uint64_t seed) { default_rng() = Rng{seed}; }

}  // namespace wengert
