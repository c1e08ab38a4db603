#pragma once

// Kernels are compiled once for each instruction set (wengert/meson.build) and chosen at run time. The set is a
// template argument of everything compiled more than once, so that no two objects define the same function.

#include <type_traits>

namespace wengert::kernels {

struct Baseline {};
struct Avx2 {};
struct Avx512 {};

#if defined(WENGERT_SIMD_AVX512)
using Current = Avx512;
#elif defined(WENGERT_SIMD_AVX2)
using Current = Avx2;
#else
using Current = Baseline;
#endif

enum class Level { baseline, avx2, avx512 };
/// What this machine and the library have; the environment variable WENGERT_SIMD (baseline, avx2, avx512) may ask for
/// less.
Level level();

/// f<Arch>() for the best set.
template <class F>
decltype(auto) dispatch(F&& f) {
#ifdef __x86_64__  // as in wengert/meson.build
  static const Level best = level();
#ifndef WENGERT_NO_AVX512
  if (best == Level::avx512) return f.template operator()<Avx512>();
#endif
  if (best == Level::avx2) return f.template operator()<Avx2>();
#endif
  return f.template operator()<Baseline>();
}

}  // namespace wengert::kernels
