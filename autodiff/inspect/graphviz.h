#pragma once

// Internal: the program `dot`.

#include "wengert/autodiff/base/error.h"

#include <string>
#include <string_view>

namespace wengert {

/// The picture, as SVG, of a text in the language of Graphviz. FileError when dot is missing, fails, or was left out of
/// the build.
std::string svg_of(std::string_view dot, Where);

}  // namespace wengert
