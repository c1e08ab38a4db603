#include "wengert/autodiff/kernels/reduce.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/kernels/scratch.h"

#include <algorithm>

namespace wengert::kernels {
namespace {

// The loops of one reduction, for the instruction set in use.
template <class T>
struct Fold {
  void (*rows)(std::int64_t rows, std::int64_t n, const T* x, T* y);
  void (*apart)(std::int64_t step, std::int64_t n, const T* x, T* y);
  void (*join)(std::int64_t rows, std::int64_t n, const T* x, T* y);

  explicit Fold(Reduction what) {
    static const FoldLoops<T>& best =
        *dispatch([]<class Arch>() -> const FoldLoops<T>* { return fold_loops<T, Arch>(); });
    const int which = static_cast<int>(what);
    rows = best.fold[which], apart = best.fold_apart[which], join = best.join[which];
  }
  T one(const T* x, std::int64_t n) const {
    T y;
    rows(1, n, x, &y);
    return y;
  }
};

constexpr std::int64_t leaf = 1024;

// Where the numbers come from: an array, of which those to come are asked for early when it is far ...
template <class T>
struct Stored {
  using Number = T;
  const T* x;
  bool far = false;
  const T* operator()(std::int64_t at, std::int64_t n) const {
    if (far) ask_for(x + at + 2 * leaf, n);
    return x + at;
  }
  Stored reader(std::int64_t, std::int64_t) const { return *this; }
};

// ... or a loop, asked for at most `leaf` of them at once. A reader makes `ahead` numbers at a time, before `end`.
template <class T>
struct Made {
  using Number = T;
  Loop loop;
  const void* op;
  const Shape& shape;
  const Operand* in;
  int in_count;

  class Reader {
   public:
    Reader(const Made& from, std::int64_t end, std::int64_t ahead)
        : from_(from), end_(end), ahead_(ahead), buffers_(strided_count(from.in, from.in_count) * leaf * 8) {}
    const T* operator()(std::int64_t at, std::int64_t n) {
      if (at < first_ || at + n > last_) {
        first_ = at, last_ = std::min(end_, at + std::max(n, ahead_));
        void* to[] = {values_};
        run_block(from_.loop, from_.op, from_.shape, from_.in, from_.in_count, at, last_ - at, buffers_, leaf, false,
                  to);
      }
      return values_ + (at - first_);
    }

   private:
    const Made& from_;
    std::int64_t end_, ahead_, first_ = 0, last_ = 0;
    T values_[leaf];
    const Scratch<std::byte> buffers_;
  };
  Reader reader(std::int64_t end, std::int64_t ahead) const { return Reader(*this, end, ahead); }
};

// As many short rows as fit a leaf.
std::int64_t whole_rows(std::int64_t columns) { return columns && columns < leaf ? leaf / columns * columns : 0; }

// y[i] from row i, of at most a leaf; of what is stored, four rows at a time, from four places. Returns how many rows
// were done: a few of the last ones may be left.
template <class T, class Read>
std::int64_t fold_apart(const Fold<T>& fold, const Read& read, std::int64_t at, std::int64_t rows, std::int64_t columns,
                        T* y) {
  if constexpr (std::is_same_v<Read, Stored<T>>) {
    const std::int64_t quarter = rows / 4;
    for (std::int64_t i = 0; i < quarter; ++i) {
      T four[4];
      fold.apart(quarter * columns, columns, read.x + at + i * columns, four);
      for (int k = 0; k < 4; ++k) y[i + k * quarter] = four[k];
    }
    return 4 * quarter;
  }
  return 0;
}

// Above `leaf` entries halves are joined, so that the error of a sum grows with the logarithm of its length (pairwise
// summation).
template <class T, class Read>
T fold_long(const Fold<T>& fold, Read& read, std::int64_t at, std::int64_t n) {
  constexpr std::int64_t most = 32;
  const std::int64_t leaves = parts(n, leaf);
  if (leaves <= 1) return fold.one(read(at, n), n);
  T part[most];
  if (leaves > most) {
    const std::int64_t half = leaves / 2 * leaf;
    part[0] = fold_long(fold, read, at, half);
    part[1] = fold_long(fold, read, at + half, n - half);
    return fold.one(part, 2);
  }
  for (std::int64_t i = fold_apart(fold, read, at, n / leaf, leaf, part); i < leaves; ++i) {
    const std::int64_t length = std::min(leaf, n - i * leaf);
    part[i] = fold.one(read(at + i * leaf, length), length);
  }
  return fold.one(part, leaves);
}

template <class Source, class T = typename Source::Number>
void rows_as(Reduction what, std::int64_t rows, std::int64_t columns, const Source& x, T* y) {
  const Fold<T> fold(what);
  if (rows == 1 && columns > 2 * grain_elements) {  // one long row: its pieces in parallel, then joined in order
    const Chunks pieces(columns, grain_elements);
    const Scratch<T> part(pieces.count);
    parallel_for(columns, grain_elements, [&](std::int64_t b, std::int64_t e) {
      auto read = x.reader(e, 0);
      part[b / pieces.size] = fold_long(fold, read, b, e - b);
    });
    Stored<T> parts{part};
    *y = fold_long(fold, parts, 0, pieces.count);
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, columns));
  parallel_for(rows, grain, [&](std::int64_t b, std::int64_t e) {
    auto read = x.reader(e * columns, whole_rows(columns));
    if (columns > leaf) {
      for (std::int64_t i = b; i < e; ++i) y[i] = fold_long(fold, read, i * columns, columns);
    } else {
      constexpr std::int64_t worth_it = 64;
      const std::int64_t some = columns ? leaf / columns : e - b,
                         done = columns < worth_it ? 0 : fold_apart(fold, read, b * columns, e - b, columns, y + b);
      for (std::int64_t i = b + done; i < e; i += some) {
        const std::int64_t n = std::min(some, e - i);
        fold.rows(n, columns, read(i * columns, n * columns), y + i);
      }
    }
  });
}

// Rows of one band are added one after the other into a row of results; bands are joined in order.
template <class Source, class T = typename Source::Number>
void columns_as(Reduction what, std::int64_t rows, std::int64_t columns, const Source& x, T* y) {
  if (columns == 0) return;
  if (columns == 1) return rows_as(what, 1, rows, x, y);
  const Fold<T> fold(what);
  constexpr std::int64_t band = 256;
  const std::int64_t bands = std::max<std::int64_t>(1, (rows + band - 1) / band);
  const Scratch<T> part(bands > 1 ? bands * columns : 1);
  T* sums = bands > 1 ? static_cast<T*>(part) : y;
  auto one_band = [&](std::int64_t k) {
    const std::int64_t end = std::min(rows, (k + 1) * band);
    auto read = x.reader(end * columns, whole_rows(columns));
    std::fill_n(sums + k * columns, columns, fold.one(nullptr, 0));
    const std::int64_t some = std::max<std::int64_t>(1, leaf / columns);
    for (std::int64_t i = k * band; i < end; i += some)
      for (std::int64_t at = 0; at < columns; at += leaf) {
        const std::int64_t n = std::min(leaf, columns - at), those = std::min(some, end - i);
        fold.join(those, n, read(i * columns + at, those * n), sums + k * columns + at);
      }
  };
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / (band * columns));
  parallel_for(bands, grain, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t k = b; k < e; ++k) one_band(k);
  });
  if (bands == 1) return;
  std::copy_n(sums, columns, y);
  fold.join(bands - 1, columns, sums + columns, y);
}

template <class T>
void run_as(Reduction what, bool by_rows, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  const Stored<T> from{static_cast<const T*>(x), is_far(rows * columns * std::int64_t(sizeof(T)))};
  if (by_rows) rows_as(what, rows, columns, from, static_cast<T*>(y));
  else columns_as(what, rows, columns, from, static_cast<T*>(y));
}
void run(Reduction what, DType dtype, bool by_rows, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  if (dtype == float32) run_as<float>(what, by_rows, rows, columns, x, y);
  else if (dtype == float64) run_as<double>(what, by_rows, rows, columns, x, y);
  else run_as<std::int64_t>(what, by_rows, rows, columns, x, y);
}

template <class T>
void extreme_as(bool largest, std::int64_t rows, std::int64_t columns, const void* from, std::int64_t* y) {
  const T* x = static_cast<const T*>(from);
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / std::max<std::int64_t>(1, columns));
  parallel_for(rows, grain, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t i = b; i < e; ++i) {
      const T* row = x + i * columns;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < columns; ++j)
        if ((largest ? row[j] > row[best] : row[j] < row[best]) || (row[j] != row[j] && row[best] == row[best]))
          best = j;
      y[i] = best;
    }
  });
}

}  // namespace

void reduce_rows(Reduction what, DType dtype, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  run(what, dtype, true, rows, columns, x, y);
}
void reduce_columns(Reduction what, DType dtype, std::int64_t rows, std::int64_t columns, const void* x, void* y) {
  run(what, dtype, false, rows, columns, x, y);
}
void sum_rows_made(Loop loop, const void* op, DType dtype, const Shape& shape, const Operand* in, int in_count,
                   std::int64_t rows, std::int64_t columns, void* y) {
  if (dtype == float32)
    rows_as(Reduction::sum, rows, columns, Made<float>{loop, op, shape, in, in_count}, static_cast<float*>(y));
  else rows_as(Reduction::sum, rows, columns, Made<double>{loop, op, shape, in, in_count}, static_cast<double*>(y));
}
void sum_columns_made(Loop loop, const void* op, DType dtype, const Shape& shape, const Operand* in, int in_count,
                      std::int64_t rows, std::int64_t columns, void* y) {
  if (dtype == float32)
    columns_as(Reduction::sum, rows, columns, Made<float>{loop, op, shape, in, in_count}, static_cast<float*>(y));
  else columns_as(Reduction::sum, rows, columns, Made<double>{loop, op, shape, in, in_count}, static_cast<double*>(y));
}
void index_of_extreme_rows(DType dtype, bool largest, std::int64_t rows, std::int64_t columns, const void* x,
                           std::int64_t* y) {
  if (dtype == float32) extreme_as<float>(largest, rows, columns, x, y);
  else if (dtype == float64) extreme_as<double>(largest, rows, columns, x, y);
  else if (dtype == int64) extreme_as<std::int64_t>(largest, rows, columns, x, y);
  else extreme_as<bool>(largest, rows, columns, x, y);
}

}  // namespace wengert::kernels
