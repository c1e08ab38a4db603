#include "wengert/autodiff/kernels/packed.h"

#include "wengert/autodiff/kernels/transpose.h"

#include <cstring>

namespace wengert::kernels {

namespace {
constexpr std::int64_t k_step = 384;  // as for any product (gemm.cpp)
}

template <class T>
Packed<T>::Packed(std::int64_t k, std::int64_t n, const T* b, std::int64_t row, std::int64_t column)
    : k_(k), n_(n), slivers_(parts(n, t_.lanes), t_.wide), b_(k * parts(n, t_.lanes) * t_.lanes) {
  for (std::int64_t s = 0; s < slivers_.count; ++s) {
    const std::int64_t first = slivers_.begin(s) * t_.lanes, width = slivers_.size(s) * t_.lanes,
                       inside = std::min(width, n - first);
    T* to = b_ + first * k;
    const T* from = b + first * column;
    if (inside < width) std::fill(to, to + k * width, T(0));
    std::int64_t j = column != 1 && row == 1 ? transpose(k, inside, from, column, to, width) : 0;
    if (column == 1)
      for (std::int64_t i = 0; i < k; ++i, j = inside)
        std::memcpy(to + i * width, from + i * row, static_cast<std::size_t>(inside) * sizeof(T));
    for (; j < inside; ++j)
      for (std::int64_t i = 0; i < k; ++i) to[i * width + j] = from[i * row + j * column];
  }
}

template <class T>
void Packed<T>::multiply(std::int64_t m, const T* a, std::int64_t a_row, T* c, std::int64_t c_row, bool add) const {
  const Cut down(m, t_.rows), steps(k_, k_step);
  for (std::int64_t s = 0; s < slivers_.count; ++s) {
    const std::int64_t first = slivers_.begin(s) * t_.lanes, width = slivers_.size(s) * t_.lanes,
                       last = std::min(width, n_ - first) - width + t_.lanes;
    for (std::int64_t step = 0; step < steps.count; ++step) {
      const std::int64_t p = steps.begin(step);
      for (std::int64_t r = 0; r < down.count; ++r) {
        const std::int64_t i = down.begin(r);
        t_.tile[down.size(r) - 1][slivers_.size(s) - 1](steps.size(step), a + i * a_row + p, a_row, 1,
                                                        b_ + first * k_ + p * width, width, true, c + i * c_row + first,
                                                        c_row, last, add || step > 0, {});
      }
    }
  }
}

template class Packed<float>;
template class Packed<double>;

}  // namespace wengert::kernels
