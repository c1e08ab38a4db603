#define DOCTEST_CONFIG_IMPLEMENT
#include "remember.h"
#include "support.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

namespace {
// For each rule what it was checked with.
std::map<std::string, std::set<std::string>>& checked() {
  static std::map<std::string, std::set<std::string>> names;
  return names;
}
std::map<std::string, bool>& operators() {
  static std::map<std::string, bool> names;
  return names;
}
}  // namespace

namespace wengert::test {

void remember_operator(const std::string& name, bool passed) {
  operators().emplace(name, true).first->second &= passed;
}

void remember(const std::vector<std::string>& rules, const std::vector<Tensor>& x) {
  bool empty = false, single = false;
  for (const Tensor& t : x) {
    empty |= t.numel() == 0;
    for (int i = 0; i < t.rank(); ++i) single |= t.size(i) == 1;
  }
  for (const std::string& rule : rules) {
    auto& with = checked()[rule];
    with.insert("any");
    if (empty) with.insert("empty");
    if (single) with.insert("single");
  }
}

Tensor random(const Shape& shape, double low, double high, std::uint64_t seed) {
  Tensor x = zeros(shape, float64);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15;
  for (double& v : x.write<double>()) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53;
  }
  return x;
}

}  // namespace wengert::test

int main(int argc, char** argv) {
  const int result = doctest::Context(argc, argv).run();
  if (const char* file = std::getenv("WENGERT_CHECKED_RULES")) {  // read by tests/rules
    std::ofstream out(file);
    for (auto& [name, with] : checked())
      for (auto& what : with) out << what << ' ' << name << '\n';
  }
  if (const char* file = std::getenv("WENGERT_CHECKED_OPERATORS")) {  // read by tests/operators
    std::ofstream out(file);
    for (auto& [name, passed] : operators()) out << name << (passed ? " passed\n" : " failed\n");
  }
  return result;
}
