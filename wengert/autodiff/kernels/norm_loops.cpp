// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/norms.h"
#include "wengert/autodiff/simd.h"

#include <cmath>
#include <limits>

namespace wengert::kernels {
namespace {

// Sixteen running values, joined by halves.
template <class T, class Term, class Join>
double fold(const T* x, std::int64_t n, Term&& term, Join&& join) {
  double lane[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 16; ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i + k])));
  for (int k = 0; i < n; ++i, ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i])));
  for (int width = 8; width; width /= 2)
    for (int k = 0; k < width; ++k) lane[k] = join(lane[k], lane[k + width]);
  return lane[0];
}

template <class L>
double sum_of_powers_loop(std::int64_t begin, std::int64_t end, const void* from, double p, double scale) {
  const auto* x = static_cast<const typename L::Scalar*>(from) + begin;
  const std::int64_t n = end - begin;
  const auto add = [](double a, double b) { return a + b; };
  const auto size = [](double t) { return t < 0 ? -t : t; };
  if (p == 2 && scale == 1) return fold(x, n, [](double t) { return t * t; }, add);
  if (p == 2) return fold(x, n, [=](double t) { return t / scale * (t / scale); }, add);
  if (p == 1) return fold(x, n, [=](double t) { return size(t / scale); }, add);
  if (p == std::numeric_limits<double>::infinity())
    return fold(
        x, n, [=](double t) { return size(t / scale); }, [](double a, double b) { return a > b || a != a ? a : b; });
  return fold(x, n, [=](double t) { return std::pow(size(t / scale), p); }, add);
}

}  // namespace

template <class Arch>
const NormLoops* norm_loops() {
  using F = Lanes<float>;
  using D = Lanes<double>;
  static constexpr NormLoops loops = {{sum_of_powers_loop<F>, sum_of_powers_loop<D>}};
  return &loops;
}
template const NormLoops* norm_loops<Current>();

}  // namespace wengert::kernels
