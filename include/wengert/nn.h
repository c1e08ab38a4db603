#pragma once

#include "wengert/autodiff.h"
#include "wengert/nn/nn.h"
