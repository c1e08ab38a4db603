// A plug-in that trains: functions with C linkage, as Python's ctypes or JNI would call them.

#include <wengert/wengert.h>

using namespace wengert;

extern "C" {

/// The loss of a small model after some steps, the same for every call; -1 when something was thrown.
WENGERT_API double train() try {
  Rng rng{1};
  nn::Linear model(4, 1, rng);
  optim::Adam adam{model, {.lr = 0.1}};
  const Tensor x = randn({32, 4}, rng), y = sum(x, {.axes = {1}, .keep_dims = true});
  double last = 0;
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = nn::mse(model(x), y);
    last = loss.item();
    backward(loss);
    adam.step(model);
  }
  return last;
} catch (...) {
  return -1;
}

/// What the pool has from the system.
WENGERT_API long long reserved() { return memory_stats().reserved; }
}
