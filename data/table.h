#pragma once

// Tables: columns with names, of numbers or of categories.
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

  /// Rows.
  std::int64_t size() const { return columns.empty() ? 0 : columns[0].values.size(0); }
  /// ValueError naming the columns that there are.
  const Column& operator[](std::string_view name) const { return at(name, Where::current()); }
  const Column& at(std::string_view name, Where = Where::current()) const;
  std::vector<std::string> names() const;

  /// These columns, all if none is named, as [rows, n]: one for numbers, one for each category of the others (1 where
  /// the row is of it).
  Tensor matrix(const std::vector<std::string>& names = {}, Where = Where::current()) const;
  /// y is this column, int64 classes or numbers; x the matrix of all others.
  Dataset dataset(std::string_view target, Where = Where::current()) const;
};

/// What the first line says: the names of the columns; nothing, so that they are called "0", "1", ...; or, as in the
/// files that come with scikit-learn, the numbers of rows and of features, then the names of the classes that the last
/// column, called "target", counts from 0.
enum class Header { names, none, scikit_learn };

struct TableOptions {
  Header header = Header::names;
  char separator = ',';
  DType dtype = float32;                  ///< of numbers: float32 or float64
  std::vector<std::string> categories{};  ///< columns to be taken as categories although they hold numbers
  /// A missing value, which is an empty field or NA, becomes nan or the index -1; else it is an error.
  bool allow_missing = false;
  const Table* like = nullptr;  ///< a table read before: the same columns, kinds and categories are demanded
};

/// Reads a table, plain or gzip. A column is of numbers when all its fields are, else of categories, in alphabetical
/// order. Fields may stand in quotes ("a ""b"", c"); blanks around fields, CRLF, a byte order mark and empty lines at
/// the end are overlooked. FileError with line and column for anything else: rows of unequal length, names given twice,
/// missing values, nan and inf, a category that `like` does not have. TypeError for other dtypes.
WENGERT_API Table read_table(const std::string& path, TableOptions = {}, Where = Where::current());

}  // namespace wengert::data
