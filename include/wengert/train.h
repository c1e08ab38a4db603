#pragma once

#include "wengert/train/fit.h"
#include "wengert/train/logs.h"
#include "wengert/train/progress.h"
#include "wengert/train/state.h"
