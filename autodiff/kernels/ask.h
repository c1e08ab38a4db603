#pragma once

#include <cstdint>

namespace wengert::kernels {

/// Asks for numbers that come next, while there is work on others: processors do not look ahead beyond a page of
/// memory.
template <bool write = false, class T>
void ask_for(const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += 64 / std::int64_t(sizeof(T))) __builtin_prefetch(x + i, write);
}

/// An array of so many bytes does not stay in the second cache, and is worth being asked for.
inline bool is_far(std::int64_t bytes) { return bytes > 1 << 20; }

}  // namespace wengert::kernels
