// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/winograd_loops.h"

#include "wengert/autodiff/base/simd.h"

namespace wengert::kernels {

using detail::Lanes;
namespace {

using L = Lanes<float>;
using Batch = L::Batch;

// One column, or one row, of each transformation. All are about polynomials of degree five, which are known at 0, a,
// -a, b, -b and infinity. Lavin and Gray 2016, section 4.3, have a = 1 and b = 2, whose errors are four times as large.
constexpr float a = 5 / 8.f, b = 3 / 2.f, a2 = a * a, b2 = b * b;
constexpr float at_0 = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));

// even + factor odd, and even - factor odd.
void both(Batch even, float factor, Batch odd, Batch& plus, Batch& minus) {
  plus = xsimd::fma(Batch(factor), odd, even), minus = xsimd::fnma(Batch(factor), odd, even);
}

struct Enter {  // B^T
  static constexpr int from = 6, to = 6;
  static void apply(const Batch* x, Batch* v) {
    const auto outer = [](Batch x0, Batch x2, Batch x4) {
      return xsimd::fma(Batch(a2 * b2), x0, xsimd::fnma(Batch(a2 + b2), x2, x4));
    };
    v[0] = outer(x[0], x[2], x[4]), v[5] = outer(x[1], x[3], x[5]);
    both(xsimd::fnma(Batch(b2), x[2], x[4]), a, xsimd::fnma(Batch(b2), x[1], x[3]), v[1], v[2]);
    both(xsimd::fnma(Batch(a2), x[2], x[4]), b, xsimd::fnma(Batch(a2), x[1], x[3]), v[3], v[4]);
  }
};

// The values of a polynomial with n coefficients: A for results, and weighed, G for windows.
template <int n, bool weighed>
struct Spread {
  static constexpr int from = n, to = 6;
  static void apply(const Batch* x, Batch* u) {
    u[0] = weighed ? Batch(at_0) * x[0] : x[0], u[5] = x[n - 1];
    at(a, at_a, x, u[1], u[2]), at(b, at_b, x, u[3], u[4]);
  }
  static void at(float p, float weight, const Batch* x, Batch& plus, Batch& minus) {
    constexpr int top = (n - 1) / 2 * 2, odd_top = n / 2 * 2 - 1;
    Batch even = x[top], odd = x[odd_top];
#pragma GCC unroll 2
    for (int i = top - 2; i >= 0; i -= 2) even = xsimd::fma(Batch(p * p), even, x[i]);
#pragma GCC unroll 2
    for (int i = odd_top - 2; i >= 0; i -= 2) odd = xsimd::fma(Batch(p * p), odd, x[i]);
    both(weighed ? Batch(weight) * even : even, weighed ? weight * p : p, odd, plus, minus);
  }
};

// The transpose of that: A^T and G^T.
template <int n, bool weighed>
struct Collect {
  static constexpr int from = 6, to = n;
  static void apply(const Batch* u, Batch* y) {
    Batch of_a[2] = {u[1] + u[2], u[1] - u[2]}, of_b[2] = {u[3] + u[4], u[3] - u[4]};
    if constexpr (weighed)
      for (int i = 0; i < 2; ++i) of_a[i] = Batch(at_a) * of_a[i], of_b[i] = Batch(at_b) * of_b[i];
    y[0] = weighed ? xsimd::fma(Batch(at_0), u[0], of_a[0] + of_b[0]) : u[0] + (of_a[0] + of_b[0]);
    float to_a = a, to_b = b;
#pragma GCC unroll 4
    for (int i = 1; i < n; ++i, to_a *= a, to_b *= b) {
      const Batch rest = xsimd::fma(Batch(to_b), of_b[i % 2], i == n - 1 ? u[5] : Batch(0.f));
      y[i] = xsimd::fma(Batch(to_a), of_a[i % 2], rest);
    }
  }
};

// Down the columns, then along the rows: number (i, j) is read by load(i, j) and written by store(i, j, number).
template <class Way, class Load, class Store>
void both_ways(Load&& load, Store&& store) {
  Batch half[Way::to][Way::from];
  for (int j = 0; j < Way::from; ++j) {
    Batch column[Way::from], out[Way::to];
#pragma GCC unroll 6
    for (int i = 0; i < Way::from; ++i) column[i] = load(i, j);
    Way::apply(column, out);
#pragma GCC unroll 6
    for (int i = 0; i < Way::to; ++i) half[i][j] = out[i];
  }
  for (int i = 0; i < Way::to; ++i) {
    Batch out[Way::to];
    Way::apply(half[i], out);
#pragma GCC unroll 6
    for (int j = 0; j < Way::to; ++j) store(i, j, out[j]);
  }
}

template <class Way, int step>
void enter(const float* x, std::int64_t line, std::int64_t tiles, float* v, std::int64_t tile, std::int64_t entry) {
  for (; tiles > 0; --tiles, x += step * L::width, v += tile)
    both_ways<Way>([&](int i, int j) { return Batch::load_unaligned(x + (i * line + j) * L::width); },
                   [&](int i, int j, Batch n) { n.store_unaligned(v + (6 * i + j) * entry); });
}

template <int step>
void leave(const float* m, std::int64_t tile, std::int64_t entry, std::int64_t tiles, const float* start, float* y,
           std::int64_t line) {
  const Batch first = Batch::load_unaligned(start);
  for (; tiles > 0; --tiles, m += tile, y += step * L::width)
    both_ways<Collect<step, false>>(
        [&](int i, int j) { return Batch::load_unaligned(m + (6 * i + j) * entry); },
        [&](int i, int j, Batch n) { (n + first).store_unaligned(y + (i * line + j) * L::width); });
}

template <int window>
void enter_window(const float* w, float* u, std::int64_t entry) {
  both_ways<Spread<window, true>>([&](int i, int j) { return Batch::load_unaligned(w + (window * i + j) * L::width); },
                                  [&](int i, int j, Batch n) { n.store_unaligned(u + (6 * i + j) * entry); });
}

template <int window>
void leave_window(const float* u_bar, std::int64_t entry, float* w_bar) {
  both_ways<Collect<window, true>>(
      [&](int i, int j) { return Batch::load_unaligned(u_bar + (6 * i + j) * entry); },
      [&](int i, int j, Batch n) { n.store_unaligned(w_bar + (window * i + j) * L::width); });
}

template <int window>
constexpr WinogradLoops loops = {
    L::width,          7 - window,           enter<Enter, 7 - window>, enter<Spread<7 - window, false>, 7 - window>,
    leave<7 - window>, enter_window<window>, leave_window<window>};

}  // namespace

template <class Arch>
const WinogradLoops& winograd_loops(std::int64_t window) {
  return window == 3 ? loops<3> : loops<5>;
}
template const WinogradLoops& winograd_loops<Current>(std::int64_t);

}  // namespace wengert::kernels
