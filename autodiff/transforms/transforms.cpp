#include "wengert/autodiff/transforms/transforms.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/sweep.h"

#include <algorithm>
#include <utility>

namespace wengert::detail {
namespace {

bool records_derivative(TransformOptions options) { return options.create_graph.value_or(creates_graph()); }

// All elements in one vector, recorded whatever the caller's setting.
Tensor flat(std::span<const Tensor> xs, Where where) {
  const ContextScope scope;
  thread_state().context.recording = true;
  std::vector<Tensor> all;
  for (const Tensor& x : xs) all.push_back(reshape(Operand(x, where), {x.numel()}));
  return cat(all, 0, where);
}

// The Jacobians of n numbers by all variables, side by side: [n, all].
Tensor rows(std::span<const Tensor> jacobians, std::int64_t n, Where where) {
  std::vector<Tensor> all;
  for (const Tensor& j : jacobians) all.push_back(reshape(Operand(j, where), {n, n ? j.numel() / n : 0}));
  return cat(all, 1, where);
}

}  // namespace

Run::Run(const char* transform, TransformOptions options, Where where)
    : transform_(transform),
      where_(where),
      create_graph_(records_derivative(options)),
      connect_leaves_(options.create_graph.value_or(false)),
      sweeps_before_(thread_state().sweeps) {
  Context& context = thread_state().context;
  context.recording = true;
  ++context.transforms;
}

void Run::finish(Tensor y) {
  y_ = std::move(y);
  f_differentiates_ = thread_state().sweeps != sweeps_before_;
  scope_.reset();
}

// In the ordinary case the variable is a leaf of its own, so that the leaves of a shared model stay untouched.
void Run::add_variable(Tensor& to, const Tensor& from, bool trained) {
  const bool connected = create_graph_ && (connect_leaves_ || !trained);
  to = connected ? from.track(where_) : from.detach().track(where_);
  variables_.push_back(&to);
  cotangents_.emplace_back();
}

void Run::check_variables() const {
  if (variables_.empty())
    fail<GraphError>(
        where_,
        "{}: x has no variables. Differentiated are Params that are not frozen; a Tensor member of a struct "
        "is saved but not trained: declare it Param",
        transform_);
}

void Run::check_reached(bool reached) const {
  if (reached || (f_differentiates_ && !y_.tracked())) return;
  fail<GraphError>(where_,
                   "{}: what f returns depends on no variable of its argument, and all gradients would be zero; does f "
                   "use a captured model instead of its argument, or detach() it?",
                   transform_);
}

Tensor Run::value() const { return create_graph_ ? y_ : y_.detach(); }

void Run::check_float(const Tensor& y) const {
  if (!is_float(y.dtype()))
    fail<TypeError>(where_, "{}: f returned {}, and only float32 and float64 have derivatives", transform_, y.dtype());
}

void Run::check_like_x(const char* what, std::span<const Tensor> v) const {
  if (v.size() != variables_.size())
    fail<ShapeError>(where_, "{}: {} must have as many tensors as x, which has {}, got {}", transform_, what,
                     variables_.size(), v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const Tensor& x = *variables_[i];
    if (!(v[i].shape() == x.shape()) || v[i].dtype() != x.dtype())
      fail<ShapeError>(where_, "{}: {} must be {} {} like x, got {} {}", transform_, what, x.dtype(), x.shape(),
                       v[i].dtype(), v[i].shape());
  }
}

bool Run::pull(std::span<const Tensor> ys, std::span<const Tensor> y_bars, BackwardOptions options) {
  for (Tensor& x_bar : cotangents_) x_bar = Tensor();
  return pull_back(ys, y_bars, std::span<const Tensor* const>(variables_.data(), variables_.size()), cotangents_,
                   options, where_);
}

void Run::pull_loss(bool create_graph) {
  check_float(y_);
  if (y_.numel() != 1)
    fail<ShapeError>(where_,
                     "{}: f must return one number, got {}; reduce it (sum, mean), or take vjp or jacobian of a "
                     "function with many results",
                     transform_, y_.shape());
  check_reached(pull({&y_, 1}, {}, {.create_graph = create_graph}));
}

PullbackCall::PullbackCall(Run& run, Where where) : run_(run) {
  if (run.busy_.exchange(true, std::memory_order_acquire))
    fail<GraphError>(where,
                     "vjp: this pullback is being called already, on this thread or another; let the calls take turns, "
                     "or call vjp once for each thread");
}
PullbackCall::~PullbackCall() { run_.busy_.store(false, std::memory_order_release); }

void Run::pull_result(const Tensor& y_bar, TransformOptions options, Where where) {
  where_ = where;
  if (!(y_bar.shape() == y_.shape()) || y_bar.dtype() != y_.dtype())
    fail<ShapeError>(where, "{}: the cotangent must be {} {} like y, got {} {}", transform_, y_.dtype(), y_.shape(),
                     y_bar.dtype(), y_bar.shape());
  check_reached(pull({&y_, 1}, {&y_bar, 1}, {.create_graph = records_derivative(options), .keep_graph = true}));
}

void Run::pull_along(std::span<const Tensor> v) {
  check_like_x("v", v);
  const std::vector<Tensor> slopes(cotangents_.begin(), cotangents_.end());
  pull(slopes, v, {.create_graph = create_graph_});
}

Tensor Run::push(std::span<const Tensor> x_dot) {
  check_like_x("the tangent", x_dot);
  {
    const Sweep sweep({&y_, 1});
    const bool reached =
        std::ranges::any_of(variables_, [&](const Tensor* x) { return sweep.visited(*Access::node(*x)); });
    check_reached(reached);
    if (!reached) return zeros(y_.shape(), y_.dtype());
  }
  std::vector<Tensor> xs;
  for (const Tensor* x : variables_) xs.push_back(*x);
  return push_forward({&y_, 1}, xs, x_dot, create_graph_, where_)[0];
}

void Run::jacobian(const Tensor& z) {
  check_float(z);
  std::vector<std::vector<Tensor>> all(cotangents_.size());
  for (std::int64_t i = 0; i < z.numel(); ++i) {
    Tensor z_bar = zeros(z.shape(), z.dtype());
    if (z.dtype() == float32) fresh<float>(z_bar)[i] = 1;
    else fresh<double>(z_bar)[i] = 1;
    const bool reached = pull({&z, 1}, {&z_bar, 1}, {.create_graph = create_graph_, .keep_graph = true});
    if (&z == &y_) check_reached(reached);  // the derivatives of y may be constant
    for (std::size_t k = 0; k < all.size(); ++k) all[k].push_back(cotangents_[k]);
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Tensor& x = *variables_[k];
    if (z.rank() + x.rank() > max_rank)
      fail<ShapeError>(where_, "{}: {} by {} has more than {} axes; flatten one of them", transform_, z.shape(),
                       x.shape(), max_rank);
    Shape shape = z.shape();
    for (auto s : x.shape()) shape.push_back(s);
    cotangents_[k] = z.numel() ? reshape(stack(all[k], 0, where_), shape) : zeros(shape, x.dtype());
  }
}

Tensor Run::hessian(bool matrix) {
  const Tensor slopes = matrix ? flat(cotangents_, where_) : cotangents_[0];
  jacobian(slopes);
  return matrix ? rows(cotangents_, slopes.numel(), where_) : cotangents_[0];
}

}  // namespace wengert::detail
