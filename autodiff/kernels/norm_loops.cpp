// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/base/simd.h"
#include "wengert/autodiff/kernels/norms.h"

#include <cmath>
#include <limits>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

// Sixteen running values, joined by halves.
template <class T, class Term, class Join>
double fold(const T* x, std::int64_t n, Term&& term, Join&& join) {
  double lane[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 16; ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i + k])));
  for (int k = 0; i < n; ++i, ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i])));
  for (int width = 8; width; width /= 2)
    for (int k = 0; k < width; ++k) lane[k] = join(lane[k], lane[k + width]);
  return lane[0];
}

template <class L>
double sum_of_powers_loop(std::int64_t begin, std::int64_t end, const void* from, double p, double scale) {
  const auto* x = static_cast<const typename L::Scalar*>(from) + begin;
  const std::int64_t n = end - begin;
  const auto add = [](double a, double b) { return a + b; };
  const auto size = [](double t) { return t < 0 ? -t : t; };
  if (p == 2 && scale == 1) return fold(x, n, [](double t) { return t * t; }, add);
  if (p == 1) return fold(x, n, [=](double t) { return size(t / scale); }, add);
  if (p == std::numeric_limits<double>::infinity())
    return fold(
        x, n, [=](double t) { return size(t / scale); }, [](double a, double b) { return a > b || a != a ? a : b; });
  // Rare, and so are scales: they are for sums that leave the range of double.
  return fold(x, n, [=](double t) { return std::pow(size(t / scale), p); }, add);
}

// Loops over the segments of one group. `from` are streams in the same order.
template <class L, class T = typename L::Scalar>
struct Group {
  using Batch = typename L::Batch;
  const Groups& g;

  // total[s] = sum of what `term` adds to sums[s], given a register of each stream. A register that reaches beyond the
  // end is filled up with numbers for which that is zero. Pieces are added in double, so that the error does not grow
  // with the length.
  template <int K, int S, class Term>
  void sum(const T* const (&from)[K], const T (&fill)[K], double* total, Term&& term) const {
    constexpr std::int64_t piece = 4096, width = L::width;
    constexpr int ways = 4 / S;  // that do not wait for each other
    L sums[ways][S];
    const auto clear = [&] {
      for (auto& way : sums)
        for (L& s : way) s = L(T(0));
    };
    const auto add = [&](std::int64_t at, L(&to)[S]) {
      L in[K];
      for (int k = 0; k < K; ++k) in[k] = L::load(from[k] + at);
      term(in, to);
    };
    const auto flush = [&] {
      for (int s = 0; s < S; ++s) {
        L all = sums[0][s];
        for (int w = 1; w < ways; ++w) all = all + sums[w][s];
        total[s] += static_cast<double>(detail::sum_of(all.v));
      }
      clear();
    };
    const auto stretch = [&](std::int64_t i, std::int64_t end) __attribute__((always_inline)) {
      for (; i + ways * width <= end; i += ways * width)
        for (int w = 0; w < ways; ++w) add(i + w * width, sums[w]);
      for (; i + width <= end; i += width) add(i, sums[0]);
      if (i < end) {
        const First<T> first(end - i);
        L in[K];
        for (int k = 0; k < K; ++k) in[k] = first.load(from[k] + i, Batch(fill[k]));
        term(in, sums[0]);
      }
    };
    for (int s = 0; s < S; ++s) total[s] = 0;
    clear();
    if (g.segments == 1 && g.size <= piece) {  // short rows: nothing else to look after
      stretch(0, g.size);
      return flush();
    }
    std::int64_t since = 0;
    for (std::int64_t segment = 0; segment < g.segments; ++segment)
      for (std::int64_t begin = 0; begin < g.size; begin += piece) {
        const std::int64_t start = segment * g.segment_step, end = begin + piece < g.size ? begin + piece : g.size;
        stretch(start + begin, start + end);
        since += end - begin;
        if (since >= piece) flush(), since = 0;
      }
    flush();
  }

  // each(registers of the streams, place, how many numbers of it), for every register.
  template <int K, class Each>
  void visit(const T* const (&from)[K], Each&& each) const {
    const std::int64_t segments = g.segments,
                       size = g.size;  // what is stored below might be they, for all that is known
    for (std::int64_t segment = 0; segment < segments; ++segment) {
      const std::int64_t start = segment * g.segment_step;
      std::int64_t i = 0;
      for (; i + L::width <= size; i += L::width) {
        L in[K];
        for (int k = 0; k < K; ++k) in[k] = L::load(from[k] + start + i);
        each(in, start + i, L::width);
      }
      if (i == size) continue;
      L in[K];
      for (int k = 0; k < K; ++k) in[k] = L::load_some(from[k] + start + i, size - i);
      each(in, start + i, size - i);
    }
  }
  static void put(T* to, L x, std::int64_t n) {
    if (n == L::width) x.store(to);
    else x.store_some(to, n);
  }
  static L get(const T* from, std::int64_t n) { return n == L::width ? L::load(from) : L::load_some(from, n); }
};

// A few groups go through each step together, for the steps of one group wait for each other: f(first, last). They stay
// in the first cache.
constexpr std::int64_t few = 8;
template <class F>
void each_few(std::int64_t begin, std::int64_t end, const Groups& g, F&& f) {
  const std::int64_t n = g.entries(), some = n * few <= 1024 ? few : n < 1024 ? 1024 / n : 1;
  for (std::int64_t i = begin; i < end; i += some) f(i, i + some < end ? i + some : end);
}

template <class L, class T = typename L::Scalar>
void normalize_loop(std::int64_t begin, std::int64_t end, const Groups& g, double eps, const void* x0,
                    const void* gain0, const void* bias0, void* y0, void* mean0, void* scale0) {
  const auto *all = static_cast<const T*>(x0), *gain = static_cast<const T*>(gain0),
             *bias = static_cast<const T*>(bias0);
  const Group<L> group{g};
  const auto write = [&](std::int64_t i) {
    const T* x = all + i * g.group_step;
    T* y = static_cast<T*>(y0) + i * g.group_step;
    const L mean(static_cast<const T*>(mean0)[i]), scale(static_cast<const T*>(scale0)[i]);
    if (g.along && gain && bias)
      group.template visit<1>({x}, [&](L(&in)[1], std::int64_t at, std::int64_t some) {
        const L d = (in[0] - mean) * scale;
        group.put(y + at, xsimd::fma(d.v, group.get(gain + at, some).v, group.get(bias + at, some).v), some);
      });
    else if (g.along && (gain || bias))
      group.template visit<1>({x}, [&](L(&in)[1], std::int64_t at, std::int64_t some) {
        const L d = (in[0] - mean) * scale;
        group.put(y + at, gain ? d * group.get(gain + at, some) : d + group.get(bias + at, some), some);
      });
    else
      group.template visit<1>({x}, [&, w = L(gain ? gain[i] : T(1)), b = L(bias ? bias[i] : T(0))](
                                       L(&in)[1], std::int64_t at, std::int64_t some) {
        const L d = (in[0] - mean) * scale;
        group.put(y + at, xsimd::fma(d.v, w.v, b.v), some);
      });
  };
  auto *mean_of = static_cast<T*>(mean0), *scale_of = static_cast<T*>(scale0);
  const double inverse = 1 / static_cast<double>(g.entries());
  each_few(begin, end, g, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      double total;
      group.template sum<1, 1>({all + i * g.group_step}, {T(0)}, &total,
                               [](L(&in)[1], L(&to)[1]) { to[0] = to[0] + in[0]; });
      mean_of[i] = static_cast<T>(total * inverse);
    }
    alignas(64) double var[few] = {};
    for (std::int64_t i = first; i < last; ++i) {
      group.template sum<1, 1>({all + i * g.group_step}, {mean_of[i]}, &var[i - first],
                               [mean = L(mean_of[i])](L(&in)[1], L(&to)[1]) {
                                 const L d = in[0] - mean;
                                 to[0] = xsimd::fma(d.v, d.v, to[0].v);
                               });
    }
    using D = Lanes<double>;  // a root and a division for several groups
    for (std::int64_t k = 0; k < few; k += D::width)
      (D(1) / sqrt(xsimd::fma(D::load(var + k).v, D(inverse).v, D(eps).v))).store(var + k);
    for (std::int64_t i = first; i < last; ++i) scale_of[i] = static_cast<T>(var[i - first]);
    for (std::int64_t i = first; i < last; ++i) write(i);
  });
}

// With d = (x - mean) scale and g = y_bar gain: x_bar = scale (g - mean(g) - d mean(g d)), gain_bar = sum(y_bar d),
// bias_bar = sum(y_bar).
template <class L, class T = typename L::Scalar>
void normalize_vjp_loop(std::int64_t begin, std::int64_t end, const Groups& g, const void* x0, const void* gain0,
                        const void* mean0, const void* scale0, const void* y_bar0, void* x_bar0, void* gain_bar0,
                        void* bias_bar0) {
  const auto* gain = static_cast<const T*>(gain0);
  auto *gain_bar = static_cast<T*>(gain_bar0), *bias_bar = static_cast<T*>(bias_bar0);
  const Group<L> group{g};
  const double inverse = 1 / static_cast<double>(g.entries());
  struct Totals {
    double of[2];
  };
  const auto row = [&](const void* p, std::int64_t i) { return static_cast<const T*>(p) + i * g.group_step; };
  const auto totals = [&](std::int64_t i) {
    const T m = static_cast<const T*>(mean0)[i];
    const auto both = [mean = L(m)](L y, L v, L(&to)[2]) {
      to[0] = to[0] + y;
      to[1] = xsimd::fma(y.v, (v - mean).v, to[1].v);
    };
    Totals total{};
    if (g.along && gain) {
      if (x_bar0)
        group.template sum<3, 2>({row(x0, i), row(y_bar0, i), gain}, {m, T(0), T(0)}, total.of,
                                 [&](L(&in)[3], L(&to)[2]) { both(in[1] * in[2], in[0], to); });
    } else if (x_bar0 || !g.along) {
      group.template sum<2, 2>({row(x0, i), row(y_bar0, i)}, {m, T(0)}, total.of,
                               [&](L(&in)[2], L(&to)[2]) { both(in[1], in[0], to); });
    }
    return total;
  };
  const auto write = [&](std::int64_t i, const double(&total)[2]) {
    const T *x = row(x0, i), *y_bar = row(y_bar0, i);
    T* x_bar = x_bar0 ? static_cast<T*>(x_bar0) + i * g.group_step : nullptr;
    const T r = static_cast<const T*>(scale0)[i];
    const L mean(static_cast<const T*>(mean0)[i]), scale(r);
    const double w = !g.along && gain ? static_cast<double>(gain[i]) : 1, s = static_cast<double>(r);
    if (!g.along && bias_bar) bias_bar[i] = static_cast<T>(total[0]);
    if (!g.along && gain_bar) gain_bar[i] = static_cast<T>(total[1] * s);
    const L c0(static_cast<T>(w * s)), c1(static_cast<T>(w * s * (total[0] * inverse))),
        c2(static_cast<T>(w * s * s * s * (total[1] * inverse)));
    const auto back = [&](L y, L v, std::int64_t at, std::int64_t some) {
      group.put(x_bar + at, xsimd::fma(c0.v, y.v, (-c1 - (v - mean) * c2).v), some);
    };
    const auto along = [&](L y, L v, std::int64_t at, std::int64_t some) {
      if (gain_bar) group.put(gain_bar + at, group.get(gain_bar + at, some) + y * ((v - mean) * scale), some);
      if (bias_bar) group.put(bias_bar + at, group.get(bias_bar + at, some) + y, some);
    };
    const bool sums = g.along && (gain_bar || bias_bar);
    if (x_bar && g.along && gain)
      group.template visit<3>({x, y_bar, gain}, [&](L(&in)[3], std::int64_t at, std::int64_t some) {
        back(in[1] * in[2], in[0], at, some);
        if (sums) along(in[1], in[0], at, some);
      });
    else if (x_bar || sums)
      group.template visit<2>({x, y_bar}, [&](L(&in)[2], std::int64_t at, std::int64_t some) {
        if (x_bar) back(in[1], in[0], at, some);
        if (sums) along(in[1], in[0], at, some);
      });
  };
  each_few(begin, end, g, [&](std::int64_t first, std::int64_t last) {
    Totals total[few];
    for (std::int64_t i = first; i < last; ++i) total[i - first] = totals(i);
    for (std::int64_t i = first; i < last; ++i) write(i, total[i - first].of);
  });
}

}  // namespace

template <class Arch>
const NormLoops* norm_loops() {
  using F = Lanes<float>;
  using D = Lanes<double>;
  static constexpr NormLoops loops = {{sum_of_powers_loop<F>, sum_of_powers_loop<D>},
                                      {normalize_loop<F>, normalize_loop<D>},
                                      {normalize_vjp_loop<F>, normalize_vjp_loop<D>}};
  return &loops;
}
template const NormLoops* norm_loops<Current>();

}  // namespace wengert::kernels
