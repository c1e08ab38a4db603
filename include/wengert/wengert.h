#pragma once

#include "wengert/autodiff.h"
#include "wengert/data.h"
#include "wengert/nn.h"
#include "wengert/onnx.h"
#include "wengert/optim.h"
