#include "wengert/nn/mode.h"

#include "wengert/autodiff/base/fail.h"

namespace wengert::nn {

Rng& Mode::generator(const char* layer, Where where) const {
  if (!rng)
    fail<ValueError>(where, "{}: needs a generator of random numbers in training, and got none; pass nn::training(rng)",
                     layer);
  return *rng;
}

}  // namespace wengert::nn
