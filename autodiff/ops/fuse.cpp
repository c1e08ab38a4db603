#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/reduce.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/fused.h"
#include "wengert/autodiff/ops/pointwise.h"
#include "wengert/autodiff/tape/gradient.h"

namespace wengert::detail {

bool runs_avx2() {
#ifdef __x86_64__
  return kernels::level() != kernels::Level::baseline;
#else
  return false;
#endif
}

Shape fused_shape(std::string_view name, std::span<const Tensor* const> x, Where where) {
  const Tensor& first = *x[0];
  for (const Tensor* t : x)
    if (!t->defined()) fail<ValueError>(where, "{}: an operand is undefined", name);
  if (!is_float(first.dtype()))
    fail<TypeError>(where, "{}: needs float32 or float64, got {}; convert with to(x, float32)", name, first.dtype());
  Shape shape = first.shape();
  for (const Tensor* t : x.subspan(1))
    if (!(t->shape() == shape) || t->dtype() != first.dtype())
      shape = broadcast(name, Operand(expand(scalar(0, first.dtype()), shape), where), Operand(*t, where));
  return shape;
}

FusedSum fused_axes(std::string_view name, const Shape& shape, const Shape& axes, bool keep_dims, Where where) {
  return {true, axes_of(name, Operand(expand(scalar(0), shape), where), axes), keep_dims};
}

namespace {

Tensor added_up(const Tensor& x, const FusedSum& s) {
  if (!s.sums) return x;
  Shape axes;
  for (int i = 0; i < x.rank(); ++i)
    if (s.axes >> i & 1) axes.push_back(i);
  return axes.empty() ? x : sum(x, {.axes = axes, .keep_dims = s.keep_dims});
}

// Operands (null: absent) laid over the result's shape.
struct Laid {
  const kernels::Scratch<kernels::Operand> operands;
  int count;
  DType dtype = float32;

  Laid(const Shape& shape, std::span<const Tensor* const> in)
      : operands(std::int64_t(in.size())), count(int(in.size())) {
    for (std::size_t i = 0; i < in.size(); ++i) {
      new (operands + i) kernels::Operand;
      if (!in[i]) continue;
      dtype = in[i]->dtype();
      operands[i] = {Access::body(*in[i])->data(), size_of(dtype), in[i]->is_contiguous() && in[i]->shape() == shape,
                     strides_over(*in[i], shape)};
    }
  }
};

// Fresh results, those that are wanted (all, if nothing is said).
void run(kernels::Loop loop, const FusedCall& call, const Shape& shape, std::span<const Tensor* const> in,
         std::span<Tensor> out, std::span<const char> wanted = {}) {
  const Laid x(shape, in);
  void* to[max_fused] = {};
  std::size_t size[max_fused];
  for (std::size_t k = 0; k < out.size(); ++k) {
    size[k] = size_of(x.dtype);
    if (!wanted.empty() && !wanted[k]) continue;
    out[k] = empty(shape, x.dtype);
    to[k] = Access::body(out[k])->data();
  }
  if (shape.numel()) kernels::run_blocks(loop, &call, shape, x.operands, x.count, to, size, int(out.size()));
}

// The sum of one result, which is stored nowhere; the bits are those of sum().
Tensor run_sum(kernels::Loop loop, const FusedCall& call, const Shape& shape, const FusedSum& sum,
               std::span<const Tensor* const> in) {
  const Laid x(shape, in);
  Tensor y = empty(reduced_shape(shape, sum.axes, sum.keep_dims), x.dtype);
  if (!y.numel()) return y;
  void* to = Access::body(y)->data();
  const ReductionPlan p = plan_reduction(shape, true, sum.axes);
  if (p.leading) {
    kernels::sum_columns_made(loop, &call, x.dtype, shape, x.operands, x.count, p.inner, p.outer, to);
    return y;
  }
  Shape turned;
  bool in_order = true;
  for (int i = 0; i < shape.rank(); ++i) {
    turned.push_back(shape[int(p.order[i])]);
    in_order = in_order && p.order[i] == i;
  }
  for (int k = 0; k < x.count && !in_order; ++k) {
    kernels::Operand& o = x.operands[k];
    if (!o.data) continue;
    Shape strides;
    for (const std::int64_t i : p.order) strides.push_back(o.strides[int(i)]);
    o.strides = strides, o.contiguous = false;
  }
  kernels::sum_rows_made(loop, &call, x.dtype, turned, x.operands, x.count, p.outer, p.inner, to);
  return y;
}

// A value or tangent: one result for each of the lambda's, or its sum.
void run(kernels::Loop loop, const FusedRun& r, const FusedCall& call, std::span<const Tensor* const> in,
         std::span<Tensor> out) {
  if (r.sum.sums) out[0] = run_sum(loop, call, r.shape, r.sum, in);
  else run(loop, call, r.shape, in, out);
}

bool is_double(const Tensor& x) { return x.dtype() == float64; }

// The lambda on tensors, before any sum.
std::vector<Tensor> replay(const FusedRun& r, const std::vector<Tensor>& x) {
  std::vector<Tensor> y(static_cast<std::size_t>(r.code.results));
  r.code.call(r.f, x.data(), y.data());
  for (Tensor& t : y) t = expand(t, r.shape);
  return y;
}

bool any_tracked(std::span<const Saved> kept, std::span<const Tensor> more) {
  bool tracked = false;
  for (const Saved& k : kept) tracked = k.get().tracked() || tracked;
  for (const Tensor& t : more) tracked = t.tracked() || tracked;
  return tracked;
}

void pull_by_operators(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> g, Wants w,
                       std::span<Tensor> x_bar, bool create_graph) {
  std::vector<Tensor> x;
  for (std::size_t i = 0; i < kept.size(); ++i) x.push_back(w(int(i)) ? kept[i].get().track() : kept[i].get());
  std::vector<const Tensor*> by;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (w(int(i))) by.push_back(&x[i]);
  std::vector<Tensor> bars(by.size());
  pull_back(replay(r, x), g, by, bars, {.create_graph = create_graph}, thread_state().context.rule->node->where);
  for (std::size_t i = 0, k = 0; i < x.size(); ++i)
    if (w(int(i))) x_bar[i] = std::move(bars[k++]);
}

void push_by_operators(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> x_dot,
                       std::span<Tensor> y_dot, bool create_graph) {
  std::vector<Tensor> x, by, dots;
  for (std::size_t i = 0; i < kept.size(); ++i) x.push_back(x_dot[i].defined() ? kept[i].get().track() : kept[i].get());
  const std::vector<Tensor> y = replay(r, x);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x_dot[i].defined()) by.push_back(x[i]), dots.push_back(x_dot[i]);
  if (!any_tracked({}, y)) return;  // a constant: zero
  const std::vector<Tensor> all = push_forward(y, by, dots, create_graph);
  for (std::size_t k = 0; k < y_dot.size(); ++k) y_dot[k] = added_up(all[k], r.sum);
}

}  // namespace

void fused_by_operators(const FusedRun& r, std::span<const Tensor> x, std::span<Tensor> y, Where where) {
  const At here(where);
  const std::vector<Tensor> all = replay(r, {x.begin(), x.end()});
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = added_up(all[k], r.sum);
}

Tensor fused_mean(const Tensor& sum, const Shape& shape, Where where) {
  const std::int64_t n = sum.numel() ? shape.numel() / sum.numel() : 0;
  return affine(Operand(sum, where), 1.0 / static_cast<double>(n), 0);
}

void fused_value(const FusedRun& r, std::span<const Tensor* const> x, std::span<Tensor> y) {
  const FusedCall call{r.f};
  run(r.code.value[is_double(*x[0])], r, call, x, y);
}

void fused_vjp(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> y_bar, Wants w,
               std::span<Tensor> x_bar) {
  Tensor spread;  // the cotangent of a sum, as that of what was added
  if (r.sum.sums) {
    spread = expand(reshape(y_bar[0], reduced_shape(r.shape, r.sum.axes, true)), r.shape);
    y_bar = {&spread, 1};
  }
  if (any_tracked(kept, y_bar)) return pull_by_operators(r, kept, y_bar, w, x_bar, true);
  const FusedCall call{r.f};
  const Tensor* in[2 * max_fused];
  std::size_t count = 0;
  for (const Tensor& g : y_bar) in[count++] = &g;
  for (const Saved& k : kept) in[count++] = &k.get();
  char wanted[max_fused];
  for (std::size_t i = 0; i < x_bar.size(); ++i) wanted[i] = w(int(i));
  run(r.code.pull[is_double(y_bar[0])], call, r.shape, {in, count}, x_bar, wanted);
  if (call.nonfinite) return pull_by_operators(r, kept, y_bar, w, x_bar, false);
  for (std::size_t i = 0; i < x_bar.size(); ++i)
    if (wanted[i]) x_bar[i] = sum_to(x_bar[i], kept[i]->shape());
}

void fused_jvp(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) {
  if (any_tracked(kept, x_dot)) return push_by_operators(r, kept, x_dot, y_dot, true);
  const FusedCall call{r.f};
  const Tensor* in[2 * max_fused];
  std::size_t count = 0;
  for (const Saved& k : kept) in[count++] = &k.get();
  for (const Tensor& t : x_dot) in[count++] = t.defined() ? &t : nullptr;
  run(r.code.push[is_double(kept[0].get())], r, call, {in, count}, y_dot);
  if (call.nonfinite) push_by_operators(r, kept, x_dot, y_dot, false);
}

}  // namespace wengert::detail
