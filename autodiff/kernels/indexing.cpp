#include "wengert/autodiff/kernels/indexing.h"

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/ask.h"

#include <algorithm>
#include <cstring>

namespace wengert::kernels {

namespace {

constexpr std::int64_t ahead = 8;  // rows that are asked for before they are needed

// Rows of the bytes given, known when compiled for single numbers.
template <std::size_t fixed>
void select_rows(std::size_t bytes, std::int64_t n, std::int64_t m, std::int64_t begin, std::int64_t end,
                 const std::int64_t* index, const std::byte* from, std::byte* to) {
  const std::size_t size = fixed ? fixed : bytes;
  const bool far = !fixed && is_far(n * static_cast<std::int64_t>(size));
  for (std::int64_t outer = begin / m, i = begin % m; begin < end; ++outer, i = 0) {
    const auto row = [&](std::int64_t k) { return from + static_cast<std::size_t>(outer * n + index[k]) * size; };
    for (; i < m && begin < end; ++i, ++begin) {
      if (far && i + ahead < m) ask_for(row(i + ahead), static_cast<std::int64_t>(size));
      std::memcpy(to + static_cast<std::size_t>(begin) * size, row(i), size);
    }
  }
}

}  // namespace

void index_select(std::size_t element, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                  const std::int64_t* index, const void* x, void* y) {
  const std::size_t bytes = element * static_cast<std::size_t>(inner);
  const auto rows = bytes == 4 ? select_rows<4> : bytes == 8 ? select_rows<8> : select_rows<0>;
  parallel_for(outer * m, std::max<std::int64_t>(1, grain_elements / inner), [&](std::int64_t begin, std::int64_t end) {
    rows(bytes, n, m, begin, end, index, static_cast<const std::byte*>(x), static_cast<std::byte*>(y));
  });
}

namespace {

// Threads share the columns, never the index: entries that meet are added in their own order.
template <class T>
void add_as(std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner, const std::int64_t* index,
            const void* x, void* y) {
  const std::int64_t grain = std::max<std::int64_t>(64, grain_elements / m);
  const bool far = is_far(n * inner * std::int64_t(sizeof(T)));
  parallel_for(outer * inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (; inner == 1 && begin < end; ++begin) {
      const T* from = static_cast<const T*>(x) + begin * m;
      T* to = static_cast<T*>(y) + begin * n;
      for (std::int64_t i = 0; i < m; ++i) to[index[i]] += from[i];
    }
    while (begin < end) {
      const std::int64_t o = begin / inner, first = begin % inner, count = std::min(end - begin, inner - first);
      const auto row = [&](std::int64_t i) { return static_cast<T*>(y) + (o * n + index[i]) * inner + first; };
      for (std::int64_t i = 0; i < m; ++i) {
        if (far && i + ahead < m) ask_for<true>(row(i + ahead), count);
        const T* from = static_cast<const T*>(x) + (o * m + i) * inner + first;
        T* to = row(i);
        for (std::int64_t j = 0; j < count; ++j) to[j] += from[j];
      }
      begin += count;
    }
  });
}

}  // namespace

void index_add(DType dtype, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
               const std::int64_t* index, const void* x, void* y) {
  if (dtype == float32) add_as<float>(outer, n, m, inner, index, x, y);
  else if (dtype == float64) add_as<double>(outer, n, m, inner, index, x, y);
  else add_as<std::int64_t>(outer, n, m, inner, index, x, y);
}

}  // namespace wengert::kernels
