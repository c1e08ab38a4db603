#include "wengert/autodiff/kernels/attention.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/softmax.h"

#include <algorithm>
#include <limits>

// One matrix of weights after the other, all that belongs to it while it is in the cache.
namespace wengert::kernels {
namespace {

constexpr std::int64_t worth_a_thread = 1 << 19;  // multiplications (gemm.cpp)

template <class T>
class Heads {
 public:
  explicit Heads(const Attention& a) : a_(a), loops_(of(a.dtype)) {}

  void forward() const {
    share([&](std::int64_t e) {
      T* w = weights(e);
      multiply(a_.m, a_.n, a_.size, at(a_.q, e), across(at(a_.k, e)), w, a_.n);
      for (std::int64_t i = 0; i < a_.m; ++i) row(i, w + i * a_.n, e);
      const Matrix y = at(a_.y, e);
      multiply(a_.m, a_.width, a_.n, {w, a_.n, 1}, at(a_.v, e), to(y), y.row);
    });
  }

  void backward() const {
    share([&](std::int64_t e) {
      const T* w = weights(e);
      const Matrix y_bar = at(a_.y, e), p{w, a_.n, 1};
      if (a_.v_bar.data) multiply(a_.n, a_.width, a_.m, across(p), y_bar, to(at(a_.v_bar, e)), a_.v_bar.row);
      if (!a_.q_bar.data && !a_.k_bar.data) return;
      const Scratch<T> bar(a_.m * a_.n);
      multiply(a_.m, a_.n, a_.width, y_bar, across(at(a_.v, e)), bar, a_.n);
      const void* in[] = {w, bar + 0};
      void* out[] = {bar + 0};
      loops_.softmax_vjp(0, a_.m, a_.n, in, out);
      for (std::int64_t i = 0; i < a_.m * a_.n; ++i) bar[i] *= static_cast<T>(a_.scale);
      const Matrix score{bar + 0, a_.n, 1};
      if (a_.q_bar.data) multiply(a_.m, a_.size, a_.n, score, at(a_.k, e), to(at(a_.q_bar, e)), a_.q_bar.row);
      if (a_.k_bar.data) multiply(a_.n, a_.size, a_.m, across(score), at(a_.q, e), to(at(a_.k_bar, e)), a_.k_bar.row);
    });
  }

 private:
  static const SoftmaxLoops& of(DType dtype) {
    return dispatch([]<class Arch>() { return softmax_loops<Arch>(); })[dtype == float64];
  }

  template <class F>
  void share(F&& f) const {
    const std::int64_t work = std::max<std::int64_t>(1, a_.m * a_.n * (a_.size + a_.width));
    parallel_for(a_.batch.numel(), parts(worth_a_thread, work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t e = begin; e < end; ++e) f(e);
    });
  }

  // Scores become weights.
  void row(std::int64_t i, T* s, std::int64_t e) const {
    const std::int64_t seen = a_.causal ? std::min(i + 1, a_.n) : a_.n;
    for (std::int64_t j = 0; j < seen; ++j) s[j] *= static_cast<T>(a_.scale);
    if (a_.mask.data) {
      const std::int64_t begin = offset(a_.mask, e) + i * a_.mask.row, step = a_.mask.column;
      if (a_.mask_numbers) {
        const T* mask = static_cast<const T*>(a_.mask.data) + begin;
        for (std::int64_t j = 0; j < seen; ++j) s[j] += mask[j * step];
      } else {
        const bool* look = static_cast<const bool*>(a_.mask.data) + begin;
        for (std::int64_t j = 0; j < seen; ++j) s[j] = look[j * step] ? s[j] : -std::numeric_limits<T>::infinity();
      }
    }
    const void* in[] = {s};
    void* out[] = {s};
    loops_.softmax(0, 1, seen, in, out);
    std::fill(s + seen, s + a_.n, T(0));
  }

  std::int64_t offset(const Matrix& x, std::int64_t e) const {
    std::int64_t at = 0;
    for (int i = a_.batch.rank() - 1; i >= 0; e /= a_.batch[i], --i) at += e % a_.batch[i] * x.batch[i];
    return at;
  }
  Matrix at(const Matrix& x, std::int64_t e) const {
    return {static_cast<const T*>(x.data) + offset(x, e), x.row, x.column};
  }
  static Matrix across(const Matrix& x) { return {x.data, x.column, x.row}; }
  static T* to(const Matrix& x) { return static_cast<T*>(const_cast<void*>(x.data)); }
  T* weights(std::int64_t e) const { return static_cast<T*>(a_.weights) + e * a_.m * a_.n; }
  void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix& x, const Matrix& y, T* c,
                std::int64_t row) const {
    Gemm g;
    g.dtype = a_.dtype, g.m = m, g.n = n, g.k = k, g.a = x, g.b = y, g.c = c, g.row = row;
    gemm_here(g);
  }

  const Attention& a_;
  const SoftmaxLoops& loops_;
};

}  // namespace

void attention_forward(const Attention& a) {
  if (a.dtype == float32) Heads<float>(a).forward();
  else Heads<double>(a).forward();
}
void attention_backward(const Attention& a) {
  if (a.dtype == float32) Heads<float>(a).backward();
  else Heads<double>(a).backward();
}

}  // namespace wengert::kernels
