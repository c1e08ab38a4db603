// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/softmax.h"

#include "wengert/autodiff/kernels/across.h"

#include <functional>
#include <limits>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

// Entries that are NaN may be missed here: they turn the sum, and with it the whole row, into NaN anyway.
template <class L, class T>
L largest(const T* x, std::int64_t n) {
  const auto larger = [](L a, L b) -> L { return detail::larger(a.v, b.v); };
  const L least(-infinity<T>);
  L most[4] = {least, least, least, least};
  std::int64_t i = 0;
  for (; i + 4 * L::width <= n; i += 4 * L::width)
    for (int k = 0; k < 4; ++k) most[k] = larger(most[k], L::load(x + i + k * L::width));
  for (; i + L::width <= n; i += L::width) most[0] = larger(most[0], L::load(x + i));
  if (i < n) most[1] = larger(most[1], L(First<T>(n - i).load(x + i, least.v)));
  return across(larger(larger(most[0], most[1]), larger(most[2], most[3])), larger);
}

// The sum of term(begin, register, how many of it) over a row, in pieces, so that the error does not grow with all of
// its length. A register that reaches beyond the end of the row is filled up with `fill`, of which the term must be 0.
constexpr std::int64_t piece = 4096;
template <class L, class T, class Term>
[[gnu::always_inline]] inline L sum_over(const T* x, std::int64_t n, T fill, Term&& term) {
  L total = T(0);
  for (std::int64_t begin = 0; begin < n; begin += piece) {
    const std::int64_t end = begin + piece < n ? begin + piece : n;
    L sum = T(0);
    std::int64_t i = begin;
    for (; i + L::width <= end; i += L::width) sum = sum + term(i, L::load(x + i), L::width);
    if (i < end) sum = sum + term(i, L(First<T>(end - i).load(x + i, typename L::Batch(fill))), end - i);
    total = total + across(sum, [](L a, L b) { return a + b; });
  }
  return total;
}

template <class L, class T, class F>
void map(const T* x, T* y, std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + L::width <= n; i += L::width) f(L::load(x + i)).store(y + i);
  if (i < n) f(L::load_some(x + i, n - i)).store_some(y + i, n - i);
}
template <class L, class T, class F>
void map(const T* x0, const T* x1, T* y, std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + L::width <= n; i += L::width) f(L::load(x0 + i), L::load(x1 + i)).store(y + i);
  if (i < n) f(L::load_some(x0 + i, n - i), L::load_some(x1 + i, n - i)).store_some(y + i, n - i);
}

template <class L, class T, class Exp>
L sum_of_exp(const T* x, std::int64_t n, L shift, Exp&& exponential) {
  return sum_over<L>(x, n, -infinity<T>, [&](std::int64_t, L v, std::int64_t) { return exponential(v - shift); });
}

template <class L, class T = typename L::Scalar>
struct Rows {
  static const T* row(const void* p, std::int64_t i, std::int64_t n) { return static_cast<const T*>(p) + i * n; }
  static T* row(void* p, std::int64_t i, std::int64_t n) { return static_cast<T*>(p) + i * n; }

  // A few rows go through each step together, for the steps of one row wait for each other: f(first, how many). They
  // stay in the first cache.
  static constexpr std::int64_t few = L::width;
  template <class F>
  static void each_few(std::int64_t begin, std::int64_t end, std::int64_t n, F&& f) {
    const std::int64_t some = n * few <= 1024 ? few : n < 1024 ? 1024 / n : 1;
    for (std::int64_t i = begin; i < end; i += some) f(i, end - i < some ? end - i : some);
  }
  // What is subtracted from such rows, for exp(89) is infinite in float32 already: their largest entries. And what
  // `sum_of(row, its shift)` gives.
  struct Sums {
    alignas(64) T shift[few], sum[few];
    template <class F, class Shift = std::identity>
    Sums(const T* x, std::int64_t n, std::int64_t count, F&& sum_of, Shift&& shift_for = {}) {
      for (T& s : sum) s = 1;
      for (std::int64_t k = 0; k < count; ++k) shift[k] = first_of(shift_for(largest<L>(x + k * n, n)));
      for (std::int64_t k = 0; k < count; ++k) sum[k] = first_of(sum_of(k, L(shift[k])));
    }
  };
  static void statistics(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                         void* const* out) {
    each_few(begin, end, n, [=](std::int64_t i, std::int64_t count) {
      const T* x = row(in[0], i, n);
      // inf - inf would be NaN, and the sum is infinite.
      const auto finite = [](L m) { return select(abs(m) == L(infinity<T>), L(T(0)), m); };
      const auto sum = [=](std::int64_t k, L shift) {
        // Zero may stand for an infinite entry, whose exponential is infinite.
        if (first_of(shift) == T(0)) return sum_of_exp(x + k * n, n, shift, [](L v) { return exp(v); });
        return sum_of_exp(x + k * n, n, shift, [](L v) { return exp_below(v); });
      };
      const Sums s(x, n, count, sum, finite);
      L::load_some(s.shift, count).store_some(row(out[0], i, 1), count);
      log(L::load(s.sum)).store_some(row(out[1], i, 1), count);
    });
  }
  static void softmax(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in, void* const* out) {
    each_few(begin, end, n, [=](std::int64_t i, std::int64_t count) {
      const T* x = row(in[0], i, n);
      T* y = row(out[0], i, n);
      Sums s(x, n, count, [=](std::int64_t k, L shift) {
        return sum_over<L>(x + k * n, n, -infinity<T>, [&](std::int64_t j, L v, std::int64_t numbers) {
          const L e = exp_below(v - shift);
          if (numbers == L::width) e.store(y + k * n + j);
          else e.store_some(y + k * n + j, numbers);
          return e;
        });
      });
      (L(T(1)) / L::load(s.sum)).store(s.sum);
      for (std::int64_t k = 0; k < count; ++k)
        map<L>(y + k * n, y + k * n, n, [r = L(s.sum[k])](L e) { return e * r; });
    });
  }
  static void log_softmax(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                          void* const* out) {
    each_few(begin, end, n, [=](std::int64_t i, std::int64_t count) {
      const T* x = row(in[0], i, n);
      Sums s(x, n, count, [=](std::int64_t k, L shift) {
        return sum_of_exp(x + k * n, n, shift, [](L v) { return exp_below(v); });
      });
      log(L::load(s.sum)).store(s.sum);
      for (std::int64_t k = 0; k < count; ++k)
        map<L>(x + k * n, row(out[0], i + k, n), n,
               [shift = L(s.shift[k]), l = L(s.sum[k])](L v) { return v - shift - l; });
    });
  }
  // sum(f(x0, x1)) over a row; f(0, 0) must be 0.
  template <class F>
  static L sum_of(const T* x0, const T* x1, std::int64_t n, F&& f) {
    return sum_over<L>(x0, n, T(0), [&](std::int64_t j, L v, std::int64_t some) {
      return f(v, some == L::width ? L::load(x1 + j) : First<T>(some).load(x1 + j, typename L::Batch(T(0))));
    });
  }
  static void softmax_vjp(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                          void* const* out) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T *y = row(in[0], i, n), *y_bar = row(in[1], i, n);
      const L s = sum_of(y, y_bar, n, [](L p, L g) { return p * g; });
      map<L>(y, y_bar, row(out[0], i, n), n, [s](L p, L g) { return p * (g - s); });
    }
  }
  static void log_softmax_vjp(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                              void* const* out) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T *y = row(in[0], i, n), *y_bar = row(in[1], i, n);
      const L s = sum_over<L>(y_bar, n, T(0), [](std::int64_t, L g, std::int64_t) { return g; });
      map<L>(y, y_bar, row(out[0], i, n), n, [s](L l, L g) { return g - exp_below(l) * s; });
    }
  }
  static void log_softmax_jvp(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                              void* const* out) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T *y = row(in[0], i, n), *x_dot = row(in[1], i, n);
      const L s = sum_of(y, x_dot, n, [](L l, L d) { return exp(l) * d; });
      map<L>(x_dot, row(out[0], i, n), n, [s](L d) { return d - s; });
    }
  }
  static void logsumexp_vjp(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                            void* const* out) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T y = *row(in[1], i, 1), y_bar = *row(in[2], i, 1);
      if (y == -infinity<T> || y_bar == 0) map<L>(row(in[0], i, n), row(out[0], i, n), n, [](L) { return L(T(0)); });
      else map<L>(row(in[0], i, n), row(out[0], i, n), n, [y = L(y), g = L(y_bar)](L x) { return g * exp(x - y); });
    }
  }
  static void cross_entropy_vjp(std::int64_t begin, std::int64_t end, std::int64_t n, const void* const* in,
                                void* const* out) {
    const T factor = *static_cast<const T*>(in[4]);
    for (std::int64_t i = begin; i < end; ++i) {
      T* x_bar = row(out[0], i, n);
      map<L>(row(in[0], i, n), x_bar, n, [s = L(*row(in[1], i, 1)), l = L(*row(in[2], i, 1)), f = L(factor)](L x) {
        return f * exp_below(x - s - l);
      });
      x_bar[static_cast<const std::int64_t*>(in[3])[i]] -= factor;
    }
  }
  static constexpr SoftmaxLoops loops = {statistics,      softmax,         log_softmax,   softmax_vjp,
                                         log_softmax_vjp, log_softmax_jvp, logsumexp_vjp, cross_entropy_vjp};
};

}  // namespace

template <class Arch>
const SoftmaxLoops* softmax_loops() {
  static constexpr SoftmaxLoops both[] = {Rows<Lanes<float>>::loops, Rows<Lanes<double>>::loops};
  return both;
}
template const SoftmaxLoops* softmax_loops<Current>();

}  // namespace wengert::kernels
