#pragma once

// Internal: a text file, line by line.

#include "wengert/data/input.h"

#include <string>
#include <string_view>

namespace wengert::data {

class Lines {
 public:
  Lines(const detail::FileTask& task, Input& input) : task_(task), input_(input) {}

  /// The number of the latest line, from 1.
  std::int64_t number() const { return number_; }
  /// The next line without its end, or false after the last one. Valid until the next call.
  bool next(std::string_view& line);

 private:
  bool take(std::string_view& line, std::string_view text, std::size_t used);
  bool more();

  const detail::FileTask& task_;
  Input& input_;
  std::string text_;
  std::size_t begin_ = 0;  // of the next line
  std::int64_t number_ = 0;
};

inline std::string_view trimmed(std::string_view s, std::string_view blanks) {
  const auto first = s.find_first_not_of(blanks);
  if (first == s.npos) return {};
  return s.substr(first, s.find_last_not_of(blanks) + 1 - first);
}

}  // namespace wengert::data
