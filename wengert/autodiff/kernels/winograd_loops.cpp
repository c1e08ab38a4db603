// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/winograd_loops.h"

#include "wengert/autodiff/simd.h"

namespace wengert::kernels {
namespace {

using L = Lanes<float>;
using Batch = L::Batch;

// One column, or one row, of each transformation. They are those of polynomials known at 0, a, -a, b, -b and infinity.
// Lavin and Gray 2016, section 4.3, have a = 1 and b = 2, whose errors are four times as large.
constexpr float a = 5 / 8.f, b = 3 / 2.f, a2 = a * a, b2 = b * b;
constexpr float at_0 = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));  // of G

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
struct Leave {  // A^T
  static constexpr int from = 6, to = 4;
  static void apply(const Batch* m, Batch* y) {
    const Batch even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (even_a + even_b);
    y[1] = xsimd::fma(Batch(a), odd_a, Batch(b) * odd_b);
    y[2] = xsimd::fma(Batch(a2), even_a, Batch(b2) * even_b);
    y[3] = xsimd::fma(Batch(a * a2), odd_a, xsimd::fma(Batch(b * b2), odd_b, m[5]));
  }
};
struct EnterCotangent {  // A
  static constexpr int from = 4, to = 6;
  static void apply(const Batch* y, Batch* m) {
    m[0] = y[0], m[5] = y[3];
    both(xsimd::fma(Batch(a2), y[2], y[0]), a, xsimd::fma(Batch(a2), y[3], y[1]), m[1], m[2]);
    both(xsimd::fma(Batch(b2), y[2], y[0]), b, xsimd::fma(Batch(b2), y[3], y[1]), m[3], m[4]);
  }
};
struct EnterWindow {  // G
  static constexpr int from = 3, to = 6;
  static void apply(const Batch* w, Batch* u) {
    u[0] = Batch(at_0) * w[0], u[5] = w[2];
    both(Batch(at_a) * xsimd::fma(Batch(a2), w[2], w[0]), at_a * a, w[1], u[1], u[2]);
    both(Batch(at_b) * xsimd::fma(Batch(b2), w[2], w[0]), at_b * b, w[1], u[3], u[4]);
  }
};
struct LeaveWindow {  // G^T
  static constexpr int from = 6, to = 3;
  static void apply(const Batch* u, Batch* w) {
    const Batch even_a = Batch(at_a) * (u[1] + u[2]), odd_a = Batch(at_a) * (u[1] - u[2]);
    const Batch even_b = Batch(at_b) * (u[3] + u[4]), odd_b = Batch(at_b) * (u[3] - u[4]);
    w[0] = xsimd::fma(Batch(at_0), u[0], even_a + even_b);
    w[1] = xsimd::fma(Batch(a), odd_a, Batch(b) * odd_b);
    w[2] = xsimd::fma(Batch(a2), even_a, xsimd::fma(Batch(b2), even_b, u[5]));
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

template <class Way>
void enter(const float* x, std::int64_t line, std::int64_t tiles, float* v, std::int64_t tile, std::int64_t entry) {
  for (; tiles > 0; --tiles, x += 4 * L::width, v += tile)
    both_ways<Way>([&](int i, int j) { return Batch::load_unaligned(x + (i * line + j) * L::width); },
                   [&](int i, int j, Batch n) { n.store_unaligned(v + (6 * i + j) * entry); });
}

void leave(const float* m, std::int64_t tile, std::int64_t entry, std::int64_t tiles, const float* start, float* y,
           std::int64_t line) {
  const Batch first = Batch::load_unaligned(start);
  for (; tiles > 0; --tiles, m += tile, y += 4 * L::width)
    both_ways<Leave>([&](int i, int j) { return Batch::load_unaligned(m + (6 * i + j) * entry); },
                     [&](int i, int j, Batch n) { (n + first).store_unaligned(y + (i * line + j) * L::width); });
}

void enter_window(const float* w, float* u, std::int64_t entry) {
  both_ways<EnterWindow>([&](int i, int j) { return Batch::load_unaligned(w + (3 * i + j) * L::width); },
                         [&](int i, int j, Batch n) { n.store_unaligned(u + (6 * i + j) * entry); });
}

void leave_window(const float* u_bar, std::int64_t entry, float* w_bar) {
  both_ways<LeaveWindow>([&](int i, int j) { return Batch::load_unaligned(u_bar + (6 * i + j) * entry); },
                         [&](int i, int j, Batch n) { n.store_unaligned(w_bar + (3 * i + j) * L::width); });
}

}  // namespace

template <>
const WinogradLoops WinogradLoopsOf<Current>::table = {
    L::width, enter<Enter>, enter<EnterCotangent>, leave, enter_window, leave_window};

}  // namespace wengert::kernels
