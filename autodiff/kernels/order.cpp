#include "wengert/autodiff/kernels/order.h"

#include "wengert/autodiff/base/parallel.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

namespace wengert::kernels {
namespace {

template <class T>
bool before(T a, T b) {
  if (a != a || b != b) return a == a && b != b;
  return a < b;
}

template <class T>
void order_as(std::int64_t rows, std::int64_t columns, std::int64_t keep, bool descending, const T* x,
              std::int64_t* order) {
  parallel_for(rows, std::max<std::int64_t>(1, grain_elements / 8 / std::max<std::int64_t>(1, columns)),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<std::int64_t> all(static_cast<std::size_t>(columns));
                 for (std::int64_t i = begin; i < end; ++i) {
                   const T* row = x + i * columns;
                   std::iota(all.begin(), all.end(), 0);
                   auto first = [row, descending](std::int64_t a, std::int64_t b) {
                     if (descending ? before(row[b], row[a]) : before(row[a], row[b])) return true;
                     if (descending ? before(row[a], row[b]) : before(row[b], row[a])) return false;
                     return a < b;
                   };
                   if (keep < columns) std::partial_sort(all.begin(), all.begin() + keep, all.end(), first);
                   else std::sort(all.begin(), all.end(), first);
                   std::copy_n(all.begin(), keep, order + i * keep);
                 }
               });
}

// f(o, begin, end): columns begin..end of entry o, all on one thread.
template <class F>
void columns_of(std::int64_t outer, std::int64_t m, std::int64_t inner, F&& f) {
  const std::int64_t grain = std::max<std::int64_t>(64, grain_elements / std::max<std::int64_t>(1, m));
  parallel_for(outer * inner, grain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t o = begin / inner, first = begin % inner, count = std::min(end - begin, inner - first);
      f(o, first, first + count);
      begin += count;
    }
  });
}

template <class T>
void gather_as(std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner, const std::int64_t* index,
               const void* x, void* y) {
  columns_of(outer, m, inner, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = 0; j < m; ++j) {
      const std::int64_t* at = index + (o * m + j) * inner;
      T* to = static_cast<T*>(y) + (o * m + j) * inner;
      for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<const T*>(x)[(o * n + at[i]) * inner + i];
    }
  });
}

template <class T>
void scatter_as(std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner, const std::int64_t* index,
                const void* x, void* y) {
  columns_of(outer, m, inner, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = 0; j < m; ++j) {
      const std::int64_t* at = index + (o * m + j) * inner;
      const T* from = static_cast<const T*>(x) + (o * m + j) * inner;
      for (std::int64_t i = begin; i < end; ++i) static_cast<T*>(y)[(o * n + at[i]) * inner + i] += from[i];
    }
  });
}

}  // namespace

void order_rows(DType dtype, std::int64_t rows, std::int64_t columns, std::int64_t keep, bool descending, const void* x,
                std::int64_t* order) {
  if (dtype == float32) order_as(rows, columns, keep, descending, static_cast<const float*>(x), order);
  else if (dtype == float64) order_as(rows, columns, keep, descending, static_cast<const double*>(x), order);
  else if (dtype == int64) order_as(rows, columns, keep, descending, static_cast<const std::int64_t*>(x), order);
  else order_as(rows, columns, keep, descending, static_cast<const bool*>(x), order);
}

void gather_along(std::size_t element, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                  const std::int64_t* index, const void* x, void* y) {
  if (element == 4) gather_as<std::uint32_t>(outer, n, m, inner, index, x, y);
  else if (element == 8) gather_as<std::uint64_t>(outer, n, m, inner, index, x, y);
  else gather_as<std::uint8_t>(outer, n, m, inner, index, x, y);
}

void scatter_along(DType dtype, std::int64_t outer, std::int64_t n, std::int64_t m, std::int64_t inner,
                   const std::int64_t* index, const void* x, void* y) {
  if (dtype == float32) scatter_as<float>(outer, n, m, inner, index, x, y);
  else if (dtype == float64) scatter_as<double>(outer, n, m, inner, index, x, y);
  else scatter_as<std::int64_t>(outer, n, m, inner, index, x, y);
}

}  // namespace wengert::kernels
