#pragma once

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/export.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wengert::train {

/// The history of a training: a table with one row for each epoch. The first columns are epoch, step, seconds, lr and
/// loss (the mean of the training loss over the epoch); the metrics follow.
class WENGERT_API History {
 public:
  struct Column {
    std::string name;
    std::vector<double> values = {};
  };

  History() = default;
  explicit History(const std::vector<std::string>& names);

  /// The values of a column.  ValueError, which lists the names of the columns, when no
  /// column has this name.
  const std::vector<double>& column(std::string_view name, Where = Where::current()) const;
  const std::vector<double>& operator[](std::string_view name) const { return column(name); }
  /// The latest value of a column; NaN when there is none yet.
  double last(std::string_view name, Where = Where::current()) const;
  /// Number of epochs.
  std::int64_t size() const;
  void add(const std::vector<double>& row);

  /// CSV text: a line of names, then a line for each epoch.
  std::string csv() const;
  /// An SVG image of all columns over the epochs. Names that end in the same word, such as "loss" and "validation
  /// loss", share a panel. Columns of positive values that span more than a factor of 30 have a logarithmic axis.
  std::string svg() const;
  /// Write csv() and svg() to files, which are complete before they take their names. FileError.
  void write_csv(const std::string& path, Where = Where::current()) const;
  void write_svg(const std::string& path, Where = Where::current()) const;

  std::vector<Column> columns;
};

}  // namespace wengert::train
