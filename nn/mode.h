#pragma once

// The mode says whether a model is being trained, and which generator it draws from. It is an argument of a call, not
// hidden state.
//
//   Tensor y = drop(norm(x, nn::training(rng)), nn::training(rng));
//   Tensor z = model(x, nn::eval);

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::nn {

/// The second argument of layers that behave differently in training, such as batch norm and dropout. A model without
/// such layers needs no mode. A Mode is cheap to copy. The generator must live as long as the call.
struct Mode {
  bool training = false;
  Rng* rng = nullptr;  ///< generator of the masks of dropout

  /// The generator. ValueError, which names the layer, if there is none.
  WENGERT_API Rng& generator(const char* layer, Where = Where::current()) const;
};

/// Evaluation: running statistics are used and not changed, and nothing is dropped.
inline constexpr Mode eval{};
/// Training. Dropout without a generator is a ValueError.
inline Mode training(Rng& rng) { return {true, &rng}; }
inline Mode training() { return {true, nullptr}; }

}  // namespace wengert::nn

namespace wengert::detail {
template <> inline constexpr Part standard_part<nn::Mode> = Part::nothing;  // so that checkpoint() takes one
}
