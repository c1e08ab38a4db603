#pragma once

// A ready-made training loop, wengert::train::fit, with history, logs and resumable state.

#include "wengert/train/fit.h"
#include "wengert/train/logs.h"
#include "wengert/train/progress.h"
#include "wengert/train/state.h"
