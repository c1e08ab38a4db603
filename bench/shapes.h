#pragma once

// The shapes that every program here measures.

#include <array>
#include <cstdint>
#include <vector>

namespace bench::shapes {

using Sizes = std::vector<std::int64_t>;

struct Mlp {
  const char* name;
  Sizes widths;
  std::int64_t batch;
  bool adam;
};
inline const std::vector<Mlp> mlps{
    {"mlp_tiny_sgd", {64, 32, 10}, 32, false},
    {"mlp_tiny_adam", {64, 32, 10}, 32, true},
    {"mlp_784_b64", {784, 256, 128, 10}, 64, true},
    {"mlp_784_b512", {784, 256, 128, 10}, 512, true},
};
inline const Sizes growing_mlp{784, 256, 128, 10};

// Lookups in a large table, which are given a cotangent, and plain descent: the gradient is zero but for a few rows.
struct Table {
  static constexpr std::int64_t entries = 50000, width = 256, batch = 2048;
};

struct Convolution {
  const char* name;
  std::int64_t batch, in, out, size, kernel, padding, groups;

  double flops() const {
    return 2.0 * static_cast<double>(batch * out * size * size * (in / groups) * kernel * kernel);
  }
};
inline const std::vector<Convolution> convolutions{
    {"lenet1_1to32_k5_28", 64, 1, 32, 28, 5, 2, 1}, {"lenet2_32to64_k5_14", 64, 32, 64, 14, 5, 2, 1},
    {"lenet1_1to32_k3_28", 64, 1, 32, 28, 3, 1, 1}, {"lenet2_32to64_k3_14", 64, 32, 64, 14, 3, 1, 1},
    {"res_64to64_k3_32", 32, 64, 64, 32, 3, 1, 1},  {"res_128to128_k3_16", 32, 128, 128, 16, 3, 1, 1},
    {"pw_64to128_k1_32", 32, 64, 128, 32, 1, 0, 1}, {"dw_64_k3_32", 32, 64, 64, 32, 3, 1, 64},
};

struct Optimizer {
  std::int64_t parameters;
  int tensors;
};
inline const std::vector<Optimizer> optimizers{{1000000, 1}, {1000000, 20}, {10000000, 1}, {10000000, 20}};
// What has to move at least for one parameter: reads of w, g and the moments, writes of w and the moments.
inline constexpr double adam_bytes = 28, sgdm_bytes = 20;

// Elementwise functions and reductions: about n numbers, flat, in rows of 128 or as images.
inline constexpr std::array<std::int64_t, 3> elementwise{1024, 102400, 10240000};
inline Sizes rows(std::int64_t n) { return {n / 128, 128}; }
inline Sizes images(std::int64_t n) {
  if (n == 1024) return {4, 16, 4, 4};
  const std::int64_t size = n == 102400 ? 10 : 100;
  return {16, 64, size, size};
}

// Growth: how many nodes, and how many rows in a batch.
inline constexpr std::array<std::int64_t, 13> nodes{10,    30,     100,    300,     1000,    3000,    10000,
                                                    30000, 100000, 300000, 1000000, 3000000, 10000000};
inline constexpr std::array<std::int64_t, 13> batches{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

}  // namespace bench::shapes
