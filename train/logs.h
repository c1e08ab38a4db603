#pragma once

#include "wengert/train/event.h"

namespace wengert {

struct CsvLogOptions {
  bool append = false;  ///< keep the lines of earlier epochs that are there, for a training that goes on
};

/// A callback that keeps a file of the history of fit(), a line for each epoch under a line of names. After every epoch
/// the file is written anew beside the old one and takes its place: whoever reads it finds whole lines. FileError when
/// it cannot be written, or was to be gone on with and has other columns.
///
///   fit(model, loss, batches, {.callbacks = {CsvLog("log.csv")}});
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
  std::int64_t every = 1;  ///< steps, of which one is written
};
/// A callback that writes what TensorBoard reads: the loss, rate and gradient norm of steps, and the history of epochs,
/// in an event file in this folder, which is made. A record is written at once; a process that is killed leaves at most
/// its last one incomplete, which readers skip. FileError when the file cannot be written.
///
///   fit(model, loss, batches, {.callbacks = {TensorBoardLog("runs/1", {.every = 10})}});
class WENGERT_API TensorBoardLog {
 public:
  explicit TensorBoardLog(std::string folder, TensorBoardOptions = {}, Where = Where::current());
  void operator()(const FitEvent&);
  /// One number of your own.
  void add(std::string_view tag, double value, std::int64_t step);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  TensorBoardOptions options_;
  Where where_;
  std::shared_ptr<void> file_;
};

}  // namespace wengert
