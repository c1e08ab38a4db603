#pragma once

#include "wengert/autodiff/base/function.h"
#include "wengert/train/history.h"

#include <type_traits>

namespace wengert::train {

/// The argument of callbacks of fit(): after every step, after every epoch and at the end.
struct FitEvent {
  bool end_of_epoch = false;            ///< the epoch has been validated and is in the history
  bool end = false;                     ///< last event
  std::int64_t epoch = 0, epochs = 0;   ///< current epoch, from 1, and their number
  std::int64_t batch = 0, batches = 0;  ///< current batch, and number of batches; 0: unknown
  std::int64_t step = 0;                ///< steps so far in all epochs
  std::int64_t rows = 0;                ///< examples seen in this epoch
  double batch_loss = 0, loss = 0;      ///< loss of the last batch; mean over the epoch so far
  double gradient_norm;                 ///< before clipping; NaN unless clip_norm is set
  double lr;                            ///< rate of the last step; NaN for optimizers without one
  double seconds = 0;                   ///< time since fit() began
  double rows_per_second = 0;           ///< in this epoch
  double seconds_left;                  ///< estimate for all epochs; NaN while unknown
  const History& history;               ///< of epochs that have ended

  /// The latest value of a column of the history: event["accuracy"].
  double operator[](std::string_view name) const { return history.last(name); }
};

/// Any function of a FitEvent. One that returns true ends the training.
class FitCallback {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FitCallback> && std::is_invocable_v<F&, const FitEvent&>)
  FitCallback(F f)
      : f_([f = std::move(f)](const FitEvent& event) mutable -> bool {
          if constexpr (std::is_void_v<std::invoke_result_t<F&, const FitEvent&>>) return f(event), false;
          else return f(event);
        }) {}
  bool operator()(const FitEvent& event) const { return f_(event); }

 private:
  wengert::detail::Function<bool(const FitEvent&)> f_;
};

}  // namespace wengert::train
