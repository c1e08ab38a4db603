#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

/// Which entries of an axis make an entry of the result, and with what weights: rows of a sparse matrix [out, in].
enum class Sampling {
  windows,   // the mean of `kernel` entries from o * stride - padding on
  adaptive,  // the mean from floor(o in / out) to ceil((o + 1) in / out)
  nearest,   // one entry
  linear,    // two
  cubic,     // four: Keys 1981 with a = -3/4
};

struct Axis {
  Sampling how = Sampling::windows;
  std::int64_t in = 1, out = 1;
  std::int64_t kernel = 1, stride = 1, padding = 0;
  bool count_padding = true;   // windows: padding counts in the mean
  bool align_corners = false;  // linear, cubic: the first and last entries stay where they are
  double step = 0;             // nearest, linear, cubic: entries of x to an entry of the result; 0: in / out
};

/// A linear map of each plane: one such matrix along each of three axes.
struct Resampling {
  Axis axes[3];
  bool transposed = false;  // from [out] to [in]

  std::int64_t from_size() const { return size(transposed); }
  std::int64_t to_size() const { return size(!transposed); }

 private:
  std::int64_t size(bool of_out) const {
    std::int64_t n = 1;
    for (const Axis& a : axes) n *= of_out ? a.out : a.in;
    return n;
  }
};

/// Row-major planes; float32 and float64.
void resample(DType, const Resampling&, std::int64_t planes, const void* x, void* y);

}  // namespace wengert::kernels
