#pragma once

// Internal: throwing with a formatted message. fmt stays out of the public headers.

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/shape.h"

#include <fmt/format.h>

template <>
struct fmt::formatter<wengert::Shape> : fmt::formatter<std::string> {
  auto format(const wengert::Shape& s, format_context& c) const {
    return formatter<std::string>::format(to_string(s), c);
  }
};
template <>
struct fmt::formatter<wengert::DType> : fmt::formatter<std::string_view> {
  auto format(wengert::DType d, format_context& c) const { return formatter<std::string_view>::format(name(d), c); }
};

namespace wengert {

/// "file.cpp:12", with the directories cut off.
std::string short_place(Where);

/// Throws E with the message and the user's place. Nothing is formatted unless something failed.
template <class E, class... A>
[[noreturn, gnu::cold, gnu::noinline]] void fail(Where where, fmt::format_string<A...> message, A&&... a) {
  throw E(fmt::format(message, std::forward<A>(a)...), where);
}

}  // namespace wengert
