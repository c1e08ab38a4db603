#pragma once

#include "wengert/autodiff.h"
#include "wengert/data/data.h"
#include "wengert/nn.h"
#include "wengert/onnx/onnx.h"
#include "wengert/optim.h"
