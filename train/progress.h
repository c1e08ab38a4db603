#pragma once

#include "wengert/train/event.h"

#include <cstdio>

namespace wengert::train {

/// A callback that shows the progress of fit(): a line for each epoch, and on a terminal a bar with speed and remaining
/// time that is redrawn in place. It writes to the given file only.
///
///   train::fit(model, loss, batches, {.callbacks = {ProgressBar(stdout)}});
class WENGERT_API ProgressBar {
 public:
  explicit ProgressBar(std::FILE* file);
  /// Treats the file as a terminal with this number of columns; 0: as no terminal.
  ProgressBar(std::FILE* file, int columns);
  void operator()(const FitEvent&);

 private:
  void clear();

  std::FILE* file_;
  int columns_ = 0;
  double drawn_ = -1;  // time of the last drawing, in seconds
  bool shown_ = false;
};

}  // namespace wengert::train
