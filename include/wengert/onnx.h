#pragma once

#include "wengert/autodiff.h"
#include "wengert/onnx/onnx.h"
