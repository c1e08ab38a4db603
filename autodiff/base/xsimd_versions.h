// xsimd, and what its versions 8 to 14 call differently. For simd.h alone, which says what it is compiled for.
#pragma once

#include <xsimd/xsimd.hpp>

namespace wengert::detail {

/// A number for the instruction set that xsimd compiles for: its name, hashed by FNV-1a. Up to version 12 the set has a
/// number of its own.
consteval unsigned set_number() {
  unsigned hash = 2166136261u;
  for (const char* c = xsimd::default_arch::name(); *c; ++c) hash = (hash ^ static_cast<unsigned>(*c)) * 16777619u;
  return hash;
}

/// The bits of x read as elements of T, which are of the same size.
template <class T, class From, class Arch>
xsimd::batch<T, Arch> bits_as(const xsimd::batch<From, Arch>& x) {
#if XSIMD_VERSION_MAJOR >= 11
  return xsimd::bitwise_cast<T>(x);
#else
  return xsimd::bitwise_cast<xsimd::batch<T, Arch>>(x);
#endif
}

/// The sum of all elements of x.
template <class T, class Arch>
T sum_of(const xsimd::batch<T, Arch>& x) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(x);
#else
  return xsimd::hadd(x);
#endif
}

/// The larger element of each pair, and b's where one of them is NaN, as x86 has it.
template <class T, class Arch>
xsimd::batch<T, Arch> larger(const xsimd::batch<T, Arch>& a, const xsimd::batch<T, Arch>& b) {
#if XSIMD_VERSION_MAJOR >= 14
  return xsimd::max(b, a);
#else
  return xsimd::max(a, b);
#endif
}

/// The smaller element of each pair, and b's where one of them is NaN, as x86 has it.
template <class T, class Arch>
xsimd::batch<T, Arch> smaller(const xsimd::batch<T, Arch>& a, const xsimd::batch<T, Arch>& b) {
#if XSIMD_VERSION_MAJOR >= 14
  return xsimd::min(b, a);
#else
  return xsimd::min(a, b);
#endif
}

}  // namespace wengert::detail
