#pragma once

// Tables with named columns of numbers or categories.
//
//   const data::Table cancer = data::read_table("breast_cancer.csv", {.header = data::Header::scikit_learn});
//   auto [train, test] = data::split(cancer.dataset("target"), {.shuffle = rng});

#include "wengert/data/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace wengert::data {

struct Column {
  std::string name;
  Tensor values{};                        ///< [rows]: numbers of the table's dtype, or int64 indices of categories
  std::vector<std::string> categories{};  ///< their names; empty for numbers

  bool is_category() const { return !categories.empty(); }
};

struct WENGERT_API Table {
  std::vector<Column> columns{};
  DType dtype = float32;

  /// Number of rows.
  std::int64_t size() const { return columns.empty() ? 0 : columns[0].values.size(0); }
  /// ValueError, which lists the names of the columns, when there is no such column.
  const Column& operator[](std::string_view name) const { return at(name, Where::current()); }
  const Column& at(std::string_view name, Where = Where::current()) const;
  std::vector<std::string> names() const;

  /// These columns, or all columns if none is named, as [rows, n]. A column of numbers gives one column, and a column
  /// of categories gives one column for each category (one-hot).
  Tensor matrix(const std::vector<std::string>& names = {}, Where = Where::current()) const;
  /// A data set: y is this column, as int64 classes or numbers, and x the matrix of all others.
  Dataset dataset(std::string_view target, Where = Where::current()) const;
};

/// The first line of a file. names: the names of the columns. none: there is no header, and columns are called "0", "1"
/// and so on. scikit_learn: as in the files of scikit-learn, the numbers of rows and features, then the names of the
/// classes, which the last column, "target", counts from 0.
enum class Header { names, none, scikit_learn };

struct TableOptions {
  Header header = Header::names;
  char separator = ',';
  DType dtype = float32;                  ///< of numbers: float32 or float64
  std::vector<std::string> categories{};  ///< columns of numbers to be read as categories
  /// true: a missing value, which is an empty field or NA, becomes nan or the index -1; false: it is an error.
  bool allow_missing = false;
  const Table* like = nullptr;  ///< another table whose columns, kinds and categories must be the same
};

/// Reads a table, plain or gzip. A column whose fields are all numbers is a column of numbers; others are categories in
/// alphabetical order.  Fields may be in quotes ("a ""b"", c").  Blanks around fields, CRLF, a byte order mark and
/// empty lines at the end are ignored.  FileError with line and column for anything else: rows of different lengths,
/// repeated names, missing values, nan and inf, and a category that `like` does not have. TypeError for other dtypes.
WENGERT_API Table read_table(const std::string& path, TableOptions = {}, Where = Where::current());

}  // namespace wengert::data
