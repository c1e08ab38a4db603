#include "wengert/autodiff/kernels/gemm.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/gemm_tiles.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/transpose.h"

#include <algorithm>
#include <cstring>

// Matrix products without a BLAS. Everything is chosen by shape: which way to go, the blocks that threads share, the
// steps of k; so the bits do not depend on the number of threads. On one core of a Zen 5 server, against OpenBLAS
// 0.3.21 (which takes it for a Haswell), best of 9, GFLOP/s in float32:
//                              OpenBLAS   here (AVX-512)   here (AVX2)
//   512 x 512 x 512                 110              228           113
//   linear 32 x 784 -> 256           95              213           106
//   its cotangents of x, weight  94, 106        238, 230      114, 116
//   linear 32 x 32 -> 10             48               78            54
//   matrix times vector, 1024²        6               50            41
// Told to use its AVX-512 kernels, OpenBLAS reaches 190 and 149 on the first two.
namespace wengert::kernels {
namespace {

constexpr std::int64_t k_step = 384;  // rows of B at a time: a sliver of them stays in the first or second cache
constexpr std::int64_t worth_a_thread = 1 << 19;  // multiplications, some 4 us; a parallel region costs 1.4 us
constexpr std::int64_t worth_copying = 1 << 15;   // numbers copied, the same for a copy

// ---------------------------------------------------------------- copies into the order that tiles read

// to[i, j] = from[i, j] with the strides given.
template <class T>
void copy(std::int64_t rows, std::int64_t columns, const T* from, std::int64_t row, std::int64_t column, T* to,
          std::int64_t to_row) {
  if (column == 1) {
    const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(T);
    if (bytes == 64)  // as wide as a tile of AVX2: no call for so few, and what is copied next is asked for
      for (std::int64_t i = 0; i < rows; ++i) {
        __builtin_prefetch(from + i * row + columns);
        std::memcpy(to + i * to_row, from + i * row, 64);
      }
    else
      for (std::int64_t i = 0; i < rows; ++i) std::memcpy(to + i * to_row, from + i * row, bytes);
    return;
  }
  std::int64_t j = row == 1 ? transpose(rows, columns, from, column, to, to_row) : 0;
  for (; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) to[i * to_row + j] = from[i * row + j * column];
}

// ---------------------------------------------------------------- one product

// The product as it is, or transposed: C^T = B^T A^T.
template <class T>
struct Product {
  std::int64_t m, n, k;
  const T* a;
  std::int64_t a_row, a_column;
  const T* b;
  std::int64_t b_row, b_column;
  T* c;
  std::int64_t c_row, c_column;
  const T* bias;
  std::int64_t bias_row, bias_column;
  bool add;
  bool here;  // on this thread alone

  Product transposed() const {
    return {n, m,        k,     b,    b_column,    b_row,    a,   a_column, a_row,
            c, c_column, c_row, bias, bias_column, bias_row, add, here};
  }
  T* c_at(std::int64_t i, std::int64_t j) const { return c + i * c_row + j * c_column; }

  template <class F>
  void share(std::int64_t count, std::int64_t grain, F&& f) const {
    if (!here) parallel_for(count, grain, f);
    else if (count > 0) f(std::int64_t{0}, count);
  }
};

// What C holds before the products are added.
template <class T>
void start(const Product<T>& g, std::int64_t i0, std::int64_t rows, std::int64_t j0, std::int64_t columns) {
  for (std::int64_t i = i0; i < i0 + rows; ++i)
    for (std::int64_t j = j0; j < j0 + columns; ++j) {
      T& to = *g.c_at(i, j);
      to = (g.add ? to : T(0)) + (g.bias ? g.bias[i * g.bias_row + j * g.bias_column] : T(0));
    }
}

// A result that lies across C.
template <class T>
void put_across(const T* from, std::int64_t width, std::int64_t rows, std::int64_t columns, T* c, std::int64_t row,
                std::int64_t column, bool add) {
  std::int64_t i = row == 1 && !add ? transpose(columns, rows, from, width, c, column) : 0;
  for (; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) {
      T& to = c[i * row + j * column];
      to = (add ? to : T(0)) + from[i * width + j];
    }
}

// C in tiles whose columns fill registers. Columns are cut into slivers as wide as a tile. Steps of k are short enough
// for the caches. B is copied, sliver by sliver, where its rows are not consecutive numbers, or where it is read often
// enough to pay for it; A where the numbers that follow each other along k lie far apart and are used more than twice.
template <class T>
class ByTiles {
 public:
  explicit ByTiles(const Product<T>& product)
      : g(product),
        slivers(parts(g.n, t.lanes), t.wide),
        steps(g.k, k_step),
        copies_b(g.b_column != 1 || (g.m > 8 * t.rows && g.n > 2 * t.lanes * t.wide)),
        pads(copies_b && !t.masks),
        copies_a(g.a_column != 1 && g.m > t.rows && slivers.count > 2) {}

  void run() {
    const std::int64_t depth = steps.size(0);
    SmallScratch<T> memory_a(copies_a ? depth * g.m : 0),
        memory_b(copies_b ? depth * parts(g.n, t.lanes) * t.lanes : 0);
    near_a = memory_a.get(), near_b = memory_b.get();
    const bool small = g.m * g.n * depth <= 2 * worth_a_thread;
    const Cut down(g.m, small ? g.m : (g.m > 512 ? 16 : 8) * t.rows);
    const std::int64_t fewest = parts(worth_a_thread, down.size(0) * depth * t.wide * t.lanes);
    const Cut across(slivers.count, small ? slivers.count : std::max(parts(slivers.count, 8), fewest));
    for (std::int64_t step = 0; step < steps.count; ++step) {
      const std::int64_t p = steps.begin(step), k = steps.size(step);
      if (copies_a)
        g.share(down.count, parts(worth_copying, k * down.size(0)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t d = begin; d < end; ++d) {
            const std::int64_t i = down.begin(d), rows = down.size(d);
            copy(k, rows, g.a + i * g.a_row + p * g.a_column, g.a_column, g.a_row, near_a + i * k, rows);
          }
        });
      if (copies_b)
        g.share(slivers.count, parts(worth_copying, k * t.wide * t.lanes), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t s = begin; s < end; ++s) {
            T* to = near_b + first_column(s) * k;
            copy(k, inside(s), g.b + p * g.b_row + first_column(s) * g.b_column, g.b_row, g.b_column, to, width(s));
            if (pads && inside(s) < width(s))
              for (std::int64_t i = 0; i < k; ++i)
                std::fill(to + i * width(s) + inside(s), to + (i + 1) * width(s), T(0));
          }
        });
      g.share(down.count * across.count, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t i = task / across.count, s = task % across.count;
          block(step, down.begin(i), down.size(i), across.begin(s), across.begin(s) + across.size(s));
        }
      });
    }
  }

  /// About how many cycles it takes.
  double cost() const {
    const double tall = double(parts(g.m, t.rows)),
                 sums = double(g.m) / tall * double(parts(g.n, t.lanes)) / double(slivers.count);
    double cycles = tall * double(slivers.count) * (double(g.k) * std::max(sums / 2, 4.0) + 20);
    if (g.b_column != 1) cycles += (g.b_row == 1 ? 0.4 : 1.5) * double(g.k * g.n);
    if (g.c_column != 1) cycles += 0.7 * double(g.m * g.n);
    return cycles;
  }

 private:
  std::int64_t first_column(std::int64_t s) const { return slivers.begin(s) * t.lanes; }
  std::int64_t width(std::int64_t s) const { return slivers.size(s) * t.lanes; }
  std::int64_t inside(std::int64_t s) const { return std::min(width(s), g.n - first_column(s)); }

  // Some rows of C times some slivers, for one step of k.
  void block(std::int64_t step, std::int64_t i0, std::int64_t rows, std::int64_t s0, std::int64_t s1) const {
    const std::int64_t p0 = steps.begin(step), k = steps.size(step);
    const bool add = g.add || step > 0;
    const T* a = copies_a ? near_a + i0 * k : g.a + i0 * g.a_row + p0 * g.a_column;
    const std::int64_t a_row = copies_a ? 1 : g.a_row, a_column = copies_a ? rows : g.a_column;
    const Cut tall(rows, t.rows);
    for (std::int64_t s = s0; s < s1; ++s) {
      const T* b = copies_b ? near_b + first_column(s) * k : g.b + p0 * g.b_row + first_column(s);
      const std::int64_t b_row = copies_b ? width(s) : g.b_row, last = inside(s) - width(s) + t.lanes;
      for (std::int64_t r = 0; r < tall.count; ++r) {
        const std::int64_t i = tall.begin(r), high = tall.size(r);
        T* c = g.c_at(i0 + i, first_column(s));
        const auto run = t.tile[high - 1][slivers.size(s) - 1];
        typename GemmTiles<T>::Bias bias;
        if (step == 0 && g.bias)
          bias = {g.bias + (i0 + i) * g.bias_row + first_column(s) * g.bias_column, g.bias_row == 1};
        if (g.c_column == 1) {
          run(k, a + i * a_row, a_row, a_column, b, b_row, pads, c, g.c_row, last, add, bias);
        } else {
          alignas(64) T some[GemmTiles<T>::max_rows * GemmTiles<T>::max_wide * 64 / sizeof(T)];
          run(k, a + i * a_row, a_row, a_column, b, b_row, pads, some, width(s), last, false, bias);
          put_across(some, width(s), high, inside(s), c, g.c_row, g.c_column, add);
        }
      }
    }
  }

  const Product<T>& g;
  const GemmTiles<T>& t = best_tiles<T>();
  Cut slivers, steps;
  bool copies_b, pads, copies_a;
  T *near_a = nullptr, *near_b = nullptr;
};

// C as dot products: rows of A and columns of B are consecutive numbers, and there are few of one of them.
template <class T>
class ByDots {
 public:
  explicit ByDots(const Product<T>& product) : g(product), down(g.m, t.dot_rows), across(g.n, t.max_dots) {}

  void run() {
    const std::int64_t grain = parts(worth_a_thread, g.k * g.m * across.size(0));
    g.share(across.count, grain, [&](std::int64_t begin, std::int64_t end) {
      if (g.bias) start(g, 0, g.m, across.begin(begin), across.begin(end) - across.begin(begin));
      for (std::int64_t s = begin; s < end; ++s)
        for (std::int64_t r = 0; r < down.count; ++r) {
          const std::int64_t i = down.begin(r), j = across.begin(s);
          t.dots[down.size(r) - 1][across.size(s) - 1](g.k, g.a + i * g.a_row, g.a_row, g.b + j * g.b_column,
                                                       g.b_column, g.c_at(i, j), g.c_row, g.c_column, g.add || g.bias);
        }
    });
  }
  double cost() const {
    const double blocks = double(down.count * across.count), products = double(g.m * g.n);
    return blocks * (double(parts(g.k, t.lanes)) * std::max(products / blocks / 2, 4.0) + 20) + 8 * products;
  }

 private:
  const Product<T>& g;
  const GemmTiles<T>& t = best_tiles<T>();
  Cut down, across;
};

// One row: the rows of B are read once, from beginning to end, and added up.
template <class T>
void by_sweeps(const Product<T>& g) {
  const GemmTiles<T>& t = best_tiles<T>();
  const std::int64_t columns = 4096 / sizeof(T) * 4;  // of C, that stay in the first cache
  const Cut across(g.n, columns);
  g.share(across.count, parts(worth_a_thread / 8, g.k * columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      const std::int64_t j = across.begin(s), n = across.size(s);
      if (g.bias) start(g, 0, 1, j, n);
      t.sweep(n, g.k, g.a, g.a_column, g.b + j, g.b_row, g.c + j, g.add || g.bias);
    }
  });
}

template <class T>
void product(const Gemm& q, const T* a, const T* b, T* c, bool here) {
  const Product<T> g{q.m,
                     q.n,
                     q.k,
                     a,
                     q.a.row,
                     q.a.column,
                     b,
                     q.b.row,
                     q.b.column,
                     c,
                     q.row,
                     1,
                     static_cast<const T*>(q.bias),
                     q.bias_of_rows ? 1 : 0,
                     q.bias_of_rows ? 0 : 1,
                     q.accumulate,
                     here};
  if (g.k == 0) return start(g, 0, g.m, 0, g.n);
  const Product<T> across = g.transposed();
  if (g.m == 1 && g.b_column == 1) return by_sweeps(g);
  if (g.n == 1 && g.a_row == 1 && g.c_row == 1) return by_sweeps(across);
  ByTiles<T> rows(g);
  // Where tiles read B as it lies, nothing is better, unless C is too narrow for them; and small products are over
  // before it is decided.
  if (g.b_column == 1 && g.m > 1 && (g.n >= 2 * best_tiles<T>().lanes || g.m * g.n * g.k <= 4096)) return rows.run();
  ByTiles<T> columns(across);
  ByDots<T> dots(g);
  const double by_rows = rows.cost(), by_columns = columns.cost();
  if (g.a_column == 1 && g.b_row == 1 && dots.cost() < std::min(by_rows, by_columns)) dots.run();
  else if (by_columns < by_rows) columns.run();
  else rows.run();
}

template <class T>
void batched(const Gemm& g) {
  const std::int64_t count = g.batch.numel();
  const std::int64_t grain = parts(worth_a_thread, std::max<std::int64_t>(1, g.m * g.n * g.k));
  auto entries = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = begin; e < end; ++e) {
      std::int64_t a = 0, b = 0, c = 0, rest = e;
      for (int i = g.batch.rank() - 1; i >= 0; --i) {
        const std::int64_t at = rest % g.batch[i];
        rest /= g.batch[i];
        a += at * g.a.batch[i], b += at * g.b.batch[i], c += at * g.c_batch[i];
      }
      product(g, static_cast<const T*>(g.a.data) + a, static_cast<const T*>(g.b.data) + b, static_cast<T*>(g.c) + c,
              false);
    }
  };
  if (count >= 8 || grain > 1) parallel_for(count, grain, entries);
  else entries(0, count);  // few and large: each is shared by itself
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batch.numel() == 0) return;
  if (g.dtype == float32) batched<float>(g);
  else batched<double>(g);
}

void gemm_here(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.dtype == float32)
    product(g, static_cast<const float*>(g.a.data), static_cast<const float*>(g.b.data), static_cast<float*>(g.c),
            true);
  else
    product(g, static_cast<const double*>(g.a.data), static_cast<const double*>(g.b.data), static_cast<double*>(g.c),
            true);
}

}  // namespace wengert::kernels
