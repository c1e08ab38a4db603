#pragma once

#include "wengert/autodiff.h"
#include "wengert/optim/optim.h"
