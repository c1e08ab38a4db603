#pragma once

#include "wengert/autodiff.h"
#include "wengert/data/data.h"
