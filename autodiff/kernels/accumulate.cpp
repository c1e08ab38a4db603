#include "wengert/autodiff/kernels/accumulate.h"

#include "wengert/autodiff/base/parallel.h"

namespace wengert::kernels {
namespace {

template <class T>
void add_to(std::int64_t n, void* into, const void* more) {
  parallel_for(n, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    T* __restrict y = static_cast<T*>(into);
    const T* __restrict x = static_cast<const T*>(more);
    for (std::int64_t i = begin; i < end; ++i) y[i] += x[i];
  });
}

}  // namespace

void accumulate(DType dtype, std::int64_t n, void* into, const void* more) {
  if (dtype == float32) add_to<float>(n, into, more);
  else if (dtype == float64) add_to<double>(n, into, more);
  else add_to<std::int64_t>(n, into, more);
}

}  // namespace wengert::kernels
