#pragma once

#include <algorithm>
#include <cstdint>

namespace wengert::kernels {

/// How windows slide over up to three spatial axes. The last axis is [2]; axes that are not there have size one.
/// Entry k of window o looks at o * stride - padding + k * dilation.
struct Windows {
  std::int64_t in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  std::int64_t stride[3] = {1, 1, 1}, padding[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};

  std::int64_t in_size() const { return in[0] * in[1] * in[2]; }
  std::int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
  std::int64_t out_size() const { return out[0] * out[1] * out[2]; }

  friend bool operator==(const Windows&, const Windows&) = default;
};

/// The range of windows whose entry at `offset` (from the window's place in the input) lies inside the input.
struct Inside {
  std::int64_t begin, end;

  Inside(std::int64_t offset, std::int64_t stride, std::int64_t in, std::int64_t out)
      : begin(offset < 0 ? std::min(out, (-offset + stride - 1) / stride) : 0),
        end(offset < in ? std::min(out, (in - 1 - offset) / stride + 1) : 0) {
    end = std::max(begin, end);
  }
};

}  // namespace wengert::kernels
