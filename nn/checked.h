#pragma once

// Internal: checks in the constructors and calls of layers.

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/tensor.h"
#include "wengert/nn/extent.h"

namespace wengert::nn {

inline void at_least_one(const char* layer, const char* what, std::int64_t n, Where where) {
  if (n < 1) fail<ValueError>(where, "{}: {} must be >= 1, got {}", layer, what, n);
}

template <int rank>
void each_at_least(const char* layer, const char* what, std::int64_t least, Extent<rank> n, Where where) {
  for (int i = 0; i < rank; ++i)
    if (n[i] < least) fail<ValueError>(where, "{}: {} must be >= {}, got {}", layer, what, least, Shape(n));
}

inline void divides_both(const char* layer, std::int64_t groups, std::int64_t in, std::int64_t out, Where where) {
  at_least_one(layer, "groups", groups, where);
  if (in % groups || out % groups)
    fail<ValueError>(where, "{}: {} groups do not divide {} channels into {}", layer, groups, in, out);
}

/// A layer's name with its number of spatial axes: name_of<2>("Conv1d", "Conv2d", "Conv3d").
template <int rank>
constexpr const char* name_of(const char* one, const char* two, const char* three) {
  return rank == 1 ? one : rank == 2 ? two : three;
}

/// ShapeError unless x is [n, channels, spatial...], or [channels, spatial...] where a single image will do.
inline void needs_images(const char* layer, Operand x, std::int64_t channels, int spatial, bool single) {
  const int axis = x->rank() - spatial - 1;
  if (axis == 1 || (axis == 0 && single))
    if (x->shape()[axis] == channels) return;
  constexpr const char* axes[] = {"", ", l", ", h, w", ", d, h, w"};
  fail<ShapeError>(x.where(), "{}: needs [n, {}{}]{}, got {}", layer, channels, axes[spatial],
                   single ? ", with or without n" : "", x->shape());
}

}  // namespace wengert::nn
