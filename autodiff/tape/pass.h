#pragma once

#include "wengert/autodiff/base/export.h"

#include <cstdint>
#include <string_view>

namespace wengert {

/// What an operator ran for: values, cotangents, or tangents. Those inside a vjp ran backward.
enum class Pass : std::uint8_t { forward, backward, tangents };
/// "forward", "backward", "tangents".
WENGERT_API std::string_view name(Pass);

}  // namespace wengert
