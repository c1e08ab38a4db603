#pragma once

// Opt-in: your own pointwise function as one SIMD loop forward and one backward, without writing a derivative.
//
//   Tensor y = fuse([b](auto x, auto w) { return tanh(x * w) / b + maximum(x, 0); }, x, w);
//   auto [s, c] = fuse([](auto x) { return std::tuple(sin(x), cos(x)); }, x);
//   Tensor loss = fuse_mean([](auto p, auto t) { return square(p - t); }, p, t);  // stores no tensor of the size of p
// fuse(f, x...) means f(x...), only faster: values and derivatives agree to rounding, at kinks and poles as well.
// (Where the fused loop finds an infinite or NaN derivative, it is computed again by operators.)
//
// The lambda is any callable with `auto` parameters, one for each operand, that returns a number made of them, or a
// std::tuple or std::array of several. It may use arithmetic with C++ numbers (captured ones are constants),
// comparisons with && || !, select(condition, a, b), and every elementwise function of ops.h. It is instantiated
// for registers, for numbers with derivatives and for tensors, and called more than once, so it must not depend on
// anything that changes.
//
// Loops are compiled here, in the user's file. A file compiled for plain x86-64 gets them for AVX2 and FMA and runs
// them where the processor has those; elsewhere, and in builds without optimization, the operators run one by one. A
// file compiled for more (-march=native, -march=x86-64-v4) gets loops for just that. It includes xsimd: a file that
// uses xsimd itself and is compiled for less than AVX2 includes fuse.h last, and then gets operators.

#define WENGERT_WANT_AVX2
#include "wengert/autodiff/base/simd.h"
#undef WENGERT_WANT_AVX2

#include "wengert/autodiff/ops/functions.h"
#include "wengert/autodiff/ops/fused.h"
#include "wengert/autodiff/ops/term.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <array>
#include <tuple>

namespace wengert {

namespace detail {

WENGERT_BEGIN_LANES

/// A derivative in one direction. Zero and one are tracked symbolically; in straight-line lambdas the compiler removes
/// the multiplications.
template <class L>
struct Slope {
  enum Kind : char { zero, one, some };
  L v;  // holds the value of zero and one, too
  Kind kind = some;

  Slope() = default;
  Slope(const L& value, Kind k = some) : v(value), kind(k) {}
  // Copied member by member: GCC copies a trivial class through memory and loses the constant values.
  Slope(const Slope& other) : v(other.v), kind(other.kind) {}
  Slope& operator=(const Slope& other) {
    v = other.v, kind = other.kind;
    return *this;
  }
  static Slope constant(Kind k) { return {L(k == one ? 1 : 0), k}; }
  friend Slope operator+(const Slope& a, const Slope& b) {
    if (a.kind == zero) return b;
    if (b.kind == zero) return a;
    return {a.v + b.v};
  }
  friend Slope operator*(const Slope& a, const L& s) {
    if (a.kind == zero) return a;
    if (a.kind == one) return {s};
    return {a.v * s};
  }
};

/// A number and its derivatives in K directions: the argument of a lambda when its derivatives are computed.
template <class L, int K>
struct Dual {
  using Scalar = typename L::Scalar;
  using D = Slope<L>;

  struct Mask {
    typename L::Mask m;

    friend Mask operator&&(const Mask& a, const Mask& b) { return {a.m && b.m}; }
    friend Mask operator||(const Mask& a, const Mask& b) { return {a.m || b.m}; }
    friend Mask operator!(const Mask& a) { return {!a.m}; }
  };

  L v;
  std::array<D, K> d;

  Dual() = default;
  template <class N> requires std::is_arithmetic_v<N> Dual(N n) : Dual(L(n)) {}
  explicit Dual(const L& value) : Dual(value, [](std::size_t) { return D::constant(D::zero); }) {}
  /// The variable of direction k.
  Dual(const L& value, int k)
      : Dual(value, [k](std::size_t j) { return D::constant(int(j) == k ? D::one : D::zero); }) {}
  /// y = value, dy[k] = slope(k). Unrolled over k, since a loop would keep the derivatives in memory.
  template <class F>
  Dual(const L& value, F&& slope) : Dual(value, slope, std::make_index_sequence<K>()) {}

  template <class Rule, class F>
  static Dual unary(const Dual& x, const Rule& rule, F&&) {
    const L y = rule.value(x.v), s = slope_at<0>(rule, std::array<L, 1>{x.v}, y);
    return Dual(y, [&](std::size_t k) { return x.d[k] * s; });
  }
  template <class Rule, class F>
  static Dual binary(const Dual& a, const Dual& b, const Rule& rule, F&&) {
    const L y = rule.value(a.v, b.v);
    const std::array<L, 2> x{a.v, b.v};
    const L s = slope_at<0>(rule, x, y), t = slope_at<1>(rule, x, y);
    return Dual(y, [&](std::size_t k) { return a.d[k] * s + b.d[k] * t; });
  }

  friend Dual operator+(const Dual& a, const Dual& b) {
    return Dual(a.v + b.v, [&](std::size_t k) { return a.d[k] + b.d[k]; });
  }
  friend Dual operator-(const Dual& a, const Dual& b) { return a + -b; }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return Dual(a.v * b.v, [&](std::size_t k) { return a.d[k] * b.v + b.d[k] * a.v; });
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const L inverse = L(1) / b.v, y = a.v / b.v, t = -y * inverse;
    return Dual(y, [&](std::size_t k) { return a.d[k] * inverse + b.d[k] * t; });
  }
  friend Dual operator-(const Dual& a) {
    return Dual(-a.v, [&](std::size_t k) { return a.d[k] * L(-1); });
  }
  // Numbers have no derivative to multiply by.
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator+(const Dual& a, N n) {
    return Dual(a.v + L(n), [&](std::size_t k) { return a.d[k]; });
  }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator+(N n, const Dual& a) { return a + n; }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator-(const Dual& a, N n) {
    return Dual(a.v - L(n), [&](std::size_t k) { return a.d[k]; });
  }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator-(N n, const Dual& a) { return -a + n; }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator*(const Dual& a, N n) {
    const L c(n);
    return Dual(a.v * c, [&](std::size_t k) { return a.d[k] * c; });
  }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator*(N n, const Dual& a) { return a * n; }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator/(const Dual& a, N n) {
    return a * (1 / static_cast<double>(n));
  }
  template <class N> requires std::is_arithmetic_v<N> friend Dual operator/(N n, const Dual& a) {
    const L inverse = L(1) / a.v, y = L(n) * inverse, s = -y * inverse;
    return Dual(y, [&](std::size_t k) { return a.d[k] * s; });
  }
  friend Mask operator<(const Dual& a, const Dual& b) { return {a.v < b.v}; }
  friend Mask operator<=(const Dual& a, const Dual& b) { return {a.v <= b.v}; }
  friend Mask operator>(const Dual& a, const Dual& b) { return {a.v > b.v}; }
  friend Mask operator>=(const Dual& a, const Dual& b) { return {a.v >= b.v}; }
  friend Mask operator==(const Dual& a, const Dual& b) { return {a.v == b.v}; }
  friend Mask operator!=(const Dual& a, const Dual& b) { return {a.v != b.v}; }
  friend Dual select(const Mask& c, const Dual& a, const Dual& b) {
    return Dual(select(c.m, a.v, b.v), [&](std::size_t k) -> D {
      if (a.d[k].kind == D::zero && b.d[k].kind == D::zero) return a.d[k];
      return {select(c.m, a.d[k].v, b.d[k].v)};
    });
  }

 private:
  template <class F, std::size_t... I>
  Dual(const L& value, F& slope, std::index_sequence<I...>) : v(value), d{slope(I)...} {}
};

WENGERT_END_LANES

// ---------------------------------------------------------------- what a lambda returns

// A function that has no register in its name stands outside the region: operators call some of these, on any
// processor, and of all files that have it the linker keeps any one.

template <class Y>
inline constexpr bool is_tuple = requires { std::tuple_size<std::remove_cvref_t<Y>>::value; };

template <class Y, class T>
inline constexpr bool is_result =
    std::same_as<std::remove_cvref_t<Y>, T> ||
    (std::is_arithmetic_v<std::remove_cvref_t<Y>> && !std::same_as<std::remove_cvref_t<Y>, bool>);
template <class Y, class T>
inline constexpr bool are_results = is_result<Y, T>;
template <class Y, class T> requires is_tuple<Y>
inline constexpr bool are_results<Y, T> = []<std::size_t... I>(std::index_sequence<I...>) {
  return (is_result<std::tuple_element_t<I, std::remove_cvref_t<Y>>, T> && ...);
}(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Y>>>());

template <class F, class T, class I> struct Returned;
template <class F, class T, std::size_t... I>
struct Returned<F, T, std::index_sequence<I...>> {
  static constexpr bool calls = std::is_invocable_v<const F&, decltype((void)I, std::declval<T>())...>;
  static constexpr auto type() {
    if constexpr (calls)
      return std::type_identity<std::invoke_result_t<const F&, decltype((void)I, std::declval<T>())...>>();
    else return std::type_identity<T>();
  }
};
/// What f returns for N numbers of type T.
template <class F, class T, std::size_t N>
using returned = typename decltype(Returned<F, T, std::make_index_sequence<N>>::type())::type;

/// How many results; 0 for a single number.
template <class F, std::size_t N>
inline constexpr std::size_t result_count = [] {
  using Y = std::remove_cvref_t<returned<F, Term, N>>;
  if constexpr (is_tuple<Y>) return std::tuple_size_v<Y>;
  else return 0;
}();

template <class T, class Y>
auto results_of(const Y& y) {
  if constexpr (is_tuple<Y>)
    return std::apply([](const auto&... v) { return std::array<T, sizeof...(v)>{T(v)...}; }, y);
  else return std::array<T, 1>{T(y)};
}

template <class P, std::size_t count>
std::array<P, count> pointers(auto* const* from) {
  std::array<P, count> p;
  for (std::size_t k = 0; k < count; ++k) p[k] = static_cast<P>(from[k]);
  return p;
}

// ---------------------------------------------------------------- loops

WENGERT_BEGIN_LANES

// Detects non-finite derivatives with one comparison for each call: zero times the sum of all outputs is zero unless
// one of them is infinite or NaN, or the sum overflows. In either case operators compute the result again.
template <class L>
void note_nonfinite(const void* call, const L& zero) {
  if (!all(zero == L(0))) static_cast<const FusedCall*>(call)->nonfinite.store(true, std::memory_order_relaxed);
}

template <class L>
Dual<L, 1> load_dual(const typename L::Scalar* x, const typename L::Scalar* x_dot) {
  const L dot = x_dot ? L::load(x_dot) : L(0);
  return Dual<L, 1>(L::load(x), [&](std::size_t) { return Slope<L>{dot}; });
}

// The cotangent of operand j: y_bar[k] dy[k] / dx[j], summed.
template <std::size_t j, class D, std::size_t K, class L, class T>
void store_cotangent(const std::array<D, K>& y, const std::array<L, K>& y_bar, T* x_bar, L& written) {
  if (!x_bar) return;
  const L sum = [&]<std::size_t... k>(std::index_sequence<k...>) {
    return ((y[k].d[j] * y_bar[k]) + ...).v;
  }(std::make_index_sequence<K>());
  written = written + sum;
  sum.store(x_bar);
}

// The loops of a lambda of sizeof...(I) arguments; n is a multiple of the width. Clang force-inlines only the direct
// calls of a function with `flatten`, so f is called directly in each loop.
template <class F, class L, class I> struct FusedLoops;
template <class F, class L, std::size_t... I>
struct FusedLoops<F, L, std::index_sequence<I...>> {
  static constexpr std::size_t N = sizeof...(I), K = result_count<F, N> ? result_count<F, N> : 1;
  using T = typename L::Scalar;

  static const F& lambda(const void* call) { return *static_cast<const F*>(static_cast<const FusedCall*>(call)->f); }

  // in: x...; out: y...
  [[gnu::flatten]] WENGERT_LANE static void value(const void* call, const void* const* in, void* const* out,
                                                  std::int64_t n) {
    const F& f = lambda(call);
    const auto x = pointers<const T*, N>(in);
    const auto y = pointers<T*, K>(out);
    for (std::int64_t i = 0; i < n; i += L::width) {
      const auto v = results_of<L>(f(L::load(x[I] + i)...));
      for (std::size_t k = 0; k < K; ++k) v[k].store(y[k] + i);
    }
  }
  // in: y_bar..., x...; out: x_bar..., null where a cotangent is not wanted.
  [[gnu::flatten]] WENGERT_LANE static void pull(const void* call, const void* const* in, void* const* out,
                                                 std::int64_t n) {
    using D = Dual<L, int(N)>;
    const F& f = lambda(call);
    const auto y_bar = pointers<const T*, K>(in);
    const auto x = pointers<const T*, N>(in + K);
    const auto x_bar = pointers<T*, N>(out);
    L zero(0);
    for (std::int64_t i = 0; i < n; i += L::width) {
      const auto y = results_of<D>(f(D(L::load(x[I] + i), int(I))...));
      std::array<L, K> g;
      for (std::size_t k = 0; k < K; ++k) g[k] = L::load(y_bar[k] + i);
      L written(0);
      (store_cotangent<I>(y, g, x_bar[I] ? x_bar[I] + i : nullptr, written), ...);
      zero = zero + written * L(0);
    }
    note_nonfinite(call, zero);
  }
  // in: x..., x_dot..., null where a tangent is zero; out: y_dot...
  [[gnu::flatten]] WENGERT_LANE static void push(const void* call, const void* const* in, void* const* out,
                                                 std::int64_t n) {
    const F& f = lambda(call);
    const auto x = pointers<const T*, N>(in), x_dot = pointers<const T*, N>(in + N);
    const auto y_dot = pointers<T*, K>(out);
    L zero(0);
    for (std::int64_t i = 0; i < n; i += L::width) {
      const auto y = results_of<Dual<L, 1>>(f(load_dual<L>(x[I] + i, x_dot[I] ? x_dot[I] + i : nullptr)...));
      L written(0);
      for (std::size_t k = 0; k < K; ++k) {
        written = written + y[k].d[0].v;
        y[k].d[0].v.store(y_dot[k] + i);
      }
      zero = zero + written * L(0);
    }
    note_nonfinite(call, zero);
  }
};

WENGERT_END_LANES

// Turns a loop over whole registers into one over any n: the rest at the end is copied to buffers of one register, and
// the loop runs on those.
template <kernels::Loop loop, class T, std::int64_t width, std::size_t ins, std::size_t outs>
void to_the_end(const void* call, const void* const* in, void* const* out, std::int64_t n) {
  const std::int64_t rest = n % width, whole = n - rest;
  if (whole) loop(call, in, out, whole);
  if (!rest) return;
  T x[ins][width], y[outs][width];
  const void* from[ins];
  void* to[outs];
  for (std::size_t k = 0; k < ins; ++k) {
    from[k] = in[k] ? x[k] : nullptr;
    for (std::int64_t i = 0; in[k] && i < width; ++i)
      x[k][i] = static_cast<const T*>(in[k])[whole + std::min(i, rest - 1)];
  }
  for (std::size_t k = 0; k < outs; ++k) to[k] = out[k] ? y[k] : nullptr;
  loop(call, from, to, width);
  for (std::size_t k = 0; k < outs; ++k)
    for (std::int64_t i = 0; out[k] && i < rest; ++i) static_cast<T*>(out[k])[whole + i] = y[k][i];
}

// ---------------------------------------------------------------- the rule

template <class F, std::size_t N>
void call_on_tensors(const void* op, const Tensor* x, Tensor* y) {
  const F& f = *static_cast<const F*>(op);
  const auto results = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return results_of<Term>(f(Term(x[I])...));
  }(std::make_index_sequence<N>());
  for (std::size_t k = 0; k < results.size(); ++k) y[k] = results[k].as_tensor(x[0]);
}

template <class F, std::size_t N>
inline constexpr FusedCode fused_code = [] {
  constexpr std::size_t K = result_count<F, N> ? result_count<F, N> : 1;
  FusedCode code{int(N), int(K), {}, {}, {}, call_on_tensors<F, N>};
#if defined(WENGERT_AVX2_REGION) || defined(__AVX2__) || !defined(__x86_64__)
  const auto compiled = [&]<class T>(int dtype, T) {
    using L = FusedLoops<F, Lanes<T>, std::make_index_sequence<N>>;
    constexpr std::int64_t width = Lanes<T>::width;
    code.value[dtype] = to_the_end<L::value, T, width, N, K>;
    code.pull[dtype] = to_the_end<L::pull, T, width, K + N, N>;
    code.push[dtype] = to_the_end<L::push, T, width, 2 * N, K>;
  };
  compiled(0, float());
  compiled(1, double());
#endif
  return code;
}();

/// True if this file was compiled with loops that this processor can run.
inline bool runs_loops() {
#if defined(WENGERT_AVX2_REGION)
  static const bool can = runs_avx2();
  return can;
#elif defined(__AVX2__) || !defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

/// F written for numbers, as an operator on N tensors.
template <class F, std::size_t N, bool sums>
struct Fused {
  static constexpr std::string_view name = sums ? "fuse_sum" : "fuse";
  static constexpr const FusedCode& code = fused_code<F, N>;
  static constexpr std::size_t K = result_count<F, N> ? result_count<F, N> : 1;
  F f;
  Shape shape;
  FusedSum sum;
  std::array<Saved, N> x;

  void forget() { x = {}; }
  FusedRun run() const { return {code, &f, shape, sum}; }
  static auto result(std::array<Tensor, K>& y) {
    if constexpr (K == 1) return std::move(y[0]);
    else return std::move(y);
  }

  auto forward(std::same_as<Tensor> auto const&... operands) {
    const Tensor* in[] = {&operands...};
    for (std::size_t i = 0; i < N; ++i) x[i] = *in[i];
    std::array<Tensor, K> y;
    fused_value(run(), in, y);
    return result(y);
  }
  std::array<Tensor, N> vjp(const Tensor& y_bar, Wants w) const requires(K == 1) { return pull({&y_bar, 1}, w); }
  std::array<Tensor, N> vjp(const std::array<Tensor, K>& y_bar, Wants w) const requires(K > 1) {
    return pull(y_bar, w);
  }
  std::array<Tensor, N> pull(std::span<const Tensor> y_bar, Wants w) const {
    std::array<Tensor, N> x_bar;
    fused_vjp(run(), x, y_bar, w, x_bar);
    return x_bar;
  }
  auto jvp(std::span<const Tensor> x_dot) const {
    std::array<Tensor, K> y_dot;
    fused_jvp(run(), x, x_dot, y_dot);
    return result(y_dot);
  }
};

template <class F, class... X>
constexpr bool check_lambda() {
  constexpr std::size_t N = sizeof...(X);
  static_assert(N > 0, "wengert: fuse: needs at least one tensor after the lambda");
  static_assert(N <= max_fused, "wengert: fuse: takes up to 32 tensors");
  constexpr bool tensors = (std::derived_from<X, Tensor> && ...);
  static_assert(tensors,
                "wengert: fuse: what follows the lambda are tensors; numbers are captured: [b](auto x) { ... }");
  if constexpr (N > 0 && tensors) {
    constexpr bool calls = Returned<F, Term, std::make_index_sequence<N>>::calls;
    static_assert(calls,
                  "wengert: fuse: the lambda takes one number by value (auto x) for each tensor, and is not mutable");
    if constexpr (calls) {
      constexpr bool returns = are_results<returned<F, Term, N>, Term>;
      static_assert(!returns || result_count<F, N> <= max_fused, "wengert: fuse: gives up to 32 results");
      static_assert(
          returns,
          "wengert: fuse: the lambda returns a number made of its arguments, or a std::tuple or std::array of "
          "them; in place of a comparison return select(condition, 1, 0)");
      return returns;
    }
  }
  return false;
}

template <class F, bool ok, class... X>
struct FusedResultOf {
  using type = Tensor;
};
template <class F, class... X> requires(result_count<F, sizeof...(X)> > 0) struct FusedResultOf<F, true, X...> {
  using type = std::array<Tensor, result_count<F, sizeof...(X)>>;
};
/// Tensor, or an array of them.
template <class F, class... X>
using FusedResult = typename FusedResultOf<F, check_lambda<F, X...>(), X...>::type;

template <bool sums, class F, class... X>
FusedResult<F, X...> run_fused(F f, const Reduce& over, Where where, const X&... x) {
  using R = FusedResult<F, X...>;
  if constexpr (check_lambda<F, X...>()) {
    constexpr std::size_t N = sizeof...(X);
    using Rule = Fused<F, N, sums>;
    const Tensor* all[] = {&static_cast<const Tensor&>(x)...};
    const Shape shape = fused_shape(Rule::name, all, where);
    FusedSum sum;
    if constexpr (sums) sum = fused_axes(Rule::name, shape, over.axes, over.keep_dims, where);
    auto wrapped = [](auto&& y) -> R {
      if constexpr (std::same_as<R, std::array<Tensor, 1>> && std::same_as<std::remove_cvref_t<decltype(y)>, Tensor>)
        return {std::move(y)};
      else return std::move(y);
    };
    if (!runs_loops()) {
      std::array<Tensor, Rule::K> y;
      const Tensor in[] = {x...};
      fused_by_operators({Rule::code, &f, shape, sum}, in, y, where);
      return wrapped(Rule::result(y));
    }
    return wrapped(apply(Rule{std::move(f), shape, sum, {}}, Operand(x, where)...));
  } else {
    return R();
  }
}

template <class F, class... X>
Tensor run_fused_sum(F f, const Reduce& over, Where where, const X&... x) {
  constexpr bool one = std::same_as<FusedResult<F, X...>, Tensor>;
  static_assert(one, "wengert: fuse_sum: the lambda returns one number");
  if constexpr (one) return run_fused<true>(std::move(f), over, where, x...);
  else return Tensor();
}
template <class F, class... X>
Tensor run_fused_mean(F f, const Reduce& over, Where where, const X&... x) {
  const Tensor* all[] = {&static_cast<const Tensor&>(x)...};
  return fused_mean(run_fused_sum(std::move(f), over, where, x...), fused_shape("fuse_mean", all, where), where);
}

}  // namespace detail

/// f(x...), broadcasting; all x float32 or all float64, up to 32. The result is a Tensor, or for a lambda that returns
/// a tuple or array of K numbers a std::array of K tensors: auto [y, z] = fuse(f, x). ShapeError and TypeError name the
/// line of the call.  (fuse is a class so that the source location can follow the operands.)
template <class F, class... X>
class fuse : public detail::FusedResult<F, X...> {
 public:
  fuse(F f, const X&... x, Where where = Where::current())
      : detail::FusedResult<F, X...>(detail::run_fused<false>(std::move(f), Reduce{}, where, x...)) {}
};
template <class F, class... X>
fuse(F, const X&...) -> fuse<F, X...>;

/// The sum of f(x...) in one pass that stores nothing but the sum; its derivative is one loop, too. The sum goes over
/// all axes, or over those of a Reduce: fuse_sum(Reduce{{1}}, f, x...). Its bits are those of sum(fuse(f, x...)), for
/// any number of threads.
template <class F, class... X>
class fuse_sum : public Tensor {
 public:
  fuse_sum(F f, const X&... x, Where where = Where::current())
      : Tensor(detail::run_fused_sum(std::move(f), Reduce{}, where, x...)) {}
  fuse_sum(const Reduce& over, F f, const X&... x, Where where = Where::current())
      : Tensor(detail::run_fused_sum(std::move(f), over, where, x...)) {}
};
template <class F, class... X>
fuse_sum(F, const X&...) -> fuse_sum<F, X...>;
template <class F, class... X>
fuse_sum(Reduce, F, const X&...) -> fuse_sum<F, X...>;

/// The mean of f(x...): fuse_sum divided by the number of elements that are summed.
template <class F, class... X>
class fuse_mean : public Tensor {
 public:
  fuse_mean(F f, const X&... x, Where where = Where::current())
      : Tensor(detail::run_fused_mean(std::move(f), Reduce{}, where, x...)) {}
  fuse_mean(const Reduce& over, F f, const X&... x, Where where = Where::current())
      : Tensor(detail::run_fused_mean(std::move(f), over, where, x...)) {}
};
template <class F, class... X>
fuse_mean(F, const X&...) -> fuse_mean<F, X...>;
template <class F, class... X>
fuse_mean(Reduce, F, const X&...) -> fuse_mean<F, X...>;

}  // namespace wengert

template <class F, class... X> requires(wengert::detail::result_count<F, sizeof...(X)> > 0)
struct std::tuple_size<wengert::fuse<F, X...>>
    : std::integral_constant<std::size_t, wengert::detail::result_count<F, sizeof...(X)>> {};
template <std::size_t I, class F, class... X> requires(wengert::detail::result_count<F, sizeof...(X)> > 0)
struct std::tuple_element<I, wengert::fuse<F, X...>> {
  using type = wengert::Tensor;
};
