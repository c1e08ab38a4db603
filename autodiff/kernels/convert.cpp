#include "wengert/autodiff/kernels/convert.h"

namespace wengert::kernels {
namespace {

template <class From, class To>
void convert_loop(const void*, const void* const* in, void* const* out, std::int64_t n) {
  const From* x = static_cast<const From*>(in[0]);
  To* y = static_cast<To*>(out[0]);
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(x[i]);
}

template <class From>
Loop conversion_from(DType to) {
  switch (to) {
    case DType::float32: return convert_loop<From, float>;
    case DType::float64: return convert_loop<From, double>;
    case DType::int64: return convert_loop<From, std::int64_t>;
    case DType::boolean: break;
  }
  return convert_loop<From, bool>;
}

}  // namespace

Loop conversion(DType from, DType to) {
  switch (from) {
    case DType::float32: return conversion_from<float>(to);
    case DType::float64: return conversion_from<double>(to);
    case DType::int64: return conversion_from<std::int64_t>(to);
    case DType::boolean: break;
  }
  return conversion_from<bool>(to);
}

}  // namespace wengert::kernels
