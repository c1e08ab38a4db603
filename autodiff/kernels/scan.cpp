#include "wengert/autodiff/kernels/scan.h"

#include "wengert/autodiff/base/parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace wengert::kernels {
namespace {

// What is carried along from entry to entry, wider than the entries.
template <class T>
using Carried = std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>;

constexpr std::int64_t tile = 256;

// Calls step(carry, at, first) for every entry along each line, where `at` is its place in memory. Lines beside each
// other are walked together, a tile of them at a time, so that memory is read in rows.
template <class Carry, class F>
void walk(const Walked& w, F&& step) {
  if (w.n == 0) return;
  const std::int64_t grain = std::max<std::int64_t>(1, grain_elements / w.n);
  parallel_for(w.outer * w.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    Carry carry[tile];
    while (begin < end) {
      const std::int64_t o = begin / w.inner, column = begin % w.inner;
      const std::int64_t width = std::min({end - begin, w.inner - column, tile});
      for (std::int64_t j = 0; j < w.n; ++j) {
        const std::int64_t row = w.reverse ? w.n - 1 - j : j;
        const std::int64_t at = (o * w.n + row) * w.inner + column;
        for (std::int64_t k = 0; k < width; ++k) step(carry[k], at + k, j == 0);
      }
      begin += width;
    }
  });
}

template <class F>
void with_number_type(DType dtype, F&& f) {
  if (dtype == float32) f(float());
  else if (dtype == float64) f(double());
  else f(std::int64_t());
}

}  // namespace

void running_sum(DType dtype, Walked w, const void* x, void* y) {
  with_number_type(dtype, [&]<class T>(T) {
    walk<Carried<T>>(w, [=](Carried<T>& sum, std::int64_t at, bool first) {
      const T value = static_cast<const T*>(x)[at];
      sum = first ? value : sum + value;
      static_cast<T*>(y)[at] = static_cast<T>(sum);
    });
  });
}

void running_product(DType dtype, Walked w, const void* x, void* y) {
  with_number_type(dtype, [&]<class T>(T) {
    walk<Carried<T>>(w, [=](Carried<T>& product, std::int64_t at, bool first) {
      const T value = static_cast<const T*>(x)[at];
      product = first ? value : product * value;
      static_cast<T*>(y)[at] = static_cast<T>(product);
    });
  });
}

void recurrence(DType dtype, Walked w, const void* a, const void* b, void* y) {
  with_number_type(dtype, [&]<class T>(T) {
    walk<Carried<T>>(w, [=](Carried<T>& s, std::int64_t at, bool first) {
      const T add = static_cast<const T*>(b)[at];
      s = first ? add : static_cast<const T*>(a)[at] * s + add;
      static_cast<T*>(y)[at] = static_cast<T>(s);
    });
  });
}

void running_logsumexp(DType dtype, Walked w, const void* x, void* y) {
  struct Sum {
    double largest, rest;  // log of the sum: largest + log(rest)
  };
  with_number_type(dtype, [&]<class T>(T) {
    walk<Sum>(w, [=](Sum& s, std::int64_t at, bool first) {
      const double value = static_cast<double>(static_cast<const T*>(x)[at]);
      if (first) s = {value, 1};
      else if (value > s.largest) s = {value, s.largest == -HUGE_VAL ? 1 : s.rest * std::exp(s.largest - value) + 1};
      else if (value != -HUGE_VAL) s.rest += value == s.largest ? 1 : std::exp(value - s.largest);
      static_cast<T*>(y)[at] = static_cast<T>(s.largest + std::log(s.rest));
    });
  });
}

void running_extreme(DType dtype, Walked w, bool largest, const void* x, std::int64_t* index) {
  with_number_type(dtype, [&]<class T>(T) {
    struct Best {
      T value;
      std::int64_t row;
    };
    const T* from = static_cast<const T*>(x);
    walk<Best>(w, [=](Best& best, std::int64_t at, bool first) {
      const T value = from[at];
      const bool better =
          value != value || (best.value == best.value && (largest ? value >= best.value : value <= best.value));
      if (first || better) best = {value, at / w.inner % w.n};
      index[at] = best.row;
    });
  });
}

}  // namespace wengert::kernels
