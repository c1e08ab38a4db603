#include "wengert/autodiff/transforms/map_rows.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"

#include <exception>

namespace wengert::detail {

std::int64_t examples_in(const char* transform, std::span<const Operand> x) {
  const Where where = x[0].where();
  for (const Operand& t : x) {
    if (t->rank() == 0) fail<ShapeError>(where, "{}: needs an axis 0, got a scalar", transform);
    if (t->shape()[0] != x[0]->shape()[0])
      fail<ShapeError>(where, "{}: axis 0 must have the same size in all operands, got {} and {}", transform,
                       x[0]->shape(), t->shape());
  }
  if (x[0]->shape()[0] == 0) fail<ValueError>(where, "{}: axis 0 must not be empty, got {}", transform, x[0]->shape());
  return x[0]->shape()[0];
}

Tensor row_of(const Operand& x, std::int64_t i) { return select(x, 0, i); }
Tensor batch_of_one(const Operand& x, std::int64_t i) { return narrow(x, 0, i, 1); }

void Stack::add(const std::vector<Tensor>& tensors) {
  if (parts_.empty()) parts_.resize(tensors.size());
  if (tensors.size() != parts_.size())
    fail<ShapeError>(where_, "{}: f returned {} tensors, and {} the first time", transform_, tensors.size(),
                     parts_.size());
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    auto& part = parts_[k];
    if (!part.empty() && !(part[0].shape() == tensors[k].shape()))
      fail<ShapeError>(where_, "{}: f returned {}, and {} the first time", transform_, tensors[k].shape(),
                       part[0].shape());
    part.push_back(tensors[k]);
  }
}
std::vector<Tensor> Stack::tensors() const {
  std::vector<Tensor> all;
  for (auto& part : parts_) all.push_back(stack(part, 0, where_));
  return all;
}

namespace {

Shape without_axis_0(const Shape& s) {
  Shape row = s;
  row.erase(0);
  return row;
}

// The cotangent that is scale[i] at element k of row i, and zero elsewhere.
Tensor unit_cotangent(const Tensor& y, std::int64_t k, std::span<const double> scale) {
  const std::int64_t n = y.shape()[0], each = y.numel() / n;
  Tensor y_bar = zeros({n, each}, float64);
  for (std::int64_t i = 0; i < n; ++i) fresh<double>(y_bar)[i * each + k] = scale[static_cast<std::size_t>(i)];
  return reshape(to(y_bar, y.dtype()), y.shape());
}

// Sums and products scale by powers of two without rounding, so that independent rows come back with exactly their
// factor. The tolerance is for values that overflow or underflow.
void check_rows(const Tensor& plain, const Tensor& scaled, std::span<const double> scale, Where where) {
  const auto a = to(plain.detach(), float64).to_vector<double>(), b = to(scaled.detach(), float64).to_vector<double>();
  const std::size_t each = a.size() / scale.size();
  double largest = 0;
  for (double v : a) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::abs(a[i] * scale[i / each] - b[i]) > 1e-4 * largest)
      fail<ValueError>(where,
                       "batched_jacobian: rows of f(x) must not depend on other rows of x (batch statistics?); take "
                       "jacobian, or map_rows of a function of one row");
}

}  // namespace

Tensor jacobian_of_rows(Run& run) {
  const Tensor& y = run.y();
  const Tensor& x = *run.variables()[0];
  const Where where = run.where();
  if (!is_float(y.dtype()))
    fail<TypeError>(where, "batched_jacobian: f returned {}, and only float32 and float64 have derivatives", y.dtype());
  if (x.rank() == 0 || y.rank() == 0 || x.shape()[0] != y.shape()[0])
    fail<ShapeError>(where, "batched_jacobian: f must map [n, ...] to [n, ...], got {} to {}", x.shape(), y.shape());
  if (y.rank() + x.rank() - 1 > max_rank)
    fail<ShapeError>(where, "batched_jacobian: rows of {} by rows of {} have more than {} axes", y.shape(), x.shape(),
                     max_rank);
  const Shape row = without_axis_0(y.shape());
  Shape shape = y.shape();
  for (auto s : without_axis_0(x.shape())) shape.push_back(s);
  if (!y.numel()) return zeros(shape, x.dtype());
  const auto n = static_cast<std::size_t>(y.shape()[0]);
  auto pull = [&](std::int64_t k, std::span<const double> scale) {
    const Tensor y_bar = unit_cotangent(y, k, scale);
    run.check_reached(run.pull({&y, 1}, {&y_bar, 1}, {.create_graph = run.create_graph(), .keep_graph = true}));
    return run.cotangents()[0];
  };
  const std::vector<double> ones(n, 1.0);
  std::vector<Tensor> all;
  for (std::int64_t k = 0; k < row.numel(); ++k) all.push_back(pull(k, ones));
  std::vector<double> factors(n);
  for (std::size_t i = 0; i < n; ++i) factors[i] = i % 3 == 1 ? 2 : i % 5 == 2 ? 4 : 1;
  const std::int64_t last = row.numel() - 1;
  if (n > 1) check_rows(all.back(), pull(last, factors), factors, where);
  return reshape(stack(all, 1, where), shape);
}

void for_examples(std::int64_t n, bool parallel, void (*f)(void*, std::int64_t), void* context) {
  const Context& c = thread_state().context;
  if (!parallel || c.transforms || c.replay || !c.recording) {
    for (std::int64_t i = 0; i < n; ++i) f(context, i);
    return;
  }
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(n));
  kernels::parallel_for(n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) try {
        f(context, i);
      } catch (...) {
        thrown[static_cast<std::size_t>(i)] = std::current_exception();
      }
  });
  for (auto& e : thrown)
    if (e) std::rethrow_exception(e);
}

}  // namespace wengert::detail
