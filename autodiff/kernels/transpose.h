#pragma once

#include <cstdint>

// Transposing in squares that fill registers of 16 bytes, which every machine has.
namespace wengert::kernels {

template <class T>
inline constexpr std::int64_t square = 16 / sizeof(T);

template <class T>
struct Register {
  typedef T Type __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
};

/// to[i, j] = from[j, i] for one square.
template <class T>
void transpose_square(const T* from, std::int64_t from_row, T* to, std::int64_t to_row) {
  using X = typename Register<T>::Type;
  const auto load = [&](int i) { return *reinterpret_cast<const X*>(from + i * from_row); };
  const auto store = [&](int i, X x) { *reinterpret_cast<X*>(to + i * to_row) = x; };
  const X x0 = load(0), x1 = load(1);
  if constexpr (square<T> == 2) {
    store(0, __builtin_shufflevector(x0, x1, 0, 2)), store(1, __builtin_shufflevector(x0, x1, 1, 3));
  } else {
    const X x2 = load(2), x3 = load(3);
    const X low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5), high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);
    const X low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5), high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
    store(0, __builtin_shufflevector(low01, low23, 0, 1, 4, 5)),
        store(1, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
    store(2, __builtin_shufflevector(high01, high23, 0, 1, 4, 5)),
        store(3, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
  }
}

/// to[i * to_row + j] = from[i + j * column]: rows become columns. Returns how many columns of `to` were written; the
/// rest is too narrow.
template <class T>
std::int64_t transpose(std::int64_t rows, std::int64_t columns, const T* from, std::int64_t column, T* to,
                       std::int64_t to_row) {
  std::int64_t j = 0;
  for (; j + square<T> <= columns; j += square<T>) {
    std::int64_t i = 0;
    for (; i + square<T> <= rows; i += square<T>)
      transpose_square(from + i + j * column, column, to + i * to_row + j, to_row);
    for (; i < rows; ++i)
      for (std::int64_t c = j; c < j + square<T>; ++c) to[i * to_row + c] = from[i + c * column];
  }
  return j;
}

}  // namespace wengert::kernels
