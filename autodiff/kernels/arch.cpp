#include "wengert/autodiff/kernels/arch.h"

#include <cstdlib>
#include <string_view>

namespace wengert::kernels {

Level level() {
  static const Level best = [] {
    Level found = Level::baseline;
#ifdef __x86_64__  // as in wengert/meson.build
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found = Level::avx2;
#ifndef WENGERT_NO_AVX512
    if (found == Level::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
      found = Level::avx512;
#endif
#endif
    const char* wish = std::getenv("WENGERT_SIMD");
    const std::string_view asked = wish ? wish : "";
    if (asked == "baseline") return Level::baseline;
    if (asked == "avx2" && found == Level::avx512) return Level::avx2;
    return found;
  }();
  return best;
}

}  // namespace wengert::kernels
