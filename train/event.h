#pragma once

#include "wengert/train/history.h"

#include <memory>
#include <type_traits>

namespace wengert {

/// What fit() tells its callbacks after every step, at the end of every epoch and at the very end.
struct FitEvent {
  bool end_of_epoch = false;            ///< the epoch was validated, and is in the history
  bool end = false;                     ///< nothing will follow
  std::int64_t epoch = 0, epochs = 0;   ///< which one, from 1, of how many
  std::int64_t batch = 0, batches = 0;  ///< of this epoch; batches 0: not known
  std::int64_t step = 0;                ///< steps so far, of all epochs
  std::int64_t rows = 0;                ///< examples seen in this epoch
  double batch_loss = 0, loss = 0;      ///< of the last batch; the mean over the epoch so far
  double gradient_norm;                 ///< before it was clipped; NaN unless clip_norm is set
  double lr;                            ///< of the last step; NaN when the optimizer has none
  double seconds = 0;                   ///< since fit() began
  double rows_per_second = 0;           ///< in this epoch
  double seconds_left;                  ///< of all epochs; NaN until that can be told
  const History& history;               ///< of the epochs that have ended

  /// The latest value of a column of the history: event["accuracy"].
  double operator[](std::string_view name) const { return history.last(name); }
};

/// Any function of a FitEvent. One that returns true ends the training.
class FitCallback {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FitCallback> && std::is_invocable_v<F&, const FitEvent&>)
  FitCallback(F f)
      : f_(std::make_shared<F>(std::move(f))), call_([](void* f, const FitEvent& event) -> bool {
          if constexpr (std::is_void_v<std::invoke_result_t<F&, const FitEvent&>>)
            return (*static_cast<F*>(f))(event), false;
          else return (*static_cast<F*>(f))(event);
        }) {}
  bool operator()(const FitEvent& event) const { return call_(f_.get(), event); }

 private:
  std::shared_ptr<void> f_;
  bool (*call_)(void*, const FitEvent&);
};

}  // namespace wengert
