#pragma once

// How good a model is; off the tape.

#include "wengert/autodiff/ops.h"

namespace wengert::nn {

/// Share of rows whose largest logit is that of the label; off the tape.  logits [n, classes], labels [n] int64.
/// ShapeError, TypeError.
WENGERT_API double accuracy(Operand logits, Operand labels);

}  // namespace wengert::nn
