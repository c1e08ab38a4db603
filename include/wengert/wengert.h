#pragma once

// The whole library except <wengert/train.h>. A program with its own training loop needs nothing of train, and often has
// a function called `train`, which `using namespace wengert` would make ambiguous with the namespace wengert::train. The
// header also costs compile time: hello takes 1.54 s of processor time without it and 1.63 s with it (minimum of five).

#include "wengert/autodiff.h"
#include "wengert/data.h"
#include "wengert/nn.h"
#include "wengert/onnx.h"
#include "wengert/optim.h"
