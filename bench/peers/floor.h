#pragma once

// What the files of bench/peers/floor share.

#include "../harness.h"

#include <omp.h>

#include <new>

namespace bench {

// On cache lines of their own.
template <class T>
struct Aligned {
  using value_type = T;
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const Aligned&) const { return true; }
};
using Numbers = std::vector<float, Aligned<float>>;

inline int threads = 1;

// f(begin, end) on every thread's part.
template <class F>
void in_parts(std::int64_t n, F&& f) {
  if (threads == 1 || n < 20000) return f(std::int64_t{0}, n);
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t part = (n / threads + 15) / 16 * 16, begin = part * omp_get_thread_num();
    f(std::min(begin, n), std::min(begin + part, n));
  }
}

std::vector<Case> limit_cases();  ///< of memory and arithmetic, and what operators have to move

}  // namespace bench
