#include "wengert/autodiff/kernels/norms.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/typed.h"

#include <algorithm>
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
  const Chunks pieces(n, grain_elements);
  const Scratch<double> part(pieces.count);
  parallel_for(n, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    part[begin / pieces.size] = loop(begin, end, x, p, scale);
  });
  double total = 0;
  for (std::int64_t i = 0; i < pieces.count; ++i) {
    if (p != std::numeric_limits<double>::infinity()) total += part[i];
    else if (!(total != total) && !(part[i] <= total)) total = part[i];
  }
  return total;
}

void normalize(DType dtype, const Groups& g, double eps, const void* x, const void* gain, const void* bias, void* y,
               void* mean, void* scale) {
  const auto loop = loops().normalize[dtype == float64];
  // Three passes: a quarter of the usual grain is worth a thread.
  parallel_for(g.groups, parts(grain_elements / 4, g.entries()),
               [&](std::int64_t begin, std::int64_t end) { loop(begin, end, g, eps, x, gain, bias, y, mean, scale); });
}

// What runs along rows is summed up in parts, which are added in order: few, but none of so many rows that its rounding
// would grow with all of them.
void normalize_vjp(DType dtype, const Groups& g, const void* x, const void* gain, const void* mean, const void* scale,
                   const void* y_bar, void* x_bar, void* gain_bar, void* bias_bar) {
  const auto loop = loops().normalize_vjp[dtype == float64];
  const std::int64_t grain = parts(grain_elements, g.entries());
  if (!g.along || (!gain_bar && !bias_bar)) {
    parallel_for(g.groups, grain, [&](std::int64_t begin, std::int64_t end) {
      loop(begin, end, g, x, gain, mean, scale, y_bar, x_bar, gain_bar, bias_bar);
    });
    return;
  }
  const Cut rows(g.groups, std::max(grain, std::min<std::int64_t>(parts(g.groups, 16), 512)));
  const auto add_up = [&]<class T>(T) {
    const Scratch<T> sums(2 * rows.count * g.size);
    parallel_for(rows.count, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        T* const sum = sums + 2 * i * g.size;
        std::fill_n(sum, 2 * g.size, T(0));
        loop(rows.begin(i), rows.begin(i) + rows.size(i), g, x, gain, mean, scale, y_bar, x_bar,
             gain_bar ? sum : nullptr, bias_bar ? sum + g.size : nullptr);
      }
    });
    void* const to[] = {gain_bar, bias_bar};
    for (int which = 0; which < 2; ++which) {
      T* const total = static_cast<T*>(to[which]);
      for (std::int64_t i = 0; total && i < rows.count; ++i) {
        const T* sum = sums + (2 * i + which) * g.size;
        for (std::int64_t k = 0; k < g.size; ++k) total[k] = i ? total[k] + sum[k] : sum[k];
      }
    }
  };
  with_type(dtype, add_up);
}

}  // namespace wengert::kernels
