#pragma once

// Internal: a thread that works beside another one.

namespace wengert::kernels {

/// While it lives, kernels that this thread calls use no other threads; those belong to the thread beside.
class SerialScope {
 public:
  SerialScope();
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;

 private:
  bool outer_;
  int openmp_ = 0;
};

}  // namespace wengert::kernels
