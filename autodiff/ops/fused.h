#pragma once

// Internal to fuse.h: its parts that are not templates.

#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/tape/rule.h"

#include <atomic>

namespace wengert::detail {

inline constexpr int max_fused = 32;

/// The compiled forms of a lambda: loops (null where there are none for this processor), and the lambda on tensors.
struct FusedCode {
  int inputs, results;
  kernels::Loop value[2], pull[2], push[2];  // float32, float64
  /// Results may be smaller than the common shape of the operands.
  void (*call)(const void* f, const Tensor* x, Tensor* y);
};

/// The argument of a loop: the lambda, and a flag that the loop sets when a derivative is infinite or NaN.
struct FusedCall {
  const void* f;
  mutable std::atomic<bool> nonfinite{false};
};

/// The axes that results are summed over.
struct FusedSum {
  bool sums = false;
  std::uint32_t axes = 0;
  bool keep_dims = false;
};

/// A fused call with its types erased.
struct FusedRun {
  const FusedCode& code;
  const void* f;
  const Shape& shape;
  const FusedSum& sum;
};

/// True if this processor has AVX2 and FMA, so that the loops that fuse.h compiles can run.
WENGERT_API bool runs_avx2();
/// The common shape of all operands. ShapeError; TypeError unless they are all float32 or all float64.
WENGERT_API Shape fused_shape(std::string_view name, std::span<const Tensor* const> x, Where);
WENGERT_API FusedSum fused_axes(std::string_view name, const Shape& shape, const Shape& axes, bool keep_dims, Where);

WENGERT_API void fused_value(const FusedRun&, std::span<const Tensor* const> x, std::span<Tensor> y);
WENGERT_API void fused_vjp(const FusedRun&, std::span<const Saved> x, std::span<const Tensor> y_bar, Wants,
                           std::span<Tensor> x_bar);
WENGERT_API void fused_jvp(const FusedRun&, std::span<const Saved> x, std::span<const Tensor> x_dot,
                           std::span<Tensor> y_dot);
/// sum divided by the number of elements that were added for each of its entries.
WENGERT_API Tensor fused_mean(const Tensor& sum, const Shape&, Where);
/// The fused call run as operators, each of which is recorded.
WENGERT_API void fused_by_operators(const FusedRun&, std::span<const Tensor> x, std::span<Tensor> y, Where);

}  // namespace wengert::detail
