#include "wengert/autodiff/kernels/recurrent.h"

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/packed.h"

#include <algorithm>

// Sequences do not know of each other, so each thread takes some of them through all steps: one parallel region for the
// whole layer. What has to wait is the product with U; it is packed once, and its rows are multiplied by tiles.
namespace wengert::kernels {
namespace {

constexpr std::int64_t together = 16;             // sequences: two tiles high
constexpr std::int64_t worth_a_thread = 1 << 19;  // multiplications (gemm.cpp)

template <class T>
const RecurrentLoops<T>& loops() {
  return *dispatch([]<class Arch>() { return &RecurrentLoopsOf<T, Arch>::table; });
}

template <class T>
class Layer {
 public:
  explicit Layer(const Recurrent& r) : r_(r), h_(r.hidden), g_(gates_of(r.cell) * r.hidden) {}

  void forward() const {
    const Packed<T> weight(h_, g_, static_cast<const T*>(r_.weight), 1, h_);
    const auto loop = loops<T>().forward[int(r_.cell)];
    share([&](std::int64_t i0, std::int64_t rows) {
      const Scratch<T> product(rows * g_), nothing(h_);
      std::fill(nothing + 0, nothing + h_, T(0));
      for (std::int64_t k = 0; k < r_.steps; ++k) {
        const bool given = k > 0 || r_.first_h;
        if (r_.bias || !given)
          for (std::int64_t i = 0; i < rows; ++i) start(product + i * g_);
        if (given) weight.multiply(rows, before(r_.states, r_.first_h, k, i0, nothing), h_, product, g_, r_.bias);
        for (std::int64_t i = i0; i < i0 + rows; ++i) {
          const std::int64_t at = row(k, i);
          RecurrentStep<T> s{};
          s.h_before = before(r_.states, r_.first_h, k, i, nothing);
          s.c_before = before(r_.cells, r_.first_c, k, i, nothing);
          s.h = in(r_.states, at), s.c = in(r_.cells, at), s.kept = in(r_.kept, at);
          s.gates = static_cast<T*>(r_.gates) + at * g_, s.product = product + (i - i0) * g_;
          if (runs(k, i)) loop(h_, s);
          else stay(s);
          if (r_.output != r_.states) copy(runs(k, i) ? s.h : nothing, in(r_.output, at));
        }
      }
    });
  }

  void backward() const {
    const Packed<T> weight(g_, h_, static_cast<const T*>(r_.weight), h_, 1);
    const auto loop = loops<T>().backward[int(r_.cell)];
    auto* through = static_cast<T*>(r_.product_bar ? r_.product_bar : r_.gates_bar);
    share([&](std::int64_t i0, std::int64_t rows) {
      const Scratch<T> nothing(h_);
      std::fill(nothing + 0, nothing + h_, T(0));
      for (std::int64_t k = r_.steps - 1; k >= 0; --k) {
        for (std::int64_t i = i0; i < i0 + rows; ++i) {
          const std::int64_t at = row(k, i);
          RecurrentStep<T> s{};
          s.h_before = before(r_.states, r_.first_h, k, i, nothing);
          s.c_before = before(r_.cells, r_.first_c, k, i, nothing);
          s.h = in(r_.states, at), s.kept = in(r_.kept, at), s.gates = static_cast<T*>(r_.gates) + at * g_;
          s.y_bar = in(const_cast<void*>(r_.output_bar), at);
          s.h_bar = in(r_.h_bar, i), s.c_bar = in(r_.c_bar, i);
          s.gates_bar = static_cast<T*>(r_.gates_bar) + at * g_, s.product_bar = through + at * g_;
          if (runs(k, i)) loop(h_, s);
          else std::fill(s.gates_bar, s.gates_bar + g_, T(0)), std::fill(s.product_bar, s.product_bar + g_, T(0));
        }
        weight.multiply(rows, through + row(k, i0) * g_, g_, in(r_.h_bar, i0), h_, true);
      }
    });
  }

 private:
  // f(first sequence, how many).
  template <class F>
  void share(F&& f) const {
    const Cut cut(r_.n, together);
    const std::int64_t work = std::max<std::int64_t>(1, r_.steps * together * g_ * h_);
    parallel_for(cut.count, parts(worth_a_thread, work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) f(cut.begin(c), cut.size(c));
    });
  }
  // Steps are counted in the order in which they are taken.
  std::int64_t time(std::int64_t k) const { return r_.reverse ? r_.steps - 1 - k : k; }
  std::int64_t row(std::int64_t k, std::int64_t i) const { return time(k) * r_.n + i; }
  bool runs(std::int64_t k, std::int64_t i) const { return !r_.lengths || time(k) < r_.lengths[i]; }

  T* in(void* all, std::int64_t at) const { return all ? static_cast<T*>(all) + at * h_ : nullptr; }
  const T* before(void* all, const void* first, std::int64_t k, std::int64_t i, const T* nothing) const {
    if (k > 0) return in(all, row(k - 1, i));
    return first ? static_cast<const T*>(first) + i * h_ : nothing;
  }
  void copy(const T* from, T* to) const { std::copy(from, from + h_, to); }
  void start(T* product) const {
    const T* bias = static_cast<const T*>(r_.bias);
    if (bias) std::copy(bias, bias + g_, product);
    else std::fill(product, product + g_, T(0));
  }
  void stay(const RecurrentStep<T>& s) const {
    copy(s.h_before, s.h);
    if (s.c) copy(s.c_before, s.c);
  }

  const Recurrent& r_;
  std::int64_t h_, g_;
};

}  // namespace

void recurrent_forward(const Recurrent& r) {
  if (r.dtype == float32) Layer<float>(r).forward();
  else Layer<double>(r).forward();
}
void recurrent_backward(const Recurrent& r) {
  if (r.dtype == float32) Layer<float>(r).backward();
  else Layer<double>(r).backward();
}

}  // namespace wengert::kernels
