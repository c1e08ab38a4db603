#pragma once

// Internal: turns a pointwise rule of functions.h into an operator.

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/simd.h"
#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/functions.h"
#include "wengert/autodiff/ops/term.h"
#include "wengert/autodiff/tape/rule.h"

namespace wengert::detail {

template <class Op>
inline constexpr int arity = [] {
  using P = Lanes<float>;
  if constexpr (requires(Op op, P p) { op.value(p); }) return 1;
  else return 2;
}();

/// The compiled loops of one rule: index 0 float32, 1 float64.
struct LoopTable {
  kernels::Loop value[2];
  kernels::Loop pull[2][2];  // [operand][dtype]: y_bar * slope of y_bar, x..., y
  kernels::Loop integer;     // int64; null for rules without it
};

template <class Op, class Arch>
struct Loops {
  static const LoopTable table;
};

// The functions below have L = Lanes<T, Arch> in their names, so that objects built for different instruction sets
// share none of them.
template <class L, std::size_t... I, class F>
void for_lanes(const void* const* in, void* out, std::int64_t n, std::index_sequence<I...>, F&& f) {
  using T = typename L::Scalar;
  T* y = static_cast<T*>(out);
  const T* const x[] = {
      static_cast<const T*>(in[I])...};  // a copy: for the compiler, a store to y could change the pointers in `in`
  std::int64_t i = 0;
  for (; i + L::width <= n; i += L::width) f(L::load(x[I] + i)...).store(y + i);
  if (i < n) f(L::load_some(x[I] + i, n - i)...).store_some(y + i, n - i);
}

template <class Op, class L>
void value_loop(const void* op, const void* const* in, void* const* out, std::int64_t n) {
  const Op o = *static_cast<const Op*>(op);
  for_lanes<L>(in, out[0], n, std::make_index_sequence<arity<Op>>(), [o](auto... x) { return o.value(x...); });
}

// A zero cotangent stays zero, even where the slope is infinite or NaN.
template <class Op, class L, int I>
void pull_loop(const void* op, const void* const* in, void* const* out, std::int64_t n) {
  const Op o = *static_cast<const Op*>(op);
  using S = SlopeOf<Op, arity<Op>, I>;
  auto times = [](L g, L s) { return select(g == L(0), L(0), g * s); };
  if constexpr (arity<Op> == 1)
    for_lanes<L>(in, out[0], n, std::make_index_sequence<2>(),
                 [&](L g, L x) { return times(g, slope_at<0>(o, std::array<L, 1>{x}, x)); });
  else if constexpr (S::from_result)
    for_lanes<L>(in, out[0], n, std::make_index_sequence<4>(),
                 [&](L g, L x0, L x1, L y) { return times(g, slope_at<I>(o, std::array<L, 2>{x0, x1}, y)); });
  else
    for_lanes<L>(in, out[0], n, std::make_index_sequence<3>(),
                 [&](L g, L x0, L x1) { return times(g, slope_at<I>(o, std::array<L, 2>{x0, x1}, L())); });
}

template <class Op, class L>
void integer_loop(const void* op, const void* const* in, void* const* out, std::int64_t n) {
  const Op o = *static_cast<const Op*>(op);
  auto at = [&](int k, std::int64_t i) { return static_cast<const std::int64_t*>(in[k])[i]; };
  auto* y = static_cast<std::int64_t*>(out[0]);
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (arity<Op> == 1) y[i] = o.value(at(0, i));
    else y[i] = o.value(at(0, i), at(1, i));
  }
}

template <class Op, class Arch>
constinit const LoopTable Loops<Op, Arch>::table = [] {
  using F = Lanes<float>;
  using D = Lanes<double>;
  LoopTable t{};
  t.value[0] = value_loop<Op, F>, t.value[1] = value_loop<Op, D>;
  if constexpr (!SlopeOf<Op, arity<Op>, 0>::constant)
    t.pull[0][0] = pull_loop<Op, F, 0>, t.pull[0][1] = pull_loop<Op, D, 0>;
  if constexpr (arity<Op> == 2 && !SlopeOf<Op, arity<Op>, 1>::constant)
    t.pull[1][0] = pull_loop<Op, F, 1>, t.pull[1][1] = pull_loop<Op, D, 1>;
  if constexpr (requires { Op::integers; }) t.integer = integer_loop<Op, F>;
  return t;
}();

// Compiles the loops of a rule for the instruction set of this object. An operator's file is compiled once for each
// instruction set: in the objects other than the baseline this macro turns the function that follows it into an unused
// template, so that only the loops are emitted.
#if !defined(__x86_64__)
#define WENGERT_LOOPS(Op) template struct detail::Loops<rules::Op, kernels::Baseline>;
#elif defined(WENGERT_SIMD_AVX2) || defined(WENGERT_SIMD_AVX512)
#define WENGERT_LOOPS(Op)                                     \
  template struct detail::Loops<rules::Op, kernels::Current>; \
  template <class Never>
#else
#define WENGERT_LOOPS(Op)                                           \
  extern template struct detail::Loops<rules::Op, kernels::Avx2>;   \
  extern template struct detail::Loops<rules::Op, kernels::Avx512>; \
  template struct detail::Loops<rules::Op, kernels::Baseline>;
#endif

template <class Op>
const LoopTable& loops_of() {
  return *kernels::dispatch([]<class Arch>() { return &Loops<Op, Arch>::table; });
}

/// Runs a loop over operands of equal dtype, broadcast to `shape`; the result is row-major. `spare` is an operand that
/// the caller does not need any more: its memory holds the result if no other handle refers to it.
Tensor run_loop(kernels::Loop, const void* op, const Shape& shape, std::initializer_list<const Tensor*> in,
                const Tensor* spare = nullptr);
/// The cotangents of two operands in one pass over large tensors, which are read from memory once; nullopt
/// where that is not possible. The second uses the memory of y_bar if no other handle refers to it.
std::optional<std::array<Tensor, 2>> pull_both(const LoopTable&, const void* op, const Tensor& y_bar, const Tensor& x0,
                                               const Tensor& x1, Wants);
kernels::Loop rarer_value_of(const LoopTable&, DType, std::string_view op, Where);
/// The loop for this dtype. TypeError when there is none.
inline kernels::Loop value_of(const LoopTable& table, DType dtype, std::string_view op, Where where) {
  return dtype == float32 ? table.value[0] : rarer_value_of(table, dtype, op, where);
}
/// A temporary operand whose memory may hold a result of this shape, or null.
const Tensor* spare_of(const Shape&, std::initializer_list<const Operand*>);
/// Clears the handle `spare` if the result y uses its memory.
void take_value(const Tensor& spare, const Tensor& y) noexcept;
/// The common shape of two operands, without a copy where their shapes are equal; otherwise it is written to `room`.
inline const Shape& broadcast(std::string_view op, Operand x, Operand y, Shape& room) {
  if (x->dtype() == y->dtype() && x->shape() == y->shape()) [[likely]]
    return x->shape();
  return room = broadcast(op, x, y);
}
/// TypeError when x is int64 and a or b is not a whole number.
void check_whole(Operand x, double a, double b);
/// The strides that read x as a tensor of a shape that it broadcasts to: 0 along repeated axes.
Shape strides_over(const Tensor& x, const Shape& shape);

/// The tape's rule for a pointwise function of one tensor.
template <class Op>
struct Pointwise1 {
  static constexpr std::string_view name = Op::name;
  using S = SlopeOf<Op, 1, 0>;
  Op op;
  Saved kept{};  // the operand or the result, whichever the slope needs

  static constexpr bool keeps_operands = !S::constant && !S::from_result;
  void keep(const Tensor& x, const Tensor& y) {
    if constexpr (!S::constant) kept = S::from_result ? y : x;
  }
  static double flops(const Tensor& y, const Tensor&) { return static_cast<double>(y.numel()); }
  void describe(Attributes& a) const {
    if constexpr (requires { op.describe(a); }) op.describe(a);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return times_slope(y_bar, nullptr); }
  Tensor vjp(arg<0>, Tensor&& y_bar) const { return times_slope(y_bar, &y_bar); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return times_slope(x_dot, nullptr); }

 private:
  Tensor times_slope(const Tensor& y_bar, const Tensor* spare) const {
    if constexpr (S::constant) {
      const double s = op.slope();
      return s == 1 ? y_bar : s == 0 ? Tensor() : affine(y_bar, s, 0);
    } else {
      const Tensor& k = kept;
      if (y_bar.tracked() || k.tracked())
        return scale(y_bar, slope_at<0>(op, std::array<Term, 1>{Term(k)}, Term(k)).as_tensor(k));
      return run_loop(loops_of<Op>().pull[0][y_bar.dtype() == float64], &op, k.shape(), {&y_bar, &k}, spare);
    }
  }
};

/// The tape's rule for a pointwise function of two tensors, broadcasting.
template <class Op>
struct Pointwise2 {
  static constexpr std::string_view name = Op::name;
  static constexpr bool keeps_operands = !SlopeOf<Op, 2, 0>::constant || !SlopeOf<Op, 2, 1>::constant;
  static constexpr bool keeps_result = SlopeOf<Op, 2, 0>::from_result || SlopeOf<Op, 2, 1>::from_result;
  struct Nothing {};
  Op op;
  Saved x0{}, x1{};
  [[no_unique_address]] std::conditional_t<keeps_result, Saved, Nothing> y{};

  void keep(const Tensor& a, const Tensor& b, const Tensor& result) {
    if constexpr (keeps_operands) x0 = a, x1 = b;
    if constexpr (keeps_result) y = result;
  }
  static double flops(const Tensor& y, const Tensor&, const Tensor&) { return static_cast<double>(y.numel()); }
  // y_bar (or x_dot) times the slope, in the shape of the result.
  template <int I>
  Tensor times_slope(const Tensor& g, const Tensor* spare) const {
    using S = SlopeOf<Op, 2, I>;
    if constexpr (S::constant) {
      const double s = op.slope(arg<I>());
      return s == 1 ? g : affine(g, s, 0);
    } else {
      const Tensor &a = x0, &b = x1, &r = [&]() -> const Tensor & {
        if constexpr (keeps_result) return y;
        else return b;
      }();
      if (g.tracked() || a.tracked() || b.tracked())
        return scale(g, slope_at<I>(op, std::array<Term, 2>{Term(a), Term(b)}, Term(r)).as_tensor(a));
      const kernels::Loop loop = loops_of<Op>().pull[I][g.dtype() == float64];
      if constexpr (S::from_result) return run_loop(loop, &op, result_shape(), {&g, &a, &b, &r}, spare);
      else return run_loop(loop, &op, result_shape(), {&g, &a, &b}, spare);
    }
  }
  template <int I>
  Tensor x_bar(const Tensor& y_bar, const Tensor* spare) const {
    const Shape& shape = operand_shape(I);
    Tensor g = times_slope<I>(y_bar, spare);
    if (!(g.shape() == shape)) return sum_to(g, shape);
    return g;
  }
  std::optional<std::array<Tensor, 2>> vjp(const Tensor& y_bar, Wants w) const
      requires(!SlopeOf<Op, 2, 0>::constant && !SlopeOf<Op, 2, 1>::constant && !keeps_result) {
    if (y_bar.numel() <= kernels::grain_elements) [[likely]]
      return std::nullopt;
    return pull_both(loops_of<Op>(), &op, y_bar, x0, x1, w);
  }
  template <int I>
  Tensor vjp(arg<I>, const Tensor& y_bar) const {
    return x_bar<I>(y_bar, nullptr);
  }
  template <int I>
  Tensor vjp(arg<I>, Tensor&& y_bar) const {
    return x_bar<I>(y_bar, &y_bar);
  }
  template <int I>
  Tensor jvp(arg<I>, const Tensor& x_dot) const {
    return expand(times_slope<I>(x_dot, nullptr), result_shape());
  }
};

/// Runs a pointwise rule on operands that broadcast to `shape`. A node is made only where a derivative is recorded.
template <class Rule, class... X>
Tensor run_pointwise(const auto& op, const Shape& shape, X&... x) {
  const Operand& first = std::get<0>(std::tie(x...));
  const DType dtype = first->dtype();
  const kernels::Loop loop = value_of(loops_of<std::remove_cvref_t<decltype(op)>>(), dtype, Rule::name, first.where());
  const bool record = (x->tracked() || ...) && recording() && is_float(dtype);
  // Observers may read operands afterwards.
  const bool reuse = (x.dies() || ...) && !(Rule::keeps_operands && record) && !watched();
  const Tensor* spare = reuse ? spare_of(shape, {&x...}) : nullptr;
  const auto run = [&op, &shape, loop, spare, &x...] { return run_loop(loop, &op, shape, {&x.tensor()...}, spare); };
  Tensor y = [&] {
    if (watched()) [[unlikely]] {
      const auto same = run;  // as in apply()
      const Rule rule{op};
      return run_watched(rule, same, first.where(), x.tensor()...);
    }
    return run();
  }();
  if (record) {
    using Node = FixedNode<Rule, sizeof...(X), 1>;
    auto* node = new Node(place_of(first.where()), std::array{&x.tensor()...}, op);
    node->rule.keep(x.tensor()..., y);
    node->attach(y);
  }
  if (spare) take_value(*spare, y);
  return y;
}

template <class Op>
Tensor pointwise(Operand& x, Op op = {}) {
  return run_pointwise<Pointwise1<Op>>(op, x->shape(), x);
}

template <class Op>
Tensor pointwise(Operand& x0, Operand& x1, Op op = {}) {
  Shape room;
  return run_pointwise<Pointwise2<Op>>(op, broadcast(Op::name, x0, x1, room), x0, x1);
}

}  // namespace wengert::detail
