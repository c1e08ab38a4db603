#pragma once

// Layers that multiply and rearrange.

#include "wengert/autodiff/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/random.h"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = float32;
};

/// x W^T + bias.  x [..., in] -> [..., out].  weight [out, in] and bias [out] start from U(-1/sqrt(in), 1/sqrt(in)).
/// ValueError unless in and out are at least 1.
struct WENGERT_API Linear {
  Linear(std::int64_t in, std::int64_t out, LinearOptions, Rng& = default_rng(), Where = Where::current());
  Linear(std::int64_t in, std::int64_t out, Rng& rng = default_rng(), Where where = Where::current())
      : Linear(in, out, {}, rng, where) {}
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }

  Param weight, bias;  ///< bias is undefined when there is none
};

/// Joins axes first..last: x [n, c, h, w] -> [n, c h w].
struct WENGERT_API Flatten {
  int first = 1, last = -1;
  Tensor operator()(Operand x) const;
};

}  // namespace wengert::nn
