#pragma once

#include <cstddef>

namespace wengert::kernels {

/// A result of so many bytes is written past the caches: they would throw its beginning out before anybody reads it,
/// and a store through them reads the line from memory first.
inline constexpr std::size_t beyond_caches = std::size_t{32} << 20;

/// How to do so.
struct Stream {
  /// Copies; `to` begins at a line of 64 bytes.
  void (*copy)(void* to, const void* from, std::size_t bytes);
  /// Has to be called before another thread is told.
  void (*finish)();
};
/// Null where registers are too narrow for it to be faster than a plain copy.
template <class Arch>
const Stream* stream_loops();

}  // namespace wengert::kernels
