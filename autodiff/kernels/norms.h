#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// sum_i |x_i / scale|^p in double; p = infinity: the largest |x_i / scale|. NaN if there is one. The order of
/// summation depends on n only.
double sum_of_powers(DType, std::int64_t n, const void* x, double p, double scale);

/// Groups of numbers that are normalised together, each of `segments` consecutive runs of `size` numbers. Gain and bias
/// run along such a segment, which is the only one then, or are one number for each group.
struct Groups {
  std::int64_t groups, segments, size, group_step, segment_step;
  bool along;

  std::int64_t entries() const { return segments * size; }
};

/// y = (x - mean) scale gain + bias with scale = 1 / sqrt(var + eps), var in two passes; gain and bias may be null.
/// mean and scale have one number for each group.
void normalize(DType, const Groups&, double eps, const void* x, const void* gain, const void* bias, void* y, void* mean,
               void* scale);
/// The cotangents of x, gain and bias; those that are null are not wanted, and gain may be null.
void normalize_vjp(DType, const Groups&, const void* x, const void* gain, const void* mean, const void* scale,
                   const void* y_bar, void* x_bar, void* gain_bar, void* bias_bar);

/// Loops, for float32 and float64; compiled for each instruction set. From element or group `begin` to `end`; the sums
/// of gain_bar and bias_bar along rows are added to what is there.
struct NormLoops {
  double (*sum_of_powers[2])(std::int64_t begin, std::int64_t end, const void* x, double p, double scale);
  void (*normalize[2])(std::int64_t begin, std::int64_t end, const Groups&, double eps, const void* x, const void* gain,
                       const void* bias, void* y, void* mean, void* scale);
  void (*normalize_vjp[2])(std::int64_t begin, std::int64_t end, const Groups&, const void* x, const void* gain,
                           const void* mean, const void* scale, const void* y_bar, void* x_bar, void* gain_bar,
                           void* bias_bar);
};
template <class Arch>
const NormLoops* norm_loops();

}  // namespace wengert::kernels
