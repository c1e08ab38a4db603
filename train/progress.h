#pragma once

#include "wengert/train/event.h"

#include <cstdio>

namespace wengert {

/// A callback that shows where fit() is: on a terminal a bar with the rate and the time left, redrawn in place, and
/// everywhere a line for each epoch. Writes to the file it is given and to nothing else.
///
///   fit(model, loss, batches, {.callbacks = {ProgressBar(stdout)}});
class WENGERT_API ProgressBar {
 public:
  explicit ProgressBar(std::FILE* file);
  /// As if the file were a terminal of so many columns; 0: as if it were none.
  ProgressBar(std::FILE* file, int columns);
  void operator()(const FitEvent&);

 private:
  void clear();

  std::FILE* file_;
  int columns_ = 0;
  double drawn_ = -1;  // at so many seconds
  bool shown_ = false;
};

}  // namespace wengert
