#include "wengert/data/table.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/data/lines.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace wengert::data {

using detail::FileTask;
using detail::in_quotes;

std::vector<std::string> Table::names() const {
  std::vector<std::string> all;
  for (auto& c : columns) all.push_back(c.name);
  return all;
}

const Column& Table::at(std::string_view name, Where where) const {
  for (auto& c : columns)
    if (c.name == name) return c;
  fail<ValueError>(where, "table: there is no column '{}'; there are {}", name, fmt::join(names(), ", "));
}

Tensor Table::matrix(const std::vector<std::string>& chosen, Where where) const {
  const no_grad values;
  std::vector<Tensor> parts;
  for (auto& name : chosen.empty() ? names() : chosen) {
    const Column& c = at(name, where);
    if (!c.is_category()) {
      parts.push_back(reshape(c.values, {size(), 1}));
      continue;
    }
    // -1, a missing category, belongs to no column.
    const Tensor index = arange(static_cast<std::int64_t>(c.categories.size()));
    parts.push_back(to(equal(reshape(c.values, {size(), 1}), index), dtype));
  }
  if (parts.empty()) fail<ValueError>(where, "table: there are no columns to make a matrix of");
  return cat(parts, 1);
}

Dataset Table::dataset(std::string_view target, Where where) const {
  const Column& y = at(target, where);
  std::vector<std::string> others = names();
  std::erase(others, y.name);
  if (others.empty()) fail<ValueError>(where, "table: there is no column but the target '{}'", target);
  return {matrix(others, where), y.values};
}

namespace {

using Fields = std::vector<std::string>;

bool is_missing(std::string_view field) { return field.empty() || field == "NA"; }

std::optional<double> number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

class TableReader {
 public:
  TableReader(const FileTask& task, const TableOptions& options)
      : task_(task), options_(options), input_(task), lines_(task, input_) {}

  Table read() {
    read_header();
    read_rows();
    if (fields_.empty()) task_.fail("there are no rows");
    if (options_.header == Header::scikit_learn) check_counts();
    check_names();
    Table table{.dtype = options_.dtype};
    for (std::size_t c = 0; c < names_.size(); ++c) table.columns.push_back(column(c));
    return table;
  }

 private:
  // Splits a line into fields.
  Fields split(std::string_view line) const {
    Fields all;
    for (;;) {
      line = trimmed_left(line);
      std::string field;
      if (line.starts_with('"')) {
        line = quoted(line.substr(1), field, all.size() + 1);
      } else {
        const auto end = std::min(line.size(), line.find(options_.separator));
        field = trimmed(line.substr(0, end), blanks_);
        line.remove_prefix(end);
      }
      all.push_back(std::move(field));
      if (line.empty()) return all;
      line.remove_prefix(1);
    }
  }
  std::string_view trimmed_left(std::string_view s) const {
    return s.substr(std::min(s.size(), s.find_first_not_of(blanks_)));
  }
  // The text inside the quotes, up to the separator.
  std::string_view quoted(std::string_view line, std::string& field, std::size_t column) const {
    for (;;) {
      const auto end = line.find('"');
      if (end == line.npos)
        task_.fail("line {}, column {}: the quotes are not closed in this line", lines_.number(), column);
      field += line.substr(0, end);
      line.remove_prefix(end + 1);
      if (!line.starts_with('"')) break;
      field += '"', line.remove_prefix(1);
    }
    line = trimmed_left(line);
    if (!line.empty() && line[0] != options_.separator)
      task_.fail("line {}, column {}: expected '{}' after the closing quotes, found {}", lines_.number(), column,
                 options_.separator, in_quotes(line.substr(0, 1)));
    return line;
  }

  void read_header() {
    std::string_view line;
    if (options_.header == Header::none) return;
    if (!lines_.next(line)) task_.fail("the file is empty; a header was expected");
    header_ = split(line);
    if (options_.header == Header::names) names_ = header_;
  }

  void read_rows() {
    std::string_view line;
    std::int64_t empty = 0;
    while (lines_.next(line)) {
      if (trimmed(line, blanks_).empty()) {
        if (!empty) empty = lines_.number();
        continue;
      }
      if (empty) task_.fail("line {} is empty", empty);
      Fields row = split(line);
      if (names_.empty())
        for (std::size_t i = 0; i < row.size(); ++i) names_.push_back(std::to_string(i));
      if (row.size() != names_.size())
        task_.fail("line {}: expected {} columns as in the {}, found {}{}", lines_.number(), names_.size(),
                   options_.header == Header::names ? "header" : "first row", row.size(), hint(row.size()));
      numbers_of_lines_.push_back(lines_.number());
      fields_.push_back(std::move(row));
    }
  }
  const char* hint(std::size_t columns) const {
    const bool counts = options_.header == Header::names && header_.size() >= 2 && number(header_[0]) &&
                        number(header_[1]) == static_cast<double>(columns) - 1;
    return counts ? "; its first line is scikit-learn's: pass {.header = data::Header::scikit_learn}" : "";
  }

  // "rows,features,class,class,...": the last column has indices of these classes.
  void check_counts() {
    const auto rows = static_cast<double>(fields_.size()), features = static_cast<double>(names_.size()) - 1;
    if (header_.size() < 2 || number(header_[0]) != rows || number(header_[1]) != features)
      task_.fail("line 1: expected {},{} as there are {} rows with {} features and a class, found {},{}", rows,
                 features, rows, features, in_quotes(header_[0]),
                 header_.size() < 2 ? "nothing" : in_quotes(header_[1]));
    names_.back() = "target";
    if (header_.size() == 2) return;  // the target is a number
    const std::size_t last = names_.size() - 1;
    for (std::size_t r = 0; r < fields_.size(); ++r) {
      const auto k = number(fields_[r][last]);
      if (!k || *k < 0 || *k >= static_cast<double>(header_.size() - 2) || *k != std::floor(*k))
        fail(r, last,
             fmt::format("expected the number of one of {} classes, from 0, found {}", header_.size() - 2,
                         in_quotes(fields_[r][last])));
      fields_[r][last] = header_[static_cast<std::size_t>(*k) + 2];
    }
    classes_.assign(header_.begin() + 2, header_.end());
  }

  void check_names() const {
    auto sorted = names_;
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      task_.fail("two columns are called {}", in_quotes(*twice));
    for (auto& name : options_.categories)
      if (!std::binary_search(sorted.begin(), sorted.end(), name))
        task_.fail("there is no column {} to take as categories; there are {}", in_quotes(name),
                   fmt::join(names_, ", "));
    if (options_.like && options_.like->names() != names_)
      task_.fail("expected the columns of the table that it is to be like, {}; found {}",
                 fmt::join(options_.like->names(), ", "), fmt::join(names_, ", "));
  }

  Column column(std::size_t c) {
    check_missing(c);
    const Column* like = options_.like ? &options_.like->columns[c] : nullptr;
    const bool last_class = !classes_.empty() && c + 1 == names_.size();
    const auto& forced = options_.categories;
    bool as_numbers = !last_class && std::find(forced.begin(), forced.end(), names_[c]) == forced.end();
    if (like) as_numbers = !like->is_category();
    else if (as_numbers) as_numbers = holds_numbers(c);
    if (as_numbers) return {names_[c], options_.dtype == float32 ? numbers<float>(c) : numbers<double>(c)};
    return categories(c, like ? like->categories : last_class ? classes_ : distinct(c));
  }
  void check_missing(std::size_t c) const {
    if (options_.allow_missing) return;
    for (std::size_t r = 0; r < fields_.size(); ++r)
      if (is_missing(fields_[r][c]))
        fail(r, c, "a value is missing; {.allow_missing = true} makes it nan, or the category -1");
  }
  // True if all fields are numbers; a column of missing values counts as numbers.
  bool holds_numbers(std::size_t c) const {
    return std::all_of(fields_.begin(), fields_.end(),
                       [&](const Fields& row) { return is_missing(row[c]) || number(row[c]) || is_nonfinite(row[c]); });
  }
  static bool is_nonfinite(std::string_view text) {
    double value = 0;
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !std::isfinite(value);
  }
  template <class T>
  Tensor numbers(std::size_t c) const {
    std::vector<T> values;
    for (std::size_t r = 0; r < fields_.size(); ++r) {
      const std::string& field = fields_[r][c];
      const auto value = is_missing(field) ? std::numeric_limits<double>::quiet_NaN() : number(field);
      if (!value) fail(r, c, fmt::format("expected a finite number, found {}", in_quotes(field)));
      if (std::abs(*value) > static_cast<double>(std::numeric_limits<T>::max()))
        fail(r, c, fmt::format("{} does not fit into {}", in_quotes(field), options_.dtype));
      values.push_back(static_cast<T>(*value));
    }
    return from(values, {static_cast<std::int64_t>(values.size())});
  }
  std::vector<std::string> distinct(std::size_t c) const {
    std::vector<std::string> names;
    for (auto& row : fields_)
      if (!is_missing(row[c])) names.push_back(row[c]);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  Column categories(std::size_t c, const std::vector<std::string>& names) const {
    if (names.empty()) task_.fail("column {} has no category in any row", in_quotes(names_[c]));
    std::vector<std::int64_t> values;
    for (std::size_t r = 0; r < fields_.size(); ++r) {
      const auto found = std::find(names.begin(), names.end(), fields_[r][c]);
      if (found == names.end() && !is_missing(fields_[r][c]))
        fail(r, c, fmt::format("{} is none of the categories {}", in_quotes(fields_[r][c]), fmt::join(names, ", ")));
      values.push_back(found == names.end() ? -1 : found - names.begin());
    }
    return {names_[c], from(values, {static_cast<std::int64_t>(values.size())}), names};
  }

  [[noreturn]] void fail(std::size_t row, std::size_t column, const std::string& what) const {
    task_.fail("line {}, column {} ({}): {}", numbers_of_lines_[row], column + 1, in_quotes(names_[column]), what);
  }

  const FileTask& task_;
  const TableOptions& options_;
  Input input_;
  Lines lines_;
  std::string_view blanks_ = options_.separator == '\t' ? " " : " \t";
  Fields header_, names_;
  std::vector<Fields> fields_;  // of each row
  std::vector<std::int64_t> numbers_of_lines_;
  std::vector<std::string> classes_;
};

}  // namespace

Table read_table(const std::string& path, TableOptions options, Where where) {
  if (!is_float(options.dtype))
    fail<TypeError>(where, "read_table: dtype must be float32 or float64, got {}", options.dtype);
  if (options.separator == ' ' || options.separator == '"')
    fail<ValueError>(where, "read_table: a separator cannot be a blank or a quote; read_csv() reads numbers by blanks");
  const FileTask task{"read_table", path, where};
  return TableReader(task, options).read();
}

}  // namespace wengert::data
