// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/dropout.h"
#include "wengert/autodiff/simd.h"

namespace wengert::kernels {
namespace {

constexpr int width = 64;  // blocks that are drawn together

// Philox4x32-10 on `width` counters in a row, beginning with block `first` (Salmon et al. 2011): the numbers of Rng.
// Word k of block b comes to words[k][b]. Every line is a loop over the blocks, which compilers make vectors of.
void draw(std::uint64_t seed, std::uint64_t first, std::uint32_t (&words)[4][width]) {
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
}

// Selected, not multiplied: a NaN that is dropped is gone.
template <class L>
void apply_loop(const DropoutMask& mask, std::int64_t begin, std::int64_t end, const void* from, void* to) {
  using T = typename L::Scalar;
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  const T scale = static_cast<T>(mask.scale);
  std::uint32_t words[4][width];
  for (std::int64_t i = begin; i < end; i += 4 * width) {
    draw(mask.seed, static_cast<std::uint64_t>(i / 4), words);
    const std::int64_t n = end - i < 4 * width ? end - i : 4 * width;
    if (mask.inner == 1) {
      for (std::int64_t j = 0; j < n; ++j) {
        const T scaled = x[i + j] * scale;
        y[i + j] = words[j % 4][j / 4] <= mask.last ? scaled : T(0);
      }
      continue;
    }
    for (std::int64_t j = 0; j < n; ++j) {
      const T* row = x + (i + j) * mask.inner;
      T* out = y + (i + j) * mask.inner;
      if (words[j % 4][j / 4] <= mask.last)
        for (std::int64_t k = 0; k < mask.inner; ++k) out[k] = row[k] * scale;
      else
        for (std::int64_t k = 0; k < mask.inner; ++k) out[k] = T(0);
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
