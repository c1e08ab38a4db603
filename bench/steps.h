#pragma once

// The files of bench/steps: each gives its cases.

#include "harness.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/tape/tensor.h"

#include <vector>

namespace bench {

inline wengert::Rng rng{1};

using Inputs = std::vector<wengert::Tensor>;

std::vector<Case> elementwise_cases();
std::vector<Case> gradient_cases();
std::vector<Case> graph_cases();  ///< chains and growth

}  // namespace bench
