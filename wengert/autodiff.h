#pragma once

// Tensors, operators, derivatives, models. Opt-in, since they bring xsimd along: autodiff/fuse.h and
// autodiff/functions.h.

#include "wengert/autodiff/check.h"
#include "wengert/autodiff/checkpoint.h"
#include "wengert/autodiff/custom.h"
#include "wengert/autodiff/draw.h"
#include "wengert/autodiff/dry_run.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/growth.h"
#include "wengert/autodiff/model.h"
#include "wengert/autodiff/nonfinite.h"
#include "wengert/autodiff/npy.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/parallel.h"
#include "wengert/autodiff/pool.h"
#include "wengert/autodiff/profile.h"
#include "wengert/autodiff/random.h"
#include "wengert/autodiff/rule.h"
#include "wengert/autodiff/safetensors.h"
#include "wengert/autodiff/sequences.h"
#include "wengert/autodiff/state.h"
#include "wengert/autodiff/transforms.h"
#include "wengert/autodiff/vmap.h"
