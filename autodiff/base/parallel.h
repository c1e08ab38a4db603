#pragma once

#include "wengert/autodiff/base/export.h"

#include <cstdint>
#include <type_traits>

namespace wengert {

/// Threads that kernels may use; at first OMP_NUM_THREADS or the number of processors. Results do not depend on it.
WENGERT_API int threads();
/// ValueError unless n >= 1.
WENGERT_API void set_threads(int n);

namespace kernels {

/// How [0, n) is cut, for n > grain: into chunks of nearly equal size, so that threads finish together. They depend on
/// n and grain only, never on the threads.
struct Chunks {
  std::int64_t size, count;  // the last may be shorter
  Chunks(std::int64_t n, std::int64_t grain);
};

/// Runs body(context, begin, end) over those. Serial when there is one thread, or the caller is in a parallel region
/// already.
void parallel_chunks(std::int64_t n, std::int64_t grain,
                     void (*body)(void* context, std::int64_t begin, std::int64_t end), void* context);

template <class F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= grain) {
    if (n > 0) f(std::int64_t{0}, n);
    return;
  }
  parallel_chunks(
      n, grain, [](void* c, std::int64_t b, std::int64_t e) { (*static_cast<std::remove_reference_t<F>*>(c))(b, e); },
      &f);
}

/// While it lives, kernels that this thread calls use no other threads: those belong to the thread that it works beside.
class SerialScope {
 public:
  SerialScope();
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;

 private:
  bool outer_;
  int openmp_ = 0;
};

/// Elements below which a loop over them is not worth a second thread (a parallel region costs about 1.4 us).
inline constexpr std::int64_t grain_elements = 32768;

}  // namespace kernels
}  // namespace wengert
