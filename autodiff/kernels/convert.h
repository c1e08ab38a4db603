#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/blocks.h"

namespace wengert::kernels {

/// The loop that converts elements of one dtype to another, with the rules of static_cast.
Loop conversion(DType from, DType to);

}  // namespace wengert::kernels
