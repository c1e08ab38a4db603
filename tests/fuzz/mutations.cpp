#include "../files.h"
#include "formats.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <random>

// The fuzzers (./dev fuzz) in small: the same seeds, damaged blindly, but with the same damage every time.

namespace {

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string operator()(const std::vector<std::string>& seeds) {
    std::string bytes = seeds[below(seeds.size())];
    for (auto n = 1 + below(4); n > 0; --n) damage(bytes, seeds[below(seeds.size())]);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return n ? random_() % n : 0; }  // the same on every machine

  void damage(std::string& bytes, const std::string& other) {
    static constexpr std::string_view odd[] = {std::string_view("\0\0\0\0", 4),
                                               "\xff\xff\xff\xff",
                                               "\x7f",
                                               "\x80",
                                               "-",
                                               "999999999999999999999",
                                               "1e9",
                                               "(",
                                               "]",
                                               "\n"};
    const auto at = below(bytes.size());
    switch (below(8)) {
      case 0: bytes.resize(at); break;
      case 1: bytes.erase(at, 1 + below(16)); break;
      case 2: bytes.insert(at, odd[below(std::size(odd))]); break;
      case 3: bytes.insert(at, bytes.substr(below(bytes.size()), below(64))); break;
      case 4: bytes.replace(at, below(64), other.substr(below(other.size()), below(64))); break;
      case 5:
        for (const char c : odd[below(std::size(odd))])
          if (const auto i = below(2) ? at : below(bytes.size()); i < bytes.size()) bytes[i] = c;
        break;
      default:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
    }
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("files: of every format, thousands of damaged ones are read or refused as documented") {
  for (auto& format : fuzz::formats()) {
    const auto seeds = format.seeds();
    Mutator mutated(42);
    std::string bytes;
    try {
      for (const auto& seed : seeds) format.read(MemoryFile(bytes = seed).path());
      for (int i = 0; i < 2500; ++i) {
        bytes = mutated(seeds);
        if (format.repair && i % 8 != 0) format.repair({reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()});
        format.read(MemoryFile(bytes).path());
      }
    } catch (const std::exception& e) {
      const std::string what = e.what();
      std::string shown;
      for (const unsigned char c : bytes) shown += "0123456789abcdef"[c >> 4], shown += "0123456789abcdef"[c & 15];
      FAIL_CHECK(format.name, ": ", what, ", of these bytes: ", shown);
    }
  }
}
