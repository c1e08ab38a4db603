#pragma once

// Whether a model is being trained, and where its random numbers come from: arguments of a call, not hidden state.
//
//   Tensor y = drop(norm(x, nn::training(rng)), nn::training(rng));
//   Tensor z = model(x, nn::eval);

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::nn {

/// The second argument of layers that behave differently while a model is trained: batch norm, dropout. A model without
/// such layers never mentions it. Cheap to copy; the generator has to live as long as the call.
struct Mode {
  bool training = false;
  Rng* rng = nullptr;  ///< whom dropout asks for its masks

  /// The generator. ValueError, naming the layer, when there is none.
  WENGERT_API Rng& generator(const char* layer, Where = Where::current()) const;
};

/// A model in use: running statistics are used and not changed, nothing is dropped.
inline constexpr Mode eval{};
/// A model in training. Without a generator there can be no dropout: ValueError there.
inline Mode training(Rng& rng) { return {true, &rng}; }
inline Mode training() { return {true, nullptr}; }

}  // namespace wengert::nn

namespace wengert::detail {
template <> inline constexpr Part standard_part<nn::Mode> = Part::nothing;  // so that checkpoint() takes one
}
