#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// Rows begin .. end - 1 of row-major matrices with n columns.
using RowLoop = void (*)(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in, void* const* out);

/// Loops for one dtype. `statistics` finds for each row the shift, which is the largest entry (0 when that is
/// infinite), and log(sum(exp(x - shift))).
struct SoftmaxLoops {
  RowLoop statistics;         // x [n] -> shift, log_sum
  RowLoop softmax;            // x [n] -> exp(x) / sum(exp(x))  [n]
  RowLoop log_softmax;        // x [n] -> x - log(sum(exp(x)))  [n]
  RowLoop softmax_vjp;        // y [n], y_bar [n] -> y (y_bar - sum(y_bar y))  [n]
  RowLoop log_softmax_vjp;    // y [n], y_bar [n] -> y_bar - exp(y) sum(y_bar)  [n]
  RowLoop log_softmax_jvp;    // y [n], x_dot [n] -> x_dot - sum(exp(y) x_dot)  [n]
  RowLoop logsumexp_vjp;      // x [n], y, y_bar -> y_bar exp(x - y), 0 where y = -inf or y_bar = 0  [n]
  RowLoop cross_entropy_vjp;  // x [n], shift, log_sum, label (int64), factor (one for all rows) -> factor (softmax(x) -
                              // e_label)  [n]
};

/// Of float32 and float64, compiled for each instruction set.
template <class Arch>
const SoftmaxLoops* softmax_loops();

}  // namespace wengert::kernels
