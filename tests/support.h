#pragma once

// For tests: runs the harness and remembers which rules went through it, for tests/rules.

#include "wengert/autodiff/inspect/check.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace wengert::test {

/// Rules that went through the harness with these operands.
void remember(const std::vector<std::string>& rules, const std::vector<Tensor>& x);

/// Fails the test with the harness' own words.
template <class F>
void check_rule(const F& f, const std::vector<Tensor>& x, const CheckOptions& options = {}) {
  const CheckReport report = check(f, x, options);
  remember(report.rules, x);
  CHECK_MESSAGE(report.passed(), report.text());
}

/// float64 numbers between low and high, the same for the same seed.
Tensor random(const Shape& shape, double low = -1, double high = 1, std::uint64_t seed = 1);

/// The message of the E that f throws; fails when it throws nothing or something else.
template <class E, class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    const std::string what = e.what();
    FAIL_CHECK("another exception: ", what);
    return {};
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}
inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace wengert::test
