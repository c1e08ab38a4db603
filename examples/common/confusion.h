#pragma once

// What was taken for what.

#include "progress.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace common {

/// Counts pairs of true and predicted classes.
class Confusion {
 public:
  explicit Confusion(int classes) : classes_(classes), count_(static_cast<std::size_t>(classes * classes)) {}

  void add(std::span<const std::int64_t> truth, std::span<const std::int64_t> predicted) {
    for (std::size_t i = 0; i < truth.size(); ++i)
      ++count_[static_cast<std::size_t>(truth[i] * classes_ + predicted[i])];
  }

  std::int64_t count(int truth, int predicted) const {
    return count_[static_cast<std::size_t>(truth * classes_ + predicted)];
  }
  std::int64_t total() const {
    std::int64_t n = 0;
    for (auto c : count_) n += c;
    return n;
  }
  std::int64_t right() const {
    std::int64_t n = 0;
    for (int i = 0; i < classes_; ++i) n += count(i, i);
    return n;
  }
  double accuracy() const {
    return static_cast<double>(right()) / static_cast<double>(std::max<std::int64_t>(total(), 1));
  }

  /// A table: a row for each true class, a column for each predicted one, and what part of the row is right.
  std::string table() const {
    std::string s = "  true │ predicted\n       │";
    for (int j = 0; j < classes_; ++j) s += fmt::format("{:5}", j);
    s += "     right\n  ─────┼";
    for (int j = 0; j < 5 * classes_ + 10; ++j) s += "─";
    for (int i = 0; i < classes_; ++i) {
      s += fmt::format("\n{:6} │", i);
      std::int64_t row = 0;
      for (int j = 0; j < classes_; ++j) s += cell(i, j), row += count(i, j);
      s += row ? fmt::format("{:8.1f} %", 100. * static_cast<double>(count(i, i)) / static_cast<double>(row))
               : "         -";
    }
    return s + "\n";
  }

 private:
  std::string cell(int i, int j) const {
    const auto n = count(i, j);
    const std::string text = n ? fmt::format("{:5}", n) : "    ·";
    if (!on_terminal()) return text;
    const char* colour = !n ? "2" : i == j ? "1;32" : "1;31";  // faint, green, red
    return fmt::format("\033[{}m{}\033[0m", colour, text);
  }

  int classes_;
  std::vector<std::int64_t> count_;
};

}  // namespace common
