#pragma once

// Optimizers. Each is made from the model that it will train, and what it remembers has the model's type:
//
//   optim::Adam adam{model, {.lr = 1e-3}};
//   for (...) {
//     auto [loss, grads] = value_and_grad([&](const Mlp& m) { return nn::cross_entropy(m(x), y); }, model);
//     optim::clip_norm(grads, 1.0);
//     adam.step(model, grads);
//   }
//   adam.lr *= 0.1;                                  // options may be changed between any two steps
//   adam.group("*.bias", {.lr = 1e-4});              // options of their own for a part of the parameters
//   adam.m.hidden.weight                             // the first moment of model.hidden.weight
//   save("adam.safetensors", adam);                  // and load(): training goes on bit for bit
//
// A model may be any struct, or a list of tensors: std::vector<Tensor>.
//
// After backward(loss), adam.step(model) uses what backward() left in the Params: those that received nothing since the
// last step are skipped, and so is what is remembered of them. A step changes the numbers of the model in place and
// never its gradients.
//
// Defaults are torch's; other forms are options named by what they do, and named conventions: AdamOptions::keras().
// Common to all: weight_decay w is added to the gradient unless it says "decoupled"; maximize steps uphill.
//
// Errors: ValueError naming the option, when an optimizer is made and at every step; ShapeError naming the parameter
// when the model, the gradients and the memory do not fit; GraphError when no parameter has a gradient, or when one is
// computed and no leaf. After an error nothing has changed.

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
