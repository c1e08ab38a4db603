#pragma once

#include "wengert/autodiff/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace wengert::detail {

/// Whether the path of a tensor ("blocks.0.bias") matches the pattern: * matches any text, ? one character, and |
/// separates alternatives.
WENGERT_API bool fits(std::string_view path, std::string_view pattern);
/// Throws the ValueError that no path matches the pattern.
[[noreturn]] WENGERT_API void none_fits(std::string_view who, std::string_view pattern,
                                        const std::vector<std::string>& paths, Where);

}  // namespace wengert::detail
