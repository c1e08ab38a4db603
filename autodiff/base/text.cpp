#include "wengert/autodiff/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace wengert {
namespace {

// Characters, of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Three digits of x, and the unit that is `step` times the one before it.
template <std::size_t N>
std::string scaled(double x, double step, const std::array<std::string_view, N>& units) {
  std::size_t i = 0;
  while (i + 1 < N && x >= step * 0.9995) x /= step, ++i;
  const int digits = x >= 99.95 || x == 0 ? 0 : x >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", x, digits, units[i]);
}

}  // namespace

std::string readable_bytes(std::int64_t n) {
  if (n < 1024) return fmt::format("{} B", n);
  double x = static_cast<double>(n);
  std::string_view unit;
  for (std::string_view next : {"KiB", "MiB", "GiB", "TiB"})
    if (x >= 1024) x /= 1024, unit = next;
  return fmt::format("{:.{}f} {}", x, x < 10 ? 1 : 0, unit);
}

std::string readable_count(std::int64_t n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), 1, ',');
  return s;
}

std::string counted(std::int64_t n, std::string_view what) {
  return fmt::format("{} {}{}", readable_count(n), what, n == 1 ? "" : "s");
}

std::string readable_time(double ns) {
  return scaled(ns / 1000, 1000, std::array<std::string_view, 3>{" us", " ms", " s"});
}

std::string readable_amount(double x) {
  if (x < 1000) return fmt::format("{:.0f}", x);
  return scaled(x, 1000, std::array<std::string_view, 5>{"", " k", " M", " G", " T"});
}

std::string in_columns(const std::vector<std::vector<std::string>>& rows, std::size_t left) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(width[i] - width_of(row[i]), ' ');
      if (i) line += "  ";
      line += i < left ? row[i] + space : space + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

}  // namespace wengert
