#include "wengert/autodiff/kernels/norms.h"

#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/parallel.h"

#include <limits>

namespace wengert::kernels {
namespace {

const NormLoops& loops() {
  return *dispatch([]<class Arch>() { return norm_loops<Arch>(); });
}

}  // namespace

double sum_of_powers(DType dtype, std::int64_t n, const void* x, double p, double scale) {
  if (n == 0) return 0;
  const auto loop = loops().sum_of_powers[dtype == float64];
  if (n <= grain_elements) return loop(0, n, x, p, scale);
  const std::int64_t pieces = (n + grain_elements - 1) / grain_elements;
  const Scratch<double> part(pieces);
  parallel_for(n, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    part[begin / grain_elements] = loop(begin, end, x, p, scale);
  });
  double total = 0;
  for (std::int64_t i = 0; i < pieces; ++i) {
    if (p != std::numeric_limits<double>::infinity()) total += part[i];
    else if (!(total != total) && !(part[i] <= total)) total = part[i];
  }
  return total;
}

}  // namespace wengert::kernels
