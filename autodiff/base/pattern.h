#pragma once

#include "wengert/autodiff/base/export.h"

#include <string_view>

namespace wengert::detail {

/// Does the path of a tensor ("blocks.0.bias") fit the pattern? * stands for anything, ? for one character, and | parts
/// alternatives.
WENGERT_API bool fits(std::string_view path, std::string_view pattern);

}  // namespace wengert::detail
