#include "wengert/autodiff/kernels/resample.h"

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/window_loops.h"
#include "wengert/autodiff/kernels/windows.h"

#include <cmath>
#include <numeric>

namespace wengert::kernels {
namespace {

struct Range {
  std::int64_t begin, end;
};

// Entries of window o that lie inside, and by what their sum is divided.
Range window(const Axis& a, std::int64_t o, std::int64_t& divisor) {
  if (a.how == Sampling::adaptive) {
    const Range r{o * a.in / a.out, ((o + 1) * a.in + a.out - 1) / a.out};
    divisor = r.end - r.begin;
    return r;
  }
  const std::int64_t begin = o * a.stride - a.padding, end = std::min(begin + a.kernel, a.in + a.padding);
  const Range r{std::max<std::int64_t>(begin, 0), std::min(end, a.in)};
  divisor = a.count_padding ? end - begin : r.end - r.begin;
  return r;
}

// Where entry o of the result stands on the axis of x.
double place(const Axis& a, std::int64_t o) {
  if (a.align_corners)
    return a.out > 1 ? static_cast<double>(o) * static_cast<double>(a.in - 1) / static_cast<double>(a.out - 1) : 0;
  const double step = a.step > 0 ? a.step : static_cast<double>(a.in) / static_cast<double>(a.out);
  return step * (static_cast<double>(o) + 0.5) - 0.5;
}

// Calls tap(index, weight) for each entry of x that makes entry o of the result.
template <class F>
void for_taps(const Axis& a, std::int64_t o, F&& tap) {
  const std::int64_t last = a.in - 1;
  switch (a.how) {
    case Sampling::windows:
    case Sampling::adaptive: {
      std::int64_t divisor = 1;
      const Range r = window(a, o, divisor);
      for (std::int64_t i = r.begin; i < r.end; ++i) tap(i, 1.0 / static_cast<double>(divisor));
      return;
    }
    case Sampling::nearest:
      if (a.in == a.out) return tap(o, 1.0);
      return tap(
          std::min(last, a.step > 0 ? static_cast<std::int64_t>(static_cast<double>(o) * a.step) : o * a.in / a.out),
          1.0);
    case Sampling::linear: {
      if (a.in == a.out) return tap(o, 1.0);
      const double at = std::max(0.0, place(a, o));
      const std::int64_t i = std::min(last, static_cast<std::int64_t>(at));
      const double t = std::min(1.0, at - static_cast<double>(i));
      tap(i, i < last ? 1 - t : 1.0);
      if (i < last) tap(i + 1, t);
      return;
    }
    case Sampling::cubic: {
      const double at = place(a, o), floor = std::floor(at), t = std::min(1.0, at - floor), s = 1 - t;
      constexpr double c = -0.75;
      const auto near = [](double d) { return ((c + 2) * d - (c + 3)) * d * d + 1; };  // |d| <= 1
      const auto far = [](double d) { return ((c * d - 5 * c) * d + 8 * c) * d - 4 * c; };
      const double weight[] = {far(t + 1), near(t), near(s), far(s + 1)};
      for (int k = 0; k < 4; ++k)
        tap(std::clamp<std::int64_t>(static_cast<std::int64_t>(floor) - 1 + k, 0, last), weight[k]);
      return;
    }
  }
}

bool is_identity(const Axis& a) {
  if (a.in != a.out) return false;
  if (a.how == Sampling::windows) return a.kernel == 1 && a.stride == 1 && a.padding == 0;
  if (a.how == Sampling::cubic) return a.align_corners || a.step == 0 || a.step == 1;
  return true;
}

// The matrix of one axis, or its transpose, by rows.
template <class T>
class Rows {
 public:
  Rows(const Axis& a, bool transposed)
      : from_(transposed ? a.out : a.in),
        to_(transposed ? a.in : a.out),
        start_(to_ + 1),
        index_(count(a)),
        weight_(count(a)) {
    std::fill_n(static_cast<std::int64_t*>(start_), to_ + 1, 0);
    each(a, transposed, [&](std::int64_t row, std::int64_t, double) { ++start_[row + 1]; });
    std::partial_sum(start_ + 0, start_ + to_ + 1, start_ + 0);
    Scratch<std::int64_t> next(to_);
    std::copy_n(start_ + 0, to_, next + 0);
    each(a, transposed, [&](std::int64_t row, std::int64_t column, double w) {
      index_[next[row]] = column;
      weight_[next[row]++] = static_cast<T>(w);
    });
  }

  // x [outer, from, inner] -> y [outer, to, inner].
  void apply(std::int64_t outer, std::int64_t inner, const T* x, T* y) const {
    for (std::int64_t b = 0; b < outer; ++b, x += from_ * inner, y += to_ * inner) {
      for (std::int64_t row = 0; row < to_; ++row) {
        const std::int64_t first = start_[row], last = start_[row + 1];
        if (inner == 1) {
          T s = 0;
          for (std::int64_t k = first; k < last; ++k) s += weight_[k] * x[index_[k]];
          y[row] = s;
          continue;
        }
        T* __restrict to = y + row * inner;
        if (first == last) std::fill_n(to, inner, T(0));
        for (std::int64_t k = first; k < last; ++k) {
          const T* __restrict from = x + index_[k] * inner;
          const T w = weight_[k];
          if (k == first)
            for (std::int64_t i = 0; i < inner; ++i) to[i] = w * from[i];
          else
            for (std::int64_t i = 0; i < inner; ++i) to[i] += w * from[i];
        }
      }
    }
  }

 private:
  template <class F>
  static void each(const Axis& a, bool transposed, F&& f) {
    for (std::int64_t o = 0; o < a.out; ++o)
      for_taps(a, o, [&](std::int64_t i, double w) { transposed ? f(i, o, w) : f(o, i, w); });
  }
  static std::int64_t count(const Axis& a) {
    std::int64_t n = 0;
    each(a, false, [&](std::int64_t, std::int64_t, double) { ++n; });
    return n;
  }

  std::int64_t from_, to_;
  Scratch<std::int64_t> start_, index_;
  Scratch<T> weight_;
};

// Means of regular windows along the last axis: entry k of all windows of a line at a time, in registers.
template <class T>
class Lines {
 public:
  explicit Lines(const Axis& a) : axis_(a), loops_(window_loops<T>()), weight_(a.out) {
    for (std::int64_t o = 0; o < a.out; ++o) {
      std::int64_t divisor = 1;
      const Range r = window(a, o, divisor);
      weight_[o] = r.begin < r.end ? T(1) / static_cast<T>(divisor) : T(0);
    }
  }
  void apply(std::int64_t lines, bool transposed, const T* x, T* y) const {
    if (transposed) {
      Scratch<T> part(axis_.out);
      for (std::int64_t l = 0; l < lines; ++l, x += axis_.out, y += axis_.in) {
        for (std::int64_t o = 0; o < axis_.out; ++o) part[o] = x[o] * weight_[o];
        std::fill_n(y, axis_.in, T(0));
        for_entries([&](std::int64_t begin, std::int64_t n, std::int64_t at) {
          loops_.spread(part + begin, axis_.stride, n, y + at);
        });
      }
    } else {
      for (std::int64_t l = 0; l < lines; ++l, x += axis_.in, y += axis_.out) {
        std::fill_n(y, axis_.out, T(0));
        for_entries([&](std::int64_t begin, std::int64_t n, std::int64_t at) {
          loops_.collect(x + at, axis_.stride, n, y + begin);
        });
        for (std::int64_t o = 0; o < axis_.out; ++o) y[o] *= weight_[o];
      }
    }
  }

 private:
  template <class F>
  void for_entries(F&& f) const {
    for (std::int64_t k = 0; k < axis_.kernel; ++k) {
      const std::int64_t offset = k - axis_.padding;
      const Inside r(offset, axis_.stride, axis_.in, axis_.out);
      if (r.begin < r.end) f(r.begin, r.end - r.begin, r.begin * axis_.stride + offset);
    }
  }

  const Axis& axis_;
  const WindowLoops<T>& loops_;
  Scratch<T> weight_;
};

// The axes that change, in the order to go through them: shrinking ones first, and of them the first; growing ones
// last, and of them the last. So inner loops are long and planes in between small.
struct Order {
  int axis[3], count = 0;
  std::int64_t between = 0;  // entries of the largest plane between two steps

  explicit Order(const Resampling& g) {
    double growth[3];
    for (int d = 0; d < 3; ++d) {
      if (is_identity(g.axes[d])) continue;
      const double grown = static_cast<double>(to(g, d)) / static_cast<double>(from(g, d));
      int at = count++;
      for (; at > 0 && (growth[at - 1] > grown || (growth[at - 1] == grown && grown > 1)); --at)
        growth[at] = growth[at - 1], axis[at] = axis[at - 1];
      growth[at] = grown, axis[at] = d;
    }
    std::int64_t size = g.from_size();
    for (int i = 0; i + 1 < count; ++i) {
      size = size / from(g, axis[i]) * to(g, axis[i]);
      between = std::max(between, size);
    }
  }
  static std::int64_t from(const Resampling& g, int d) { return g.transposed ? g.axes[d].out : g.axes[d].in; }
  static std::int64_t to(const Resampling& g, int d) { return g.transposed ? g.axes[d].in : g.axes[d].out; }
};

template <class T>
void resample(const Resampling& g, std::int64_t planes, const T* x, T* y) {
  const std::int64_t from = g.from_size(), to = g.to_size();
  const Order order(g);
  if (order.count == 0) {
    std::copy_n(x, planes * from, y);
    return;
  }
  const bool by_lines = g.axes[2].how == Sampling::windows;
  const auto needed = [&](int d) { return is_identity(g.axes[d]) || (d == 2 && by_lines) ? Axis() : g.axes[d]; };
  const Rows<T> rows[3] = {{needed(0), g.transposed}, {needed(1), g.transposed}, {needed(2), g.transposed}};
  const Lines<T> lines(g.axes[2]);
  parallel_for(planes, 1 + grain_elements / (from + to), [&](std::int64_t begin, std::int64_t end) {
    Scratch<T> a(order.between), b(order.between);
    for (std::int64_t p = begin; p < end; ++p) {
      std::int64_t sizes[3];
      for (int d = 0; d < 3; ++d) sizes[d] = Order::from(g, d);
      const T* source = x + p * from;
      for (int i = 0; i < order.count; ++i) {
        const int d = order.axis[i];
        T* target = i + 1 == order.count ? y + p * to : i % 2 ? b : a;
        std::int64_t outer = 1, inner = 1;
        for (int k = 0; k < d; ++k) outer *= sizes[k];
        for (int k = d + 1; k < 3; ++k) inner *= sizes[k];
        if (d == 2 && by_lines) lines.apply(outer, g.transposed, source, target);
        else rows[d].apply(outer, inner, source, target);
        sizes[d] = Order::to(g, d);
        source = target;
      }
    }
  });
}

}  // namespace

void resample(DType d, const Resampling& g, std::int64_t planes, const void* x, void* y) {
  if (planes * g.to_size() == 0) return;
  if (d == float32) resample(g, planes, static_cast<const float*>(x), static_cast<float*>(y));
  else resample(g, planes, static_cast<const double*>(x), static_cast<double*>(y));
}

}  // namespace wengert::kernels
