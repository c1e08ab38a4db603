#pragma once

// Tensors, operators, derivatives, models. Opt-in, since they bring xsimd along: autodiff/fuse.h and
// autodiff/functions.h.

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/files/npy.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/files/state.h"
#include "wengert/autodiff/inspect/check.h"
#include "wengert/autodiff/inspect/draw.h"
#include "wengert/autodiff/inspect/dry_run.h"
#include "wengert/autodiff/inspect/growth.h"
#include "wengert/autodiff/inspect/nonfinite.h"
#include "wengert/autodiff/inspect/profile.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/custom.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/map_rows.h"
#include "wengert/autodiff/transforms/transforms.h"
