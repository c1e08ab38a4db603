#pragma once

#include "wengert/train/event.h"

namespace wengert::train {

struct CsvLogOptions {
  bool append = false;  ///< keep existing lines of earlier epochs, for a training that is resumed
};

/// A callback that writes the history of fit() to a CSV file: a line of names, then a line for each epoch. After every
/// epoch a new file replaces the old one, so that readers always find complete lines. FileError when the file cannot be
/// written, or when `append` is true and an existing file has other columns.
///
///   train::fit(model, loss, batches, {.callbacks = {CsvLog("log.csv")}});
class WENGERT_API CsvLog {
 public:
  explicit CsvLog(std::string path, CsvLogOptions = {}, Where = Where::current());
  void operator()(const FitEvent&);

 private:
  std::string path_;
  Where where_;
  std::string before_;  // lines of epochs before this call of fit()
  bool append_;
};

struct TensorBoardOptions {
  std::int64_t every = 1;  ///< number of steps per record
};
/// A callback that writes an event file for TensorBoard: the loss, rate and gradient norm of steps, and the history of
/// epochs. The folder is made if it does not exist. Each record is written at once. A process that is killed leaves at
/// most one incomplete record, the last one, which readers skip. FileError when the file cannot be written.
///
///   train::fit(model, loss, batches, {.callbacks = {TensorBoardLog("runs/1", {.every = 10})}});
class WENGERT_API TensorBoardLog {
 public:
  explicit TensorBoardLog(std::string folder, TensorBoardOptions = {}, Where = Where::current());
  void operator()(const FitEvent&);
  /// Writes one value under a tag.
  void add(std::string_view tag, double value, std::int64_t step);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  TensorBoardOptions options_;
  Where where_;
  std::shared_ptr<void> file_;
};

}  // namespace wengert::train
