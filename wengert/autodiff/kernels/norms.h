#pragma once

#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/shape.h"

#include <cstdint>

namespace wengert::kernels {

/// sum_i |x_i / scale|^p in double; p = infinity: the largest |x_i / scale|. NaN if there is one. The order of
/// summation depends on n only.
double sum_of_powers(DType, std::int64_t n, const void* x, double p, double scale);

/// Its loops, from element `begin` to `end`, for float32 and float64; compiled for each instruction set.
struct NormLoops {
  double (*sum_of_powers[2])(std::int64_t begin, std::int64_t end, const void* x, double p, double scale);
};
template <class Arch>
const NormLoops* norm_loops();

}  // namespace wengert::kernels
