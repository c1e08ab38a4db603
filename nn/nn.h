#pragma once

// The vocabulary of networks. A layer is a struct whose members are its parameters and whose operator() is its formula.
// A model is a struct of layers (autodiff/model/model.h). Activations are operators (autodiff/ops.h): relu(hidden(x)).
//
// Layers that behave differently while a model is trained take the mode (nn/mode.h) as their second argument:
// dropout(x, mode). The constructor of a layer takes its sizes, then optionally a generator of random numbers, then its
// options. Without a generator the initial values come from this thread's default_rng(), which seed(n) restarts. An
// error names the source location of the call in the user's program.

#include "wengert/nn/activations.h"
#include "wengert/nn/attention.h"
#include "wengert/nn/compression.h"
#include "wengert/nn/convolution.h"
#include "wengert/nn/dropout.h"
#include "wengert/nn/init.h"
#include "wengert/nn/layers.h"
#include "wengert/nn/losses.h"
#include "wengert/nn/metrics.h"
#include "wengert/nn/mode.h"
#include "wengert/nn/normalization.h"
#include "wengert/nn/pooling.h"
#include "wengert/nn/recurrent.h"
#include "wengert/nn/sequential.h"
#include "wengert/nn/tools.h"
