#pragma once

#include "wengert/autodiff/base/pool.h"

namespace wengert::kernels {

/// Uninitialised numbers from the thread's pool, for as long as a kernel runs.
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

}  // namespace wengert::kernels
