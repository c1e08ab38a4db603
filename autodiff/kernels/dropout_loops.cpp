// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/base/simd.h"
#include "wengert/autodiff/kernels/dropout.h"

namespace wengert::kernels {

using detail::Lanes;
namespace {

constexpr int width = 64;  // blocks that are drawn together

// Philox4x32-10 on `width` counters in a row, beginning with block `first` (Salmon et al. 2011): the numbers of Rng.
// keep[i] is -1 (all bits) where word i is at most `last`, else 0. Every line is a loop over the blocks, which
// compilers make vectors of; so that they do, unsigned words are compared as signed ones, with the first bit turned
// round.
void draw(std::uint64_t seed, std::uint64_t first, std::uint32_t last, std::int32_t (&keep)[4 * width]) {
  std::uint32_t words[4][width];
  for (int b = 0; b < width; ++b) {
    const std::uint64_t i = first + static_cast<std::uint64_t>(b);
    words[0][b] = static_cast<std::uint32_t>(i), words[1][b] = static_cast<std::uint32_t>(i >> 32);
    words[2][b] = words[3][b] = 0;
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int b = 0; b < width; ++b) {
      const std::uint64_t p = std::uint64_t{0xD2511F53} * words[0][b], q = std::uint64_t{0xCD9E8D57} * words[2][b];
      words[0][b] = static_cast<std::uint32_t>(q >> 32) ^ words[1][b] ^ k0;
      words[2][b] = static_cast<std::uint32_t>(p >> 32) ^ words[3][b] ^ k1;
      words[1][b] = static_cast<std::uint32_t>(q);
      words[3][b] = static_cast<std::uint32_t>(p);
    }
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  const auto limit = static_cast<std::int32_t>(last ^ 0x80000000u);
  for (int b = 0; b < width; ++b)
    for (int k = 0; k < 4; ++k)
      keep[4 * b + k] = -static_cast<std::int32_t>(static_cast<std::int32_t>(words[k][b] ^ 0x80000000u) <= limit);
}

// Selected by bits, not multiplied: a NaN that is dropped is gone.
template <class L>
void apply_loop(const DropoutMask& mask, std::int64_t begin, std::int64_t end, const void* from, void* to) {
  using T = typename L::Scalar;
  using Bits = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  const T* x = static_cast<const T*>(from) + begin * mask.inner;
  T* y = static_cast<T*>(to) + begin * mask.inner;
  const T scale = static_cast<T>(mask.scale);
  std::int32_t keep[4 * width];
  for (std::int64_t i = begin; i < end; i += 4 * width) {
    draw(mask.seed, static_cast<std::uint64_t>(i / 4), mask.last, keep);
    const std::int64_t n = end - i < 4 * width ? end - i : 4 * width;
    if (mask.inner == 1) {
      for (std::int64_t j = 0; j < n; ++j)
        y[j] = __builtin_bit_cast(T, __builtin_bit_cast(Bits, x[j] * scale) & Bits{keep[j]});
      x += n, y += n;
      continue;
    }
    for (std::int64_t j = 0; j < n; ++j, x += mask.inner, y += mask.inner) {
      if (keep[j])
        for (std::int64_t k = 0; k < mask.inner; ++k) y[k] = x[k] * scale;
      else
        for (std::int64_t k = 0; k < mask.inner; ++k) y[k] = T(0);
    }
  }
}

}  // namespace

template <class Arch>
const DropoutLoops* dropout_loops() {
  static constexpr DropoutLoops loops = {{apply_loop<Lanes<float>>, apply_loop<Lanes<double>>}};
  return &loops;
}
template const DropoutLoops* dropout_loops<Current>();

}  // namespace wengert::kernels
