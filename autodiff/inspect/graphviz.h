#pragma once

// Internal: runs the program `dot`.

#include "wengert/autodiff/base/error.h"

#include <string>
#include <string_view>

namespace wengert {

/// The SVG image of a text in the DOT language. FileError when dot is missing, fails, or was disabled in the build.
std::string svg_of(std::string_view dot, Where);

}  // namespace wengert
