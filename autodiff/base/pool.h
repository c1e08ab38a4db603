#pragma once

#include "wengert/autodiff/base/export.h"

#include <cstddef>
#include <cstdint>

namespace wengert {

/// What the pool holds. Bytes are those of blocks, rounded up to their size class.
struct MemoryStats {
  std::int64_t in_use = 0;    ///< bytes handed out (exact once all threads are idle; within 64 KiB a thread otherwise)
  std::int64_t peak = 0;      ///< largest in_use since reset_peak_memory()
  std::int64_t reserved = 0;  ///< bytes taken from the system and kept
  std::int64_t system_allocations = 0;  ///< how often the system was asked: stays put once a training loop is warm
};
WENGERT_API MemoryStats memory_stats();
WENGERT_API void reset_peak_memory();

/// Gives cached large blocks (of this thread and the common store) back to the system.
WENGERT_API void trim();

namespace detail {

/// A block of at least `bytes` bytes, aligned to 64. Blocks may be freed on any thread. Freed blocks are kept: first by
/// the thread, beyond a limit in a common store, so that a block built here and dropped there finds its way back.
WENGERT_API void* allocate(std::size_t bytes);
WENGERT_API void deallocate(void* block, std::size_t bytes) noexcept;

/// Sets the peak to `to`, or to what is in use now if that is more, and returns the largest use since it was last set.
std::int64_t exchange_peak(std::int64_t to);

/// An allocator for containers: what a step of training makes asks the system for nothing.
template <class T>
struct FromPool {
  using value_type = T;
  FromPool() = default;
  template <class U>
  FromPool(const FromPool<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(detail::allocate(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { detail::deallocate(p, n * sizeof(T)); }
  friend bool operator==(const FromPool&, const FromPool&) { return true; }
};

}  // namespace detail
}  // namespace wengert
