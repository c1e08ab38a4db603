#pragma once

#include "wengert/autodiff/kernels/gemm.h"

namespace wengert::kernels {

/// Attention of m queries to n keys, for each entry of a batch: weights = softmax(scale q k^T + mask), y = weights v.
/// Rows of every matrix are consecutive numbers.
struct Attention {
  DType dtype = float32;
  std::int64_t m = 0, n = 0, size = 0, width = 0;  // q [m, size], k [n, size], v [n, width], y [m, width]
  Shape batch = {};
  double scale = 1;
  bool causal = false;  // query i sees keys 0..i
  Matrix q, k, v;
  Matrix mask;                 // of any strides; data null: none
  bool mask_numbers = false;   // added; otherwise bool, true: look
  void* weights = nullptr;     // [batch.., m, n], one after the other
  Matrix y;                    // written, though it says const; so are the next
  Matrix q_bar, k_bar, v_bar;  // the way back: y is its cotangent then. Data null: not wanted
};

/// The bits depend on shapes and strides only.
void attention_forward(const Attention&);
void attention_backward(const Attention&);

}  // namespace wengert::kernels
