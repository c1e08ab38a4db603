#include "wengert/autodiff/kernels/gemm.h"

#include "wengert/autodiff/parallel.h"
#include "wengert/autodiff/pool.h"

#include <cblas.h>

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace wengert::kernels {
namespace {

// Our blocks are the threads' work; a BLAS that started threads of its own inside would fight them for the cores and split sums by
// their number. The OpenMP build of OpenBLAS asks OpenMP how many it may use, and that answer is this thread's own: nobody else sees
// it change. Other builds have only their own global switch; there it stays at one from the first product on.
class OneBlasThread {
 public:
  OneBlasThread() {
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
    [[maybe_unused]] static const bool once = [] {
      if (openblas_get_parallel() == OPENBLAS_THREAD) openblas_set_num_threads(1);
      return true;
    }();
  }
#ifdef _OPENMP
  ~OneBlasThread() { omp_set_num_threads(before_); }

 private:
  int before_ = omp_get_max_threads();
#endif
};

void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, const float* a, blasint lda, const float* b,
          blasint ldb, float beta, float* c, blasint ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, const double* a, blasint lda, const double* b,
          blasint ldb, double beta, double* c, blasint ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

// A matrix of T as BLAS wants it: one of the strides is one, the other covers a row.
template <class T>
struct View {
  const T* data;
  std::int64_t row, column;
  CBLAS_TRANSPOSE order() const { return column == 1 ? CblasNoTrans : CblasTrans; }
  blasint apart() const { return static_cast<blasint>(column == 1 ? row : column); }
  View from(std::int64_t i, std::int64_t j) const { return {data + i * row + j * column, row, column}; }
};

bool fits(std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column) {
  return (column == 1 && row >= columns) || (row == 1 && column >= rows);
}

// Copies what BLAS cannot read.
template <class T>
class Readable {
 public:
  Readable(const T* data, std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column)
      : view_{data, row, column} {
    if (columns == 1) view_.column = 1, view_.row = std::max<std::int64_t>(1, row);
    else if (rows == 1) view_.row = column == 1 ? columns : 1, view_.column = std::max<std::int64_t>(1, column);
    if (fits(rows, columns, view_.row, view_.column)) return;
    bytes_ = static_cast<std::size_t>(rows * columns) * sizeof(T);
    T* copy = static_cast<T*>(detail::allocate(bytes_));
    parallel_for(rows, std::max<std::int64_t>(1, grain_elements / columns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t j = 0; j < columns; ++j) copy[i * columns + j] = data[i * row + j * column];
    });
    view_ = {copy, columns, 1};
  }
  ~Readable() {
    if (bytes_) detail::deallocate(const_cast<T*>(view_.data), bytes_);
  }
  Readable(const Readable&) = delete;
  const View<T>& view() const { return view_; }

 private:
  View<T> view_;
  std::size_t bytes_ = 0;
};

// One block of C. The bias goes in first, while the block is on its way into the cache anyway.
template <class T>
void block(const Gemm& g, const View<T>& a, const View<T>& b, T* c, const T* bias, std::int64_t m, std::int64_t n) {
  bool add = g.accumulate;
  if (bias || g.k == 0) {
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) c[i * g.row + j] = (add ? c[i * g.row + j] : T(0)) + (bias ? bias[j] : T(0));
    add = true;
  }
  if (g.k == 0) return;
  const OneBlasThread one;
  blas(a.order(), b.order(), static_cast<blasint>(m), static_cast<blasint>(n), static_cast<blasint>(g.k), a.data, a.apart(), b.data,
       b.apart(), add ? T(1) : T(0), c, static_cast<blasint>(g.row));
}

constexpr std::int64_t worth_a_thread = 1 << 18;  // multiplications; a parallel region costs about as much as 10^5

template <class T>
void product(const Gemm& g, const T* a, const T* b, T* c) {
  const Readable<T> av(a, g.m, g.k, g.a.row, g.a.column), bv(b, g.k, g.n, g.b.row, g.b.column);
  const T* bias = static_cast<const T*>(g.bias);
  const bool small = g.m * g.n * g.k <= worth_a_thread;
  const std::int64_t rows = small ? g.m : 128, columns = small ? g.n : 256;
  const std::int64_t down = (g.m + rows - 1) / rows, across = (g.n + columns - 1) / columns;
  parallel_for(down * across, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t i = t / across * rows, j = t % across * columns;
      block(g, av.view().from(i, 0), bv.view().from(0, j), c + i * g.row + j, bias ? bias + j : nullptr, std::min(rows, g.m - i),
            std::min(columns, g.n - j));
    }
  });
}

template <class T>
void batched(const Gemm& g) {
  const std::int64_t count = g.batch.numel();
  const std::int64_t grain = std::max<std::int64_t>(1, worth_a_thread / std::max<std::int64_t>(1, g.m * g.n * g.k));
  auto entries = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = begin; e < end; ++e) {
      std::int64_t a = 0, b = 0, c = 0, rest = e;
      for (int i = g.batch.rank() - 1; i >= 0; --i) {
        const std::int64_t at = rest % g.batch[i];
        rest /= g.batch[i];
        a += at * g.a.batch[i], b += at * g.b.batch[i], c += at * g.c_batch[i];
      }
      product(g, static_cast<const T*>(g.a.data) + a, static_cast<const T*>(g.b.data) + b, static_cast<T*>(g.c) + c);
    }
  };
  if (count >= 8 || grain > 1) parallel_for(count, grain, entries);
  else entries(0, count);  // few and large: each is split by itself
}

template <class T>
void whole(const Gemm& g) {
  const Readable<T> a(static_cast<const T*>(g.a.data), g.m, g.k, g.a.row, g.a.column);
  const Readable<T> b(static_cast<const T*>(g.b.data), g.k, g.n, g.b.row, g.b.column);
  block(g, a.view(), b.view(), static_cast<T*>(g.c), static_cast<const T*>(g.bias), g.m, g.n);
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batch.numel() == 0) return;
  if (g.dtype == float32) batched<float>(g);
  else batched<double>(g);
}

void gemm_here(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.dtype == float32) whole<float>(g);
  else whole<double>(g);
}

}  // namespace wengert::kernels
