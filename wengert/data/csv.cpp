#include "wengert/data/csv.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

namespace wengert::data {

using detail::FileTask;
using detail::in_quotes;

namespace {

// Longer lines are no numbers, but a file that unpacks to gigabytes of nothing.
constexpr std::size_t longest_line = std::size_t{1} << 26;

class Lines {
 public:
  Lines(const FileTask& task, Input& input) : task_(task), input_(input) {}

  std::int64_t number() const { return number_; }

  /// The next line without its end, or false after the last one. Valid until the next call.
  bool next(std::string_view& line) {
    std::size_t searched = 0;
    for (;;) {
      const std::string_view rest = std::string_view(text_).substr(begin_);
      const auto end = rest.find('\n', searched);
      if (end != rest.npos) return take(line, rest.substr(0, end), end + 1);
      searched = rest.size();
      if (searched > longest_line) task_.fail("line {} is longer than {} bytes", number_ + 1, longest_line);
      if (!more()) return !text_.empty() && take(line, text_, text_.size());
    }
  }

 private:
  bool take(std::string_view& line, std::string_view text, std::size_t used) {
    if (number_++ == 0 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.ends_with('\r')) text.remove_suffix(1);
    line = text, begin_ += used;
    return true;
  }
  // Drops the lines that are done and reads on.
  bool more() {
    constexpr std::size_t part = 1 << 16;
    text_.erase(0, std::exchange(begin_, 0));
    const auto old = text_.size();
    text_.resize(old + part);
    const auto got = input_.read(text_.data() + old, part);
    text_.resize(old + got);
    return got > 0;
  }

  const FileTask& task_;
  Input& input_;
  std::string text_;
  std::size_t begin_ = 0;  // of the next line
  std::int64_t number_ = 0;
};

std::string_view trimmed(std::string_view s, std::string_view blanks) {
  const auto first = s.find_first_not_of(blanks);
  if (first == s.npos) return {};
  return s.substr(first, s.find_last_not_of(blanks) + 1 - first);
}

template <class T>
class CsvReader {
 public:
  CsvReader(const FileTask& task, Input& input, const CsvOptions& options)
      : task_(task), options_(options), lines_(task, input) {}

  Tensor read() {
    std::string_view line;
    if (options_.header) lines_.next(line);
    std::int64_t rows = 0, empty = 0;
    while (lines_.next(line)) {
      if (trimmed(line, blanks_).empty()) {
        if (!empty) empty = lines_.number();
        continue;
      }
      if (empty) task_.fail("line {} is empty", empty);
      read_row(line, rows++ == 0);
    }
    if (rows == 0) task_.fail("there are no numbers");
    return from(values_, {rows, columns_}, task_.where);
  }

 private:
  void read_row(std::string_view line, bool first) {
    std::int64_t column = 0;
    if (options_.separator == ' ') line = trimmed(line, blanks_);
    for (bool more = true; more;) {
      const auto end = options_.separator == ' ' ? line.find_first_of(blanks_) : line.find(options_.separator);
      more = end != line.npos;
      values_.push_back(number(trimmed(line.substr(0, end), blanks_), ++column));
      if (more) line.remove_prefix(end + 1);
      if (options_.separator == ' ') line = trimmed(line, blanks_);
    }
    if (first) columns_ = column;
    if (column != columns_)
      task_.fail("line {}: expected {} columns as in the first row, found {}", lines_.number(), columns_, column);
  }

  T number(std::string_view text, std::int64_t column) const {
    if (text.empty()) fail(column, "is empty; write nan for a missing value, and pass {.allow_nonfinite = true}");
    const auto digits = text.substr(text[0] == '+' && text.size() > 1 && text[1] != '-' ? 1 : 0);
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc::result_out_of_range)
      fail(column, fmt::format("{} does not fit into {}", in_quotes(text), options_.dtype));
    if (error != std::errc() || end != digits.data() + digits.size())
      fail(column,
           fmt::format("expected a {}, found {}", std::is_integral_v<T> ? "whole number" : "number", in_quotes(text)));
    if constexpr (std::is_floating_point_v<T>)
      if (!options_.allow_nonfinite && !std::isfinite(value))
        fail(column,
             fmt::format("{} is no finite number; pass {{.allow_nonfinite = true}} if it is meant", in_quotes(text)));
    return value;
  }

  [[noreturn]] void fail(std::int64_t column, const std::string& what) const {
    task_.fail("line {}, column {}: {}", lines_.number(), column, what);
  }

  const FileTask& task_;
  const CsvOptions& options_;
  Lines lines_;
  std::string_view blanks_ = options_.separator == '\t' ? " " : " \t";
  std::vector<T> values_;
  std::int64_t columns_ = 0;
};

}  // namespace

Tensor parse_csv(const FileTask& task, Input& input, const CsvOptions& options) {
  switch (options.dtype) {
    case DType::float32: return CsvReader<float>(task, input, options).read();
    case DType::float64: return CsvReader<double>(task, input, options).read();
    case DType::int64: return CsvReader<std::int64_t>(task, input, options).read();
    case DType::boolean: break;
  }
  wengert::fail<TypeError>(task.where, "{}: dtype must be float32, float64 or int64, got {}", task.who, options.dtype);
}

Tensor read_csv(const std::string& path, CsvOptions options, Where where) {
  // strchr would also find the zero that ends the list.
  if (options.separator == '\0' || std::strchr("0123456789+-.eE\r\n", options.separator))
    wengert::fail<ValueError>(where, "read_csv: {} cannot separate numbers", in_quotes({&options.separator, 1}));
  const FileTask task{"read_csv", path, where};
  Input input(task);
  return parse_csv(task, input, options);
}

}  // namespace wengert::data
