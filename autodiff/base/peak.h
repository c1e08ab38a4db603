#pragma once

// Internal: the pool's peak, read and set. defined in pool.cpp.

#include <cstdint>

namespace wengert::detail {

/// The largest use since the peak was set last; afterwards it is `to`, or what is in use now if that is more.
std::int64_t exchange_peak(std::int64_t to);

}  // namespace wengert::detail
