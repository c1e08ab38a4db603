#pragma once

#include "wengert/autodiff/base/pool.h"

namespace wengert::kernels {

/// Uninitialized memory from the thread's pool for n elements.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t n)
      : bytes_(static_cast<std::size_t>(n) * sizeof(T)), data_(static_cast<T*>(detail::allocate(bytes_))) {}
  ~Scratch() { detail::deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  operator T*() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

/// The same, on the stack when it is at most 8 KiB.
template <class T>
class SmallScratch {
 public:
  explicit SmallScratch(std::int64_t n) {
    if (n > small) bytes_ = static_cast<std::size_t>(n) * sizeof(T), data_ = static_cast<T*>(detail::allocate(bytes_));
  }
  ~SmallScratch() {
    if (bytes_) detail::deallocate(data_, bytes_);
  }
  SmallScratch(const SmallScratch&) = delete;
  T* get() { return data_; }

 private:
  static constexpr std::int64_t small = 8192 / sizeof(T);
  alignas(64) T here_[small];
  T* data_ = here_;
  std::size_t bytes_ = 0;
};

}  // namespace wengert::kernels
