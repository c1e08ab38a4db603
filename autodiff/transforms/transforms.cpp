#include "wengert/autodiff/transforms/transforms.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <new>

namespace wengert::detail {
Differentiation::Differentiation(TransformOptions options)
    : create_graph_(options.create_graph.value_or(thread_state().context.transforms > 0 && recording())),
      connect_leaves_(options.create_graph.value_or(false)),
      scope_(std::in_place) {
  Context& context = thread_state().context;
  context.recording = true;
  ++context.transforms;
}

void Differentiation::finish() { scope_.reset(); }

// In the ordinary case the variable is a leaf of its own, so that the leaves of a shared model stay untouched.
void Differentiation::make_variable(Tensor& to, const Tensor& from, bool trained, Where where) const {
  const bool connected = create_graph_ && (connect_leaves_ || !trained);
  to = connected ? from.track(where) : from.detach().track(where);
}

PullbackCall::PullbackCall(std::atomic<bool>& busy, Where where) : busy_(busy) {
  if (busy.exchange(true, std::memory_order_acquire))
    fail<GraphError>(where,
                     "vjp: this pullback is being called already, on this thread or another; let the calls take turns, "
                     "or call vjp once for each thread");
}

Variables::~Variables() {
  std::destroy_n(cotangents_, size_);
  if (!room_) return;
  deallocate(at_, room_ * sizeof(Tensor*));
  deallocate(cotangents_, room_ * sizeof(Tensor));
}

void Variables::grow() {
  const std::size_t room = std::max<std::size_t>(16, 2 * room_);
  auto** at = static_cast<Tensor**>(allocate(room * sizeof(Tensor*)));
  auto* cotangents = static_cast<Tensor*>(allocate(room * sizeof(Tensor)));
  std::copy_n(at_, size_, at);
  std::uninitialized_move_n(cotangents_, size_, cotangents);
  std::destroy_n(cotangents_, size_);
  if (room_) deallocate(at_, room_ * sizeof(Tensor*)), deallocate(cotangents_, room_ * sizeof(Tensor));
  at_ = at, cotangents_ = cotangents, room_ = room;
}

void Variables::add(Tensor& variable) {
  if (size_ == room_) grow();
  at_[size_] = &variable;
  new (cotangents_ + size_) Tensor();
  ++size_;
}

void Variables::pull(std::span<const Tensor> ys, std::span<const Tensor> y_bars, BackwardOptions options, Where where) {
  for (Tensor& x_bar : cotangents()) x_bar = Tensor();
  pull_back(ys, y_bars, std::span<const Tensor* const>(at_, size_), cotangents(), options, where);
}

std::vector<Tensor> values_of(const Variables& variables) {
  std::vector<Tensor> all;
  for (const Tensor* x : variables.all()) all.push_back(*x);
  return all;
}

Tensor given(const Tensor& y, bool create_graph) { return create_graph ? y : y.detach(); }

void check_loss(const char* transform, const Tensor& y, Where where) {
  if (!is_float(y.dtype()))
    fail<TypeError>(where, "{}: f returned {}, and only float32 and float64 have derivatives", transform, y.dtype());
  if (y.numel() != 1)
    fail<ShapeError>(where,
                     "{}: f must return one number, got {}; reduce it (sum, mean), or take vjp or jacobian of a "
                     "function with many results",
                     transform, y.shape());
}

void jacobian(const Tensor& y, Variables& variables, bool create_graph, Where where) {
  if (!is_float(y.dtype()))
    fail<TypeError>(where, "jacobian: f returned {}, and only float32 and float64 have derivatives", y.dtype());
  const std::span<Tensor> x_bars = variables.cotangents();
  std::vector<std::vector<Tensor>> all(x_bars.size());
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    Tensor y_bar = zeros(y.shape(), y.dtype());
    if (y.dtype() == float32) fresh<float>(y_bar)[i] = 1;
    else fresh<double>(y_bar)[i] = 1;
    variables.pull({&y, 1}, {&y_bar, 1}, {.create_graph = create_graph, .keep_graph = true}, where);
    for (std::size_t k = 0; k < all.size(); ++k) all[k].push_back(x_bars[k]);
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Tensor& x = *variables.all()[k];
    if (y.rank() + x.rank() > max_rank)
      fail<ShapeError>(where, "jacobian: {} by {} has more than {} axes; flatten one of them", y.shape(), x.shape(),
                       max_rank);
    Shape shape = y.shape();
    for (auto s : x.shape()) shape.push_back(s);
    x_bars[k] = y.numel() ? reshape(stack(all[k], 0, where), shape) : zeros(shape, x.dtype());
  }
}

Tensor flat(std::span<const Tensor> xs, Where where) {
  std::vector<Tensor> all;
  for (const Tensor& x : xs) all.push_back(reshape(Operand(x, where), {x.numel()}));
  return cat(all, 0, where);
}

Tensor rows(std::span<const Tensor> jacobians, std::int64_t n, Where where) {
  std::vector<Tensor> all;
  for (const Tensor& j : jacobians) all.push_back(reshape(Operand(j, where), {n, n ? j.numel() / n : 0}));
  return cat(all, 1, where);
}

}  // namespace wengert::detail
