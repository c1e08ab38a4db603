#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// Which entries stay: entry i of the mask does when the i-th word of Philox's stream `seed` is at most `last`. A mask
/// entry stands for `inner` numbers, and what stays is multiplied by `scale`.
struct DropoutMask {
  std::uint64_t seed;
  std::uint32_t last;
  std::int64_t inner;
  double scale;
};

/// y = mask x, for `n` entries of the mask.
void dropout(DType, const DropoutMask&, std::int64_t n, const void* x, void* y);

/// Its loops, for entries `begin` (a multiple of four) to `end` of the mask; for float32 and float64, compiled for each
/// instruction set.
struct DropoutLoops {
  void (*apply[2])(const DropoutMask&, std::int64_t begin, std::int64_t end, const void* x, void* y);
};
template <class Arch>
const DropoutLoops* dropout_loops();

}  // namespace wengert::kernels
