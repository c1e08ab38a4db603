#include "wengert/autodiff/base/parallel.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <atomic>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace wengert {
namespace {

int default_threads() {
#ifdef _OPENMP
  return std::max(1, omp_get_max_threads());
#else
  return 1;
#endif
}
std::atomic<int> wanted{0};
thread_local bool serial = false;

}  // namespace

int threads() {
  if (serial) return 1;
  const int n = wanted.load(std::memory_order_relaxed);
  return n ? n : default_threads();
}

void set_threads(int n) {
  if (n < 1) fail<ValueError>(Where::current(), "set_threads: at least one thread is needed, got {}", n);
  wanted.store(n, std::memory_order_relaxed);
}

namespace kernels {

SerialScope::SerialScope() : outer_(serial) {
  serial = true;
#ifdef _OPENMP
  // Also for OpenBLAS, which asks OpenMP. The number is this thread's own.
  openmp_ = omp_get_max_threads();
  omp_set_num_threads(1);
#endif
}
SerialScope::~SerialScope() {
  serial = outer_;
#ifdef _OPENMP
  omp_set_num_threads(openmp_);
#endif
}

// Where there are few, as many as two or four threads can share evenly. Long ones begin at lines of the cache.
Chunks::Chunks(std::int64_t n, std::int64_t grain) {
  const std::int64_t fewest = parts(n, grain);
  size = parts(n, fewest <= 4 ? parts(fewest, 2) * 2 : parts(fewest, 4) * 4);
  if (size >= 1024) size = parts(size, 64) * 64;
  count = parts(n, size);
}

void parallel_chunks(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                     void* context) {
  const Chunks chunks(n, grain);
#ifdef _OPENMP
  const int team = static_cast<int>(std::min<std::int64_t>(chunks.count, threads()));
  if (team > 1 && !omp_in_parallel()) {
#pragma omp parallel for schedule(static) num_threads(team)
    for (std::int64_t c = 0; c < chunks.count; ++c) body(context, c * chunks.size, std::min(n, (c + 1) * chunks.size));
    return;
  }
#endif
  for (std::int64_t c = 0; c < chunks.count; ++c) body(context, c * chunks.size, std::min(n, (c + 1) * chunks.size));
}

}  // namespace kernels
}  // namespace wengert
