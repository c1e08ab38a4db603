#include "wengert/train/history.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"

#include <limits>

namespace wengert::train {

namespace {

void write(std::string_view who, const std::string& path, const std::string& text, Where where) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  wengert::detail::write_atomically({who, path, where}, {&bytes, 1});
}

}  // namespace

History::History(const std::vector<std::string>& names) {
  for (const std::string& name : names) columns.push_back({name});
}

const std::vector<double>& History::column(std::string_view name, Where where) const {
  std::string names;
  for (const Column& c : columns) {
    if (c.name == name) return c.values;
    names += (names.empty() ? "" : ", ") + c.name;
  }
  fail<ValueError>(where, "history: no column has the name '{}'; there are {}", name, names);
}

double History::last(std::string_view name, Where where) const {
  const std::vector<double>& values = column(name, where);
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : values.back();
}

std::int64_t History::size() const {
  return columns.empty() ? 0 : static_cast<std::int64_t>(columns.front().values.size());
}

void History::add(const std::vector<double>& row) {
  if (row.size() != columns.size())
    fail<ValueError>(Where(), "history: a row has {} numbers, and the table {} columns", row.size(), columns.size());
  for (std::size_t i = 0; i < row.size(); ++i) columns[i].values.push_back(row[i]);
}

std::string History::csv() const {
  std::string text;
  for (const Column& c : columns) text += (&c == columns.data() ? "" : ",") + c.name;
  text += "\n";
  for (std::size_t i = 0; i < static_cast<std::size_t>(size()); ++i, text += "\n")
    for (const Column& c : columns) text += fmt::format("{}{}", &c == columns.data() ? "" : ",", c.values[i]);
  return text;
}

void History::write_csv(const std::string& path, Where where) const { write("write_csv", path, csv(), where); }
void History::write_svg(const std::string& path, Where where) const { write("write_svg", path, svg(), where); }

}  // namespace wengert::train
