#pragma once

// Internal: numbers and tables for people to read.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wengert {

/// "17 B", "1.5 KiB", "230 MiB".
std::string readable_bytes(std::int64_t);
/// "1,234,567".
std::string readable_count(std::int64_t);
/// "1 operator", "1,234 operators".
std::string counted(std::int64_t, std::string_view what);
/// "12.3 us", "4.56 ms".
std::string readable_time(double nanoseconds);
/// "123", "4.56 k", "7.89 M", "1.23 G".
std::string readable_amount(double);

/// Rows of equally many cells, in columns: the first `left` of them begin at the left, the others end at the right.
std::string in_columns(const std::vector<std::vector<std::string>>& rows, std::size_t left);

}  // namespace wengert
