#pragma once

// Opt-in: your own pointwise function as one SIMD loop forwards and one backwards, with no derivative written. It
// includes xsimd, and its loops are compiled with the flags of the file that includes it (-march=native, or -mavx2
// -mfma, makes them several times faster).

#include "wengert/autodiff/functions.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/rule.h"
#include "wengert/autodiff/simd.h"
#include "wengert/autodiff/term.h"

#include <array>

namespace wengert {

/// A number and its derivatives in K directions: what a lambda sees when its slopes are wanted.
template <class L, int K>
struct Dual {
  using Scalar = typename L::Scalar;

  L v;
  std::array<L, K> d;

  Dual() = default;
  template <class N> requires std::is_arithmetic_v<N> Dual(N n) : v(n) { d.fill(L(0)); }
  explicit Dual(L value) : v(value) { d.fill(L(0)); }
  /// The variable of direction k.
  Dual(L value, int k) : Dual(value) { d[static_cast<std::size_t>(k)] = L(1); }

  template <class Rule, class F>
  static Dual unary(const Dual& x, F&&) {
    Dual y;
    y.v = Rule::value(x.v);
    const L slope = slope_at<0>(Rule{}, std::array<L, 1>{x.v}, y.v);
    for (int k = 0; k < K; ++k) y.d[k] = slope * x.d[k];
    return y;
  }
  template <class Rule, class F>
  static Dual binary(const Dual& a, const Dual& b, F&&) {
    Dual y;
    y.v = Rule::value(a.v, b.v);
    const L sa = slope_at<0>(Rule{}, std::array<L, 2>{a.v, b.v}, y.v),
            sb = slope_at<1>(Rule{}, std::array<L, 2>{a.v, b.v}, y.v);
    for (int k = 0; k < K; ++k) y.d[k] = sa * a.d[k] + sb * b.d[k];
    return y;
  }

  friend Dual operator+(const Dual& a, const Dual& b) {
    Dual y(a.v + b.v);
    for (int k = 0; k < K; ++k) y.d[k] = a.d[k] + b.d[k];
    return y;
  }
  friend Dual operator-(const Dual& a, const Dual& b) {
    Dual y(a.v - b.v);
    for (int k = 0; k < K; ++k) y.d[k] = a.d[k] - b.d[k];
    return y;
  }
  friend Dual operator*(const Dual& a, const Dual& b) {
    Dual y(a.v * b.v);
    for (int k = 0; k < K; ++k) y.d[k] = a.d[k] * b.v + a.v * b.d[k];
    return y;
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const L inverse = L(1) / b.v;
    Dual y(a.v * inverse);
    for (int k = 0; k < K; ++k) y.d[k] = (a.d[k] - y.v * b.d[k]) * inverse;
    return y;
  }
  friend Dual operator-(const Dual& a) {
    Dual y(-a.v);
    for (int k = 0; k < K; ++k) y.d[k] = -a.d[k];
    return y;
  }
  friend auto operator<(const Dual& a, const Dual& b) { return a.v < b.v; }
  friend auto operator<=(const Dual& a, const Dual& b) { return a.v <= b.v; }
  friend auto operator>(const Dual& a, const Dual& b) { return a.v > b.v; }
  friend auto operator>=(const Dual& a, const Dual& b) { return a.v >= b.v; }
  friend auto operator==(const Dual& a, const Dual& b) { return a.v == b.v; }
  friend auto operator!=(const Dual& a, const Dual& b) { return a.v != b.v; }
  template <class Mask>
  friend Dual select(const Mask& c, const Dual& a, const Dual& b) {
    Dual y(select(c, a.v, b.v));
    for (int k = 0; k < K; ++k) y.d[k] = select(c, a.d[k], b.d[k]);
    return y;
  }
};

namespace detail {

/// The common shape of all operands; ShapeError, TypeError (they must be all float32 or all float64).
WENGERT_API Shape fused_shape(std::span<const Tensor* const> x, Where);
/// Runs a loop over operands broadcast to `shape`, into fresh row-major results.
WENGERT_API void run_fused(kernels::Loop, const void* op, const Shape& shape, std::span<const Tensor* const> in,
                           std::span<Tensor> out);

template <class L, class F, std::size_t... I>
L fused_value(const F& f, const void* const* in, std::int64_t at, std::int64_t n, std::index_sequence<I...>) {
  using T = typename L::Scalar;
  auto load = [&](std::size_t k) {
    const T* p = static_cast<const T*>(in[k]) + at;
    return n == L::width ? L::load(p) : L::load_some(p, n);
  };
  return L(f(load(I)...));
}

template <class L>
void store(L value, void* out, std::int64_t at, std::int64_t n) {
  auto* p = static_cast<typename L::Scalar*>(out) + at;
  if (n == L::width) value.store(p);
  else value.store_some(p, n);
}

template <class F, class L, std::size_t N>
void fused_value_loop(const void* op, const void* const* in, void* const* out, std::int64_t n) {
  const F& f = *static_cast<const F*>(op);
  for (std::int64_t i = 0; i < n; i += L::width) {
    const std::int64_t count = std::min(L::width, n - i);
    store(fused_value<L>(f, in, i, count, std::make_index_sequence<N>()), out[0], i, count);
  }
}

// in: g, x...; out: g times each slope. A zero cotangent stays zero.
template <class F, class L, std::size_t N>
void fused_pull_loop(const void* op, const void* const* in, void* const* out, std::int64_t n) {
  using T = typename L::Scalar;
  using D = Dual<L, int(N)>;
  const F& f = *static_cast<const F*>(op);
  for (std::int64_t i = 0; i < n; i += L::width) {
    const std::int64_t count = std::min(L::width, n - i);
    auto load = [&](std::size_t k) {
      const T* p = static_cast<const T*>(in[k]) + i;
      return count == L::width ? L::load(p) : L::load_some(p, count);
    };
    const D y = [&]<std::size_t... I>(std::index_sequence<I...>) {
      return D(f(D(load(I + 1), int(I))...));
    }(std::make_index_sequence<N>());
    const L g = load(0);
    for (std::size_t k = 0; k < N; ++k)
      if (out[k]) store(select(g == L(0), L(0), g * y.d[k]), out[k], i, count);
  }
}

/// F written for numbers, as an operator on N tensors.
template <class F, std::size_t N>
struct Fused {
  static constexpr std::string_view name = "fuse";
  F f;
  std::array<Saved, N> kept;

  void forget() { kept = {}; }

  Tensor forward(std::same_as<Tensor> auto const&... x) {
    const Tensor* in[] = {&x...};
    for (std::size_t i = 0; i < N; ++i) kept[i] = *in[i];
    Tensor y[1];
    run_fused(in[0]->dtype() == float32 ? fused_value_loop<F, Lanes<float>, N> : fused_value_loop<F, Lanes<double>, N>,
              &f, fused_shape(in, Where()), in, y);
    return y[0];
  }

  bool on_tape(const Tensor& g) const {
    bool tracked = g.tracked();
    for (auto& k : kept) tracked = k.get().tracked() || tracked;
    return tracked;
  }
  // The lambda once more, on tensors, for derivatives that are to be differentiated themselves.
  Tensor replay(std::span<const Tensor> x) const {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return expand(Term(f(Term(x[I])...)).as_tensor(x[0]), result_shape());
    }(std::make_index_sequence<N>());
  }
  std::vector<Tensor> variables() const {
    std::vector<Tensor> x;
    for (auto& k : kept) x.push_back(k.get().track());
    return x;
  }
  // g times the slopes that are wanted, in the shape of the result.
  template <class Wanted>
  std::array<Tensor, N> times_slopes(const Tensor& g, Wanted&& wanted) const {
    const Tensor* in[N + 1] = {&g};
    for (std::size_t i = 0; i < N; ++i) in[i + 1] = &kept[i].get();
    std::array<Tensor, N> out;
    for (std::size_t i = 0; i < N; ++i)
      if (wanted(int(i))) out[i] = empty(result_shape(), g.dtype());
    run_fused(g.dtype() == float32 ? fused_pull_loop<F, Lanes<float>, N> : fused_pull_loop<F, Lanes<double>, N>, &f,
              result_shape(), in, out);
    return out;
  }

  std::array<Tensor, N> vjp(const Tensor& y_bar, Wants w) const {
    std::array<Tensor, N> x_bar;
    if (on_tape(y_bar)) {
      const std::vector<Tensor> x = variables();
      const Tensor y = replay(x);
      std::vector<Tensor> g = grad({&y, 1}, x, {&y_bar, 1}, {.create_graph = true});
      std::move(g.begin(), g.end(), x_bar.begin());
      return x_bar;
    }
    x_bar = times_slopes(y_bar, [&](int i) { return w.wants(i); });
    for (std::size_t i = 0; i < N; ++i)
      if (x_bar[i].defined()) x_bar[i] = sum_to(x_bar[i], operand_shape(int(i)));
    return x_bar;
  }
  template <int I>
  Tensor jvp(arg<I>, const Tensor& x_dot) const {
    if (on_tape(x_dot)) {
      const std::vector<Tensor> x = variables();
      const Tensor y = replay(x);
      return push_forward({&y, 1}, {&x[I], 1}, {&x_dot, 1}, true)[0];
    }
    return times_slopes(expand(x_dot, result_shape()), [](int i) { return i == I; })[I];
  }
};

}  // namespace detail

/// fuse(f, x...) means f(x...), only faster: f is any lambda of `auto` parameters built from arithmetic, comparisons,
/// select(c, a, b), max, min and the elementwise functions of the vocabulary. Operands broadcast; all float32 or all
/// float64. Captured numbers are constants. Derivatives of derivatives run f on tensors.  (A type, so that it can take
/// the place of the call after the operands.)
template <class F, class... X>
class fuse : public Tensor {
 public:
  fuse(F f, const X&... x, Where where = Where::current()) : Tensor(run(std::move(f), where, x...)) {}

 private:
  static Tensor run(F f, Where where, const X&... x) {
    const Tensor* all[] = {&static_cast<const Tensor&>(x)...};
    (void)detail::fused_shape(all, where);
    return apply(detail::Fused<F, sizeof...(X)>{std::move(f), {}}, Operand(x, where)...);
  }
};
template <class F, class... X>
fuse(F, const X&...) -> fuse<F, X...>;

}  // namespace wengert
