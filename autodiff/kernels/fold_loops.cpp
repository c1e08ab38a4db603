// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/fold_loops.h"

#include "wengert/autodiff/kernels/across.h"

#include <limits>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

// Of numbers and of registers.
struct Plus {
  template <class T> static constexpr T start = 0;
  template <class X> static X join(X a, X b) { return a + b; }
};
struct Largest {
  template <class T> static constexpr T start =
      std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  template <class T> static T join(T a, T b) { return a > b || a != a ? a : b; }
  template <class T> static Lanes<T> join(Lanes<T> a, Lanes<T> b) { return maximum(a, b); }
};
struct Smallest {
  template <class T> static constexpr T start =
      std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  template <class T> static T join(T a, T b) { return a < b || a != a ? a : b; }
  template <class T> static Lanes<T> join(Lanes<T> a, Lanes<T> b) { return minimum(a, b); }
};

// Running values hide the latency of the additions. There are as many for every instruction set, two registers of the
// widest, and they are joined in one order, by halves, so that sums have the same bits on all of them.
template <class T>
constexpr std::int64_t running = 128 / sizeof(T);

template <class R, int rows, class T> requires std::is_floating_point_v<T>
void fold_rows(std::int64_t step, std::int64_t n, const T* x, T* y) {
  using L = Lanes<T>;
  constexpr int registers = running<T> / L::width;
  const L start(R::template start<T>);
  L lane[rows][registers];
  for (auto& row : lane)
    for (L& l : row) l = start;
  std::int64_t i = 0;
  for (; i + running<T> <= n; i += running<T>)
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < registers; ++k) lane[r][k] = R::join(lane[r][k], L::load(x + r * step + i + k * L::width));
  for (int k = 0; i < n; ++k, i += L::width)
    for (int r = 0; r < rows; ++r) {
      const T* at = x + r * step + i;
      lane[r][k] = R::join(lane[r][k], n - i < L::width ? L(First<T>(n - i).load(at, start.v)) : L::load(at));
    }
  for (int r = 0; r < rows; ++r) {
    for (int half = registers / 2; half; half /= 2)
      for (int k = 0; k < half; ++k) lane[r][k] = R::join(lane[r][k], lane[r][k + half]);
    y[r] = first_of(across(lane[r][0], [](L a, L b) { return R::join(a, b); }));
  }
}
template <class R, int rows>
void fold_rows(std::int64_t step, std::int64_t n, const std::int64_t* x, std::int64_t* y) {
  for (int r = 0; r < rows; ++r, x += step) {
    y[r] = R::template start<std::int64_t>;
    for (std::int64_t i = 0; i < n; ++i) y[r] = R::join(y[r], x[i]);
  }
}

// As many at once as registers hold.
constexpr int at_once = Lanes<float>::width == 4 ? 2 : 4;
template <class R, class T>
void fold_apart(std::int64_t step, std::int64_t n, const T* x, T* y) {
  for (int r = 0; r < 4; r += at_once) fold_rows<R, at_once>(step, n, x + r * step, y + r);
}

template <class R, class T>
void fold(std::int64_t rows, std::int64_t n, const T* x, T* y) {
  if (n <= 4) {  // the same tree, without what is not there
    for (std::int64_t i = 0; i < rows; ++i, x += n) {
      T few[4];
      for (int k = 0; k < 4; ++k) few[k] = k < n ? x[k] : R::template start<T>;
      y[i] = R::join(R::join(few[0], few[2]), R::join(few[1], few[3]));
    }
    return;
  }
  for (std::int64_t i = 0; i < rows; ++i) fold_rows<R, 1>(n, n, x + i * n, y + i);
}

template <class R, class T>
void join(std::int64_t rows, std::int64_t n, const T* __restrict x, T* __restrict y) {
  std::int64_t from = 0;
  if constexpr (std::is_floating_point_v<T>) {  // some columns stay in registers for all rows
    using L = Lanes<T>;
    constexpr std::int64_t registers = 8, some = registers * L::width;
    for (; from + some <= n; from += some) {
      L all[registers];
      for (int k = 0; k < registers; ++k) all[k] = L::load(y + from + k * L::width);
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = x + r * n + from;
        for (int k = 0; k < registers; ++k) all[k] = R::join(all[k], L::load(row + k * L::width));
      }
      for (int k = 0; k < registers; ++k) all[k].store(y + from + k * L::width);
    }
  }
  for (; rows > 0 && from < n; --rows, x += n)
    for (std::int64_t i = from; i < n; ++i) y[i] = R::join(y[i], x[i]);
}

template <class T>
constexpr FoldLoops<T> table{{fold<Plus>, fold<Largest>, fold<Smallest>},
                             {fold_apart<Plus>, fold_apart<Largest>, fold_apart<Smallest>},
                             {join<Plus>, join<Largest>, join<Smallest>}};

}  // namespace

template <class T, class Arch>
const FoldLoops<T>* fold_loops() {
  return &table<T>;
}
template const FoldLoops<float>* fold_loops<float, Current>();
template const FoldLoops<double>* fold_loops<double, Current>();
template const FoldLoops<std::int64_t>* fold_loops<std::int64_t, Current>();

}  // namespace wengert::kernels
