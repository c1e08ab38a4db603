#include "wengert/autodiff/kernels/dropout.h"

#include "wengert/autodiff/base/parallel.h"

#include <algorithm>

namespace wengert::kernels {

void dropout(DType dtype, const DropoutMask& mask, std::int64_t n, const void* x, void* y) {
  const auto loop = dispatch([]<class Arch>() { return dropout_loops<Arch>(); })->apply[dtype == float64];
  const std::int64_t blocks = (n + 3) / 4;  // of four words
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / mask.inner);
  parallel_for(blocks, grain,
               [&](std::int64_t begin, std::int64_t end) { loop(mask, begin * 4, std::min(end * 4, n), x, y); });
}

}  // namespace wengert::kernels
