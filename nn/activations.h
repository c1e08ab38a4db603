#pragma once

// Activations as layers, for Sequential and for models with a choice of activation. The operators in autodiff/ops.h
// document formulas and derivatives at kinks. All activations except Glu and the softmaxes are elementwise.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"

namespace wengert::nn {

#define WENGERT_ACTIVATION(Layer, function)                    \
  struct Layer {                                               \
    Tensor operator()(Operand x) const { return function(x); } \
  };
WENGERT_ACTIVATION(Relu, relu)
WENGERT_ACTIVATION(Relu6, relu6)
WENGERT_ACTIVATION(Sigmoid, sigmoid)
WENGERT_ACTIVATION(LogSigmoid, log_sigmoid)
WENGERT_ACTIVATION(Tanh, tanh)
WENGERT_ACTIVATION(Silu, silu)
WENGERT_ACTIVATION(Mish, mish)
WENGERT_ACTIVATION(Selu, selu)
WENGERT_ACTIVATION(Softsign, softsign)
WENGERT_ACTIVATION(Tanhshrink, tanhshrink)
WENGERT_ACTIVATION(Hardsigmoid, hardsigmoid)
WENGERT_ACTIVATION(Hardswish, hardswish)
#undef WENGERT_ACTIVATION

/// x Phi(x), with the distribution function Phi of the normal distribution.  `tanh`: the approximation by tanh,
/// PyTorch's approximate="tanh".
struct Gelu {
  bool tanh = false;
  Tensor operator()(Operand x) const { return tanh ? gelu_tanh(x) : gelu(x); }
};
struct LeakyRelu {
  double negative_slope = 0.01;
  Tensor operator()(Operand x) const { return leaky_relu(x, negative_slope); }
};
struct Elu {
  double alpha = 1;
  Tensor operator()(Operand x) const { return elu(x, alpha); }
};
struct Celu {
  double alpha = 1;
  Tensor operator()(Operand x) const { return celu(x, alpha); }
};
/// log(1 + exp(beta x)) / beta; x itself where beta x > threshold, as in PyTorch.
struct Softplus {
  double beta = 1, threshold = 20;
  Tensor operator()(Operand x) const { return softplus(x, beta, threshold); }
};
struct Hardtanh {
  double min_val = -1, max_val = 1;
  Tensor operator()(Operand x) const { return hardtanh(x, min_val, max_val); }
};
struct Softshrink {
  double lambda = 0.5;
  Tensor operator()(Operand x) const { return softshrink(x, lambda); }
};
struct Hardshrink {
  double lambda = 0.5;
  Tensor operator()(Operand x) const { return hardshrink(x, lambda); }
};
/// The first half of an axis times the sigmoid of the second.
struct Glu {
  int axis = -1;
  Tensor operator()(Operand x) const { return glu(x, axis); }
};
struct Softmax {
  int axis = -1;
  Tensor operator()(Operand x) const { return softmax(x, axis); }
};
struct LogSoftmax {
  int axis = -1;
  Tensor operator()(Operand x) const { return log_softmax(x, axis); }
};

struct PReluOptions {
  double init = 0.25;
  DType dtype = float32;
};
/// x where x > 0, else weight x, with one weight or with one weight for each channel (axis 1).  Initial value of weight
/// [num_parameters]: options.init.  ShapeError for x with another number of channels.  He, Zhang, Ren & Sun 2015.
struct WENGERT_API PRelu {
  PRelu(std::int64_t num_parameters = 1, PReluOptions = {}, Where = Where::current());
  Tensor operator()(Operand x) const;
  static auto members(auto& self) { return fields(field("weight", self.weight)); }

  Param weight;
};

}  // namespace wengert::nn
