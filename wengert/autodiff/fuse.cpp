#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/fused.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/pointwise.h"

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
    if (!t->defined()) fail<ValueError>(where, "{}: an operand has no value", name);
  if (!is_float(first.dtype()))
    fail<TypeError>(where, "{}: needs float32 or float64, got {}; convert with to()", name, first.dtype());
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
  Shape axes;
  for (int i = 0; i < x.rank(); ++i)
    if (s.axes >> i & 1) axes.push_back(i);
  return axes.empty() ? x : sum(x, axes, s.keep_dims);
}

// Operands (null: absent) laid over the shape, and fresh results where there is room for one.
void run(kernels::Loop loop, const FusedCall& call, const Shape& shape, std::span<const Tensor* const> in,
         std::span<Tensor> out, std::span<const char> wanted = {}) {
  kernels::Operand operands[2 * max_fused];
  void* to[max_fused] = {};
  std::size_t size[max_fused];
  DType dtype = float32;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!in[i]) continue;
    dtype = in[i]->dtype();
    operands[i] = {Access::body(*in[i])->data, size_of(dtype), in[i]->is_contiguous() && in[i]->shape() == shape,
                   strides_over(*in[i], shape)};
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    size[k] = size_of(dtype);
    if (!wanted.empty() && !wanted[k]) continue;
    out[k] = empty(shape, dtype);
    to[k] = Access::body(out[k])->data;
  }
  if (shape.numel()) kernels::run_blocks(loop, &call, shape, operands, int(in.size()), to, size, int(out.size()));
}

bool is_double(const Tensor& x) { return x.dtype() == float64; }

// The lambda on tensors, before any sum.
std::vector<Tensor> replay(const FusedRun& r, const std::vector<Tensor>& x) {
  std::vector<Tensor> y(static_cast<std::size_t>(r.code.results));
  r.code.call(r.f, x.data(), y.data());
  for (Tensor& t : y) t = expand(t, r.shape);
  return y;
}

// Cotangents of sums, as those of what was added.
std::vector<Tensor> spread(const FusedRun& r, std::span<const Tensor> y_bar) {
  std::vector<Tensor> g(y_bar.begin(), y_bar.end());
  if (r.sum.sums)
    for (Tensor& t : g) t = expand(reshape(t, reduced_shape(r.shape, r.sum.axes, true)), r.shape);
  return g;
}

}  // namespace

void fused_by_operators(const FusedRun& r, std::span<const Tensor> x, std::span<Tensor> y, Where where) {
  const At here(where);
  const std::vector<Tensor> all = replay(r, {x.begin(), x.end()});
  for (std::size_t k = 0; k < y.size(); ++k) y[k] = r.sum.sums ? added_up(all[k], r.sum) : all[k];
}

void fused_value(const FusedRun& r, std::span<const Tensor* const> x, std::span<Tensor> y) {
  const FusedCall call{r.f};
  run(r.code.value[is_double(*x[0])], call, r.shape, x, y);
  if (r.sum.sums)
    for (Tensor& t : y) t = added_up(t, r.sum);
}

void fused_vjp(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> y_bar, Wants w,
               std::span<Tensor> x_bar) {
  const std::vector<Tensor> g = spread(r, y_bar);
  bool tracked = false;
  for (auto& k : kept) tracked = k.get().tracked() || tracked;
  for (auto& t : g) tracked = t.tracked() || tracked;
  const FusedCall call{r.f};
  if (!tracked) {
    std::vector<const Tensor*> in;
    for (auto& t : g) in.push_back(&t);
    for (auto& k : kept) in.push_back(&k.get());
    std::vector<char> wanted;
    for (std::size_t i = 0; i < x_bar.size(); ++i) wanted.push_back(w.wants(int(i)));
    run(r.code.pull[is_double(g[0])], call, r.shape, in, x_bar, wanted);
    for (std::size_t i = 0; i < x_bar.size(); ++i)
      if (wanted[i]) x_bar[i] = sum_to(x_bar[i], kept[i]->shape());
    if (!call.odd) return;
  }
  std::vector<Tensor> x;
  for (std::size_t i = 0; i < kept.size(); ++i) x.push_back(w.wants(int(i)) ? kept[i].get().track() : kept[i].get());
  const std::vector<Tensor> y = replay(r, x);
  std::vector<const Tensor*> by;
  std::vector<Tensor> bars;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (w.wants(int(i))) by.push_back(&x[i]);
  bars.resize(by.size());
  pull_back(y, g, by, bars, {.create_graph = tracked}, w.node().where);
  for (std::size_t i = 0, k = 0; i < x.size(); ++i)
    if (w.wants(int(i))) x_bar[i] = std::move(bars[k++]);
}

void fused_jvp(const FusedRun& r, std::span<const Saved> kept, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) {
  bool tracked = false;
  for (auto& k : kept) tracked = k.get().tracked() || tracked;
  for (auto& t : x_dot) tracked = t.tracked() || tracked;
  const FusedCall call{r.f};
  if (!tracked) {
    std::vector<const Tensor*> in;
    for (auto& k : kept) in.push_back(&k.get());
    for (auto& t : x_dot) in.push_back(t.defined() ? &t : nullptr);
    run(r.code.push[is_double(kept[0].get())], call, r.shape, in, y_dot);
  }
  if (tracked || call.odd) {
    std::vector<Tensor> x, by, dots;
    for (std::size_t i = 0; i < kept.size(); ++i)
      x.push_back(x_dot[i].defined() ? kept[i].get().track() : kept[i].get());
    const std::vector<Tensor> y = replay(r, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x_dot[i].defined()) by.push_back(x[i]), dots.push_back(x_dot[i]);
    std::vector<Tensor> all = push_forward(y, by, dots, tracked);
    std::move(all.begin(), all.end(), y_dot.begin());
  }
  if (r.sum.sums)
    for (Tensor& t : y_dot) t = added_up(t, r.sum);
}

}  // namespace wengert::detail
