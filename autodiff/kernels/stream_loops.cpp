// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/stream.h"

#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace wengert::kernels {

#ifdef __AVX2__
namespace {

void store_line(std::byte* to, const std::byte* from) {
#ifdef __AVX512F__
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
#else
  for (int half = 0; half < 64; half += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + half),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + half)));
#endif
}

void copy(void* to, const void* from, std::size_t bytes) {
  auto* p = static_cast<std::byte*>(to);
  const auto* q = static_cast<const std::byte*>(from);
  for (; bytes >= 64; bytes -= 64, p += 64, q += 64) store_line(p, q);
  std::memcpy(p, q, bytes);
}

void finish() { _mm_sfence(); }

}  // namespace
#endif

template <class Arch>
const Stream* stream_loops() {
#ifdef __AVX2__
  static constexpr Stream loops = {copy, finish};
  return &loops;
#else
  return nullptr;
#endif
}
template const Stream* stream_loops<Current>();

}  // namespace wengert::kernels
