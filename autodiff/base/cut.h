#pragma once

#include <algorithm>
#include <cstdint>

namespace wengert::kernels {

/// Pieces of `size` that n makes, the last perhaps smaller.
inline std::int64_t parts(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

/// n cut into pieces of nearly equal size, `largest` at most.
struct Cut {
  std::int64_t count, each, longer;  // the first `longer` pieces have one more
  Cut(std::int64_t n, std::int64_t largest)
      : count(std::max<std::int64_t>(1, parts(n, largest))), each(n / count), longer(n % count) {}
  std::int64_t begin(std::int64_t i) const { return i * each + std::min(i, longer); }
  std::int64_t size(std::int64_t i) const { return each + (i < longer); }
};

}  // namespace wengert::kernels
