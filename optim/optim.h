#pragma once

// Optimizers. Each is constructed from the model that it will train, and its state has the type of the model:
//
//   optim::Adam adam{model, {.lr = 1e-3}};
//   for (...) {
//     auto [loss, grads] = value_and_grad([&](const Mlp& m) { return nn::cross_entropy(m(x), y); }, model);
//     optim::clip_norm(grads, 1.0);
//     adam.step(model, grads);
//   }
//   adam.lr *= 0.1;                                  // options may change between any two steps
//   adam.group("*.bias", {.lr = 1e-4});              // separate options for some of the parameters
//   adam.m.hidden.weight                             // the first moment of model.hidden.weight
//   save("adam.safetensors", adam);                  // and load(): training continues bit for bit
//
// A model may be any struct, or a list of tensors: std::vector<Tensor>.
//
// After backward(loss), adam.step(model) uses the gradients in the Params of the model. Parameters without a new
// gradient since the last step are skipped, and their state does not change. A step changes the values of the model in
// place and never its gradients.
//
// Defaults are PyTorch's. Other forms are options, and other libraries' defaults are named functions:
// AdamOptions::keras(). For all optimizers, weight_decay w is added to the gradient unless an option says "decoupled",
// and maximize steps uphill.
//
// Errors: ValueError, which names the option, in the constructor and in every step. ShapeError, which names the
// parameter, when model, gradients and state have different shapes. GraphError when no parameter has a gradient, or
// when a parameter is a computed value and no leaf. After an error nothing has changed.

#include "wengert/optim/adadelta.h"
#include "wengert/optim/adagrad.h"
#include "wengert/optim/adam.h"
#include "wengert/optim/adamax.h"
#include "wengert/optim/adamw.h"
#include "wengert/optim/average.h"
#include "wengert/optim/checkpoints.h"
#include "wengert/optim/clip.h"
#include "wengert/optim/diagnostics.h"
#include "wengert/optim/full_adagrad.h"
#include "wengert/optim/lbfgs.h"
#include "wengert/optim/least_squares.h"
#include "wengert/optim/line_search.h"
#include "wengert/optim/lion.h"
#include "wengert/optim/nadam.h"
#include "wengert/optim/nesterov.h"
#include "wengert/optim/newton.h"
#include "wengert/optim/radam.h"
#include "wengert/optim/rmsprop.h"
#include "wengert/optim/rprop.h"
#include "wengert/optim/schedule.h"
#include "wengert/optim/sgd.h"
#include "wengert/optim/stopping.h"
