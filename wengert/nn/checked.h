#pragma once

// Internal: what the constructors of all layers refuse.

#include "wengert/autodiff/fail.h"

namespace wengert::nn {

inline void at_least_one(const char* layer, const char* what, std::int64_t n, Where where) {
  if (n < 1) fail<ValueError>(where, "{}: {} must be at least 1, got {}", layer, what, n);
}

}  // namespace wengert::nn
