#pragma once

// The kinds of files that the library reads: whole ones to begin with, and all that reads them. For the fuzzers, and
// for the unit tests, which damage a few thousand of each.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

struct Format {
  std::string_view name;
  /// Small files, made by the library's own writers where it has one.
  std::vector<std::string> (*seeds)();
  /// Reads the file. It may be refused as the reader documents; any other exception comes out.
  void (*read)(const std::string& path);
  /// Makes checksums right again, where a reader looks at them before it looks at anything else.
  void (*repair)(std::span<unsigned char> bytes) = nullptr;
};

std::span<const Format> formats();

}  // namespace fuzz
