#pragma once

#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/shape.h"

#include <cstdint>

namespace wengert::kernels {

/// w, and what the optimizer remembers, change in place in one pass. Names as in optim/optim.h.
struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
  bool first;  // the velocity becomes g
};
/// velocity may be null when momentum is 0.
void sgd(DType, std::int64_t n, const SgdStep&, void* w, const void* g, void* velocity);

struct AdamStep {
  double beta1, beta2, eps, weight_decay;
  double rate;         // lr / (1 - beta1^t)
  double root_factor;  // 1 / sqrt(1 - beta2^t)
  bool maximize;
};
/// v_max may be null.
void adam(DType, std::int64_t n, const AdamStep&, void* w, const void* g, void* m, void* v, void* v_max);

/// sum_i |x_i / scale|^p in double; p = infinity: the largest |x_i / scale|. NaN if there is one. The order of
/// summation depends on n only.
double sum_of_powers(DType, std::int64_t n, const void* x, double p, double scale);

/// The loops, from element `begin` to `end`, for float32 and float64; compiled for each instruction set.
struct OptimizerLoops {
  void (*sgd[2])(const SgdStep&, std::int64_t begin, std::int64_t end, void* w, const void* g, void* velocity);
  void (*adam[2])(const AdamStep&, std::int64_t begin, std::int64_t end, void* w, const void* g, void* m, void* v,
                  void* v_max);
  double (*sum_of_powers[2])(std::int64_t begin, std::int64_t end, const void* x, double p, double scale);
};
template <class Arch>
const OptimizerLoops* optimizer_loops();

}  // namespace wengert::kernels
