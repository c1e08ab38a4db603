#include "wengert/data/csv.h"

#include "wengert/data/lines.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

namespace wengert::data {

using detail::FileTask;
using detail::in_quotes;

namespace {

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
