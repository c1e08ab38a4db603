#include "wengert/autodiff/kernels/lapack.h"

#include "wengert/autodiff/base/parallel.h"

#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

// Debian keeps lapacke.h in a package of its own; the Fortran symbols are in OpenBLAS itself. Lengths of the character
// arguments come last.
#define WENGERT_LAPACK(letter, T)                                                                                     \
  void letter##getrf_(const blasint*, const blasint*, T*, const blasint*, blasint*, blasint*);                        \
  void letter##getrs_(const char*, const blasint*, const blasint*, const T*, const blasint*, const blasint*, T*,      \
                      const blasint*, blasint*, std::size_t);                                                         \
  void letter##potrf_(const char*, const blasint*, T*, const blasint*, blasint*, std::size_t);                        \
  void letter##geqrf_(const blasint*, const blasint*, T*, const blasint*, T*, T*, const blasint*, blasint*);          \
  void letter##orgqr_(const blasint*, const blasint*, const blasint*, T*, const blasint*, const T*, T*,               \
                      const blasint*, blasint*);                                                                      \
  void letter##gesdd_(const char*, const blasint*, const blasint*, T*, const blasint*, T*, T*, const blasint*, T*,    \
                      const blasint*, T*, const blasint*, blasint*, blasint*, std::size_t);                           \
  void letter##syevd_(const char*, const char*, const blasint*, T*, const blasint*, T*, T*, const blasint*, blasint*, \
                      const blasint*, blasint*, std::size_t, std::size_t);
extern "C" {
WENGERT_LAPACK(s, float)
WENGERT_LAPACK(d, double)
}
#undef WENGERT_LAPACK

namespace wengert::kernels {
namespace {

// Matrices are the threads' work; a BLAS that started threads of its own inside would fight them for the cores and
// split sums by their number. The OpenMP build of OpenBLAS asks OpenMP how many it may use, and that answer is this
// thread's own: nobody else sees it change. Other builds have only their own global switch; there it stays at one from
// the first call on.
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

template <class T>
struct Lapack;
#define WENGERT_LAPACK(letter, T)                      \
  template <>                                          \
  struct Lapack<T> {                                   \
    static constexpr auto getrf = letter##getrf_;      \
    static constexpr auto getrs = letter##getrs_;      \
    static constexpr auto potrf = letter##potrf_;      \
    static constexpr auto geqrf = letter##geqrf_;      \
    static constexpr auto orgqr = letter##orgqr_;      \
    static constexpr auto gesdd = letter##gesdd_;      \
    static constexpr auto syevd = letter##syevd_;      \
    static constexpr auto trsm = cblas_##letter##trsm; \
  };
WENGERT_LAPACK(s, float)
WENGERT_LAPACK(d, double)
#undef WENGERT_LAPACK

// f(T(), i) for each matrix, in parallel; the first for which it is false.
template <class F>
std::int64_t each_matrix(DType dtype, std::int64_t count, std::int64_t work, F&& f) {
  std::atomic<std::int64_t> failed{std::numeric_limits<std::int64_t>::max()};
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, work));
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const OneBlasThread one;
    for (std::int64_t i = begin; i < end; ++i) {
      if (dtype == float32 ? f(float(), i) : f(double(), i)) continue;
      std::int64_t before = failed;
      while (i < before && !failed.compare_exchange_weak(before, i)) {
      }
    }
  });
  const std::int64_t first = failed;
  return first == std::numeric_limits<std::int64_t>::max() ? -1 : first;
}

template <class T>
const T* matrix(const void* a, std::int64_t i, std::int64_t size) {
  return static_cast<const T*>(a) + i * size;
}
template <class T>
T* matrix(void* a, std::int64_t i, std::int64_t size) {
  return static_cast<T*>(a) + i * size;
}

// What is a row-major [rows, columns] here is a column-major [columns, rows] to LAPACK.
template <class T>
void transpose_to(const T* x, std::int64_t rows, std::int64_t columns, T* y) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) y[j * rows + i] = x[i * columns + j];
}

blasint size(std::int64_t n) { return static_cast<blasint>(n); }
blasint at_least_one(std::int64_t n) { return static_cast<blasint>(std::max<std::int64_t>(1, n)); }

}  // namespace

std::int64_t solve(DType dtype, std::int64_t count, std::int64_t n, std::int64_t k, const void* a, const void* b,
                   void* x) {
  return each_matrix(dtype, count, n * n * (n + k), [&]<class T>(T, std::int64_t i) {
    if (n == 0) return true;
    std::vector<T> lu(matrix<T>(a, i, n * n), matrix<T>(a, i, n * n) + n * n), columns(static_cast<std::size_t>(n * k));
    std::vector<blasint> pivots(static_cast<std::size_t>(n));
    const blasint order = size(n), right = size(k);
    blasint info = 0;
    Lapack<T>::getrf(&order, &order, lu.data(), &order, pivots.data(), &info);
    if (info) return false;
    if (k == 0) return true;
    transpose_to(matrix<T>(b, i, n * k), n, k, columns.data());
    Lapack<T>::getrs("T", &order, &right, lu.data(), &order, pivots.data(), columns.data(), &order, &info, 1);
    transpose_to(columns.data(), k, n, matrix<T>(x, i, n * k));
    return true;
  });
}

void solve_triangular(DType dtype, std::int64_t count, std::int64_t n, std::int64_t k, bool upper, bool unit,
                      const void* a, const void* b, void* x) {
  each_matrix(dtype, count, n * n * k, [&]<class T>(T, std::int64_t i) {
    T* to = matrix<T>(x, i, n * k);
    std::copy_n(matrix<T>(b, i, n * k), n * k, to);
    if (n && k)
      Lapack<T>::trsm(CblasRowMajor, CblasLeft, upper ? CblasUpper : CblasLower, CblasNoTrans,
                      unit ? CblasUnit : CblasNonUnit, size(n), size(k), T(1), matrix<T>(a, i, n * n), size(n), to,
                      size(k));
    return true;
  });
}

std::int64_t cholesky(DType dtype, std::int64_t count, std::int64_t n, const void* a, void* l) {
  return each_matrix(dtype, count, n * n * n, [&]<class T>(T, std::int64_t i) {
    T* to = matrix<T>(l, i, n * n);
    std::copy_n(matrix<T>(a, i, n * n), n * n, to);
    const blasint order = size(n), apart = at_least_one(n);
    blasint info = 0;
    Lapack<T>::potrf("U", &order, to, &apart, &info, 1);
    for (std::int64_t r = 0; r < n; ++r) std::fill(to + r * n + r + 1, to + (r + 1) * n, T(0));
    return info == 0;
  });
}

void determinant(DType dtype, std::int64_t count, std::int64_t n, const void* a, void* det, void* sign, void* log_abs) {
  each_matrix(dtype, count, n * n * n, [&]<class T>(T, std::int64_t i) {
    std::vector<T> lu(matrix<T>(a, i, n * n), matrix<T>(a, i, n * n) + n * n);
    std::vector<blasint> pivots(static_cast<std::size_t>(n));
    const blasint order = size(n), apart = at_least_one(n);
    blasint info = 0;
    if (n) Lapack<T>::getrf(&order, &order, lu.data(), &apart, pivots.data(), &info);
    double s = 1, log = 0, product = 1;
    for (std::int64_t j = 0; j < n; ++j) {
      const double d = static_cast<double>(lu[static_cast<std::size_t>(j * n + j)]);
      if ((pivots[static_cast<std::size_t>(j)] != j + 1) != (d < 0)) s = -s;
      if (d == 0) s = 0;
      log += std::log(std::abs(d)), product *= std::abs(d);
    }
    if (std::isnan(log)) s = log;
    static_cast<T*>(det)[i] = static_cast<T>(s * product);
    static_cast<T*>(sign)[i] = static_cast<T>(s), static_cast<T*>(log_abs)[i] = static_cast<T>(log);
    return true;
  });
}

void qr(DType dtype, std::int64_t count, std::int64_t m, std::int64_t n, const void* a, void* q, void* r) {
  each_matrix(dtype, count, m * n * n, [&]<class T>(T, std::int64_t i) {
    T *to_q = matrix<T>(q, i, m * n), *to_r = matrix<T>(r, i, n * n);
    if (n == 0) return true;
    std::vector<T> columns(static_cast<std::size_t>(m * n)), tau(static_cast<std::size_t>(n));
    std::vector<T> work(static_cast<std::size_t>(64 * n));
    transpose_to(matrix<T>(a, i, m * n), m, n, columns.data());
    const blasint rows = size(m), order = size(n), room = size(64 * n);
    blasint info = 0;
    Lapack<T>::geqrf(&rows, &order, columns.data(), &rows, tau.data(), work.data(), &room, &info);
    std::fill_n(to_r, n * n, T(0));
    std::vector<T> sign(static_cast<std::size_t>(n));
    for (std::int64_t j = 0; j < n; ++j) {
      sign[static_cast<std::size_t>(j)] = columns[static_cast<std::size_t>(j * m + j)] < 0 ? T(-1) : T(1);
      for (std::int64_t k = j; k < n; ++k)
        to_r[j * n + k] = sign[static_cast<std::size_t>(j)] * columns[static_cast<std::size_t>(k * m + j)];
    }
    Lapack<T>::orgqr(&rows, &order, &order, columns.data(), &rows, tau.data(), work.data(), &room, &info);
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t k = 0; k < m; ++k)
        to_q[k * n + j] = sign[static_cast<std::size_t>(j)] * columns[static_cast<std::size_t>(j * m + k)];
    return true;
  });
}

// LAPACK sees A^T = V diag(s) U^T; its V is our V^T, read by rows, and its U^T our U.
std::int64_t svd(DType dtype, std::int64_t count, std::int64_t m, std::int64_t n, const void* a, void* u, void* s,
                 void* vt) {
  const std::int64_t r = std::min(m, n);
  return each_matrix(dtype, count, m * n * r, [&]<class T>(T, std::int64_t i) {
    if (r == 0) return true;
    std::vector<T> copy(matrix<T>(a, i, m * n), matrix<T>(a, i, m * n) + m * n);
    if (!std::all_of(copy.begin(), copy.end(), [](T x) { return std::isfinite(x); })) return false;
    std::vector<blasint> places(static_cast<std::size_t>(8 * r));
    const blasint rows = size(n), columns = size(m), rank = size(r), ask = -1;
    T best = 0;
    blasint info = 0;
    T *to_v = matrix<T>(vt, i, r * n), *to_s = matrix<T>(s, i, r), *to_u = matrix<T>(u, i, m * r);
    Lapack<T>::gesdd("S", &rows, &columns, copy.data(), &rows, to_s, to_v, &rows, to_u, &rank, &best, &ask,
                     places.data(), &info, 1);
    std::vector<T> work(static_cast<std::size_t>(best) + 1);
    const blasint room = size(static_cast<std::int64_t>(work.size()));
    Lapack<T>::gesdd("S", &rows, &columns, copy.data(), &rows, to_s, to_v, &rows, to_u, &rank, work.data(), &room,
                     places.data(), &info, 1);
    return info == 0;
  });
}

std::int64_t eigh(DType dtype, std::int64_t count, std::int64_t n, const void* a, void* w, void* v) {
  return each_matrix(dtype, count, n * n * n, [&]<class T>(T, std::int64_t i) {
    if (n == 0) return true;
    std::vector<T> columns(matrix<T>(a, i, n * n), matrix<T>(a, i, n * n) + n * n);
    if (!std::all_of(columns.begin(), columns.end(), [](T x) { return std::isfinite(x); })) return false;
    const blasint order = size(n), ask = -1;
    T best = 0;
    blasint best_places = 0, info = 0;
    T* to_w = matrix<T>(w, i, n);
    Lapack<T>::syevd("V", "U", &order, columns.data(), &order, to_w, &best, &ask, &best_places, &ask, &info, 1, 1);
    std::vector<T> work(static_cast<std::size_t>(best) + 1);
    std::vector<blasint> places(static_cast<std::size_t>(best_places) + 1);
    const blasint room = size(static_cast<std::int64_t>(work.size())),
                  more = size(static_cast<std::int64_t>(places.size()));
    Lapack<T>::syevd("V", "U", &order, columns.data(), &order, to_w, work.data(), &room, places.data(), &more, &info, 1,
                     1);
    transpose_to(columns.data(), n, n, matrix<T>(v, i, n * n));
    return info == 0;
  });
}

}  // namespace wengert::kernels
