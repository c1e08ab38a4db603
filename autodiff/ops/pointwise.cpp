#include "wengert/autodiff/ops/pointwise.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"

#include <cmath>

namespace wengert {
namespace detail {

kernels::Loop rarer_value_of(const LoopTable& table, DType dtype, std::string_view op, Where where) {
  if (dtype == float64) return table.value[1];
  if (dtype == int64 && table.integer) return table.integer;
  fail<TypeError>(where, "{}: needs float32{} float64{}, got {}; convert with to(x, float32)", op,
                  table.integer ? "," : " or", table.integer ? " or int64" : "", dtype);
}

void check_whole(Operand x, double a, double b) {
  if (x->dtype() == int64 && (a != std::floor(a) || b != std::floor(b)))
    fail<TypeError>(x.where(),
                    "arithmetic: int64 with the number {} does not give whole numbers; convert with to(x, float32)",
                    a != std::floor(a) ? a : b);
}

namespace {

kernels::Operand laid_over(const Tensor& x, const Shape& shape) {
  const Body& b = *Access::body(x);
  kernels::Operand o{b.data(), size_of(b.dtype), b.contiguous() && b.shape == shape, {}};
  if (!o.contiguous) o.strides = strides_over(x, shape);
  return o;
}

// Two loops as one with two results: by turns, so short that what one has read is near for the other.
struct Both {
  std::array<kernels::Loop, 2> loops;
  const void* op;
  std::size_t element;

  static void run(const void* self, const void* const* in, void* const* out, std::int64_t n) {
    const auto& [loops, op, element] = *static_cast<const Both*>(self);
    constexpr std::int64_t turn = 2048;
    for (std::int64_t at = 0; at < n; at += turn) {
      const std::size_t offset = static_cast<std::size_t>(at) * element;
      const void* from[3];
      for (std::size_t k = 0; k < 3; ++k) from[k] = static_cast<const std::byte*>(in[k]) + offset;
      for (std::size_t k = 0; k < 2; ++k) {
        void* to[] = {static_cast<std::byte*>(out[k]) + offset};
        loops[k](op, from, to, std::min(turn, n - at));
      }
    }
  }
};

bool can_be_reused(const Tensor& spare, const Shape& shape, DType dtype) {
  const Body& b = *Access::body(spare);
  return b.overwritable() && b.is(Form::in_order) && b.dtype == dtype && b.shape == shape;
}

[[gnu::noinline]] Tensor run_planned(kernels::Loop loop, const void* op, const Shape& shape,
                                     std::initializer_list<const Tensor*> in, const Tensor* spare) {
  const DType dtype = (*in.begin())->dtype();
  Tensor y = spare && can_be_reused(*spare, shape, dtype) ? spare->detach() : empty(shape, dtype);
  if (!y.numel()) return y;
  kernels::Operand operands[kernels::max_operands];
  int count = 0;
  for (const Tensor* x : in) operands[count++] = laid_over(*x, shape);
  void* out[] = {Access::body(y)->first};
  const std::size_t size[] = {size_of(dtype)};
  kernels::run_blocks(loop, op, shape, operands, count, out, size, 1);
  return y;
}

}  // namespace

Tensor run_loop(kernels::Loop loop, const void* op, const Shape& shape, std::initializer_list<const Tensor*> in,
                const Tensor* spare) {
  const void* from[kernels::max_operands];
  const Body* model = nullptr;
  bool straight = true;
  int count = 0;
  for (const Tensor* x : in) {
    model = Access::body(*x);
    straight = straight && model->is(Form::in_order) && (&model->shape == &shape || model->shape == shape);
    from[count++] = model->first;
  }
  const std::int64_t n = shape.numel();
  if (!straight || n == 0 || n > kernels::grain_elements) [[unlikely]]
    return run_planned(loop, op, shape, in, spare);
  // Small, in order and of one shape: there is nothing to plan.
  Body* y = nullptr;
  if (spare && Access::body(*spare)->overwritable()) y = Access::body(*spare), y->retain();
  else y = model->owner ? new_body(shape, model->dtype) : new_body_like(*model);
  void* out[] = {y->first};
  loop(op, from, out, n);
  return Access::make(y);
}

const Tensor* spare_of(const Shape& shape, std::initializer_list<const Operand*> xs) {
  for (const Operand* x : xs)
    if (x->dies() && (*x)->shape() == shape) return &x->tensor();
  return nullptr;
}

void take_value(const Tensor& spare, const Tensor& y) noexcept {
  if (Access::body(spare) == Access::body(y)) const_cast<Tensor&>(spare) = Tensor();
}

std::optional<std::array<Tensor, 2>> pull_both(const LoopTable& table, const void* op, const Tensor& y_bar,
                                               const Tensor& x0, const Tensor& x1, Wants w) {
  const Shape& shape = y_bar.shape();
  if (!w(0) || !w(1) || y_bar.tracked() || x0.tracked() || x1.tracked()) return std::nullopt;
  const DType dtype = y_bar.dtype();
  std::array<Tensor, 2> x_bar = {empty(shape, dtype), can_be_reused(y_bar, shape, dtype) ? y_bar : empty(shape, dtype)};
  const Both both{{table.pull[0][dtype == float64], table.pull[1][dtype == float64]}, op, size_of(dtype)};
  const kernels::Operand operands[] = {laid_over(y_bar, shape), laid_over(x0, shape), laid_over(x1, shape)};
  void* out[] = {Access::body(x_bar[0])->data(), Access::body(x_bar[1])->data()};
  const std::size_t size[] = {both.element, both.element};
  kernels::run_blocks(Both::run, &both, shape, operands, 3, out, size, 2);
  for (int i = 0; i < 2; ++i) x_bar[std::size_t(i)] = sum_to(x_bar[std::size_t(i)], operand_shape(i));
  return x_bar;
}

Shape strides_over(const Tensor& x, const Shape& shape) {
  Shape r;
  const int before = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i)
    r.push_back(i < before || x.shape()[i - before] == 1 ? 0 : x.strides()[i - before]);
  return r;
}

}  // namespace detail

Tensor operator/(Operand x, double y) { return affine(std::move(x), 1 / y, 0); }
Tensor operator/(double x, Operand y) {
  return x == 1 ? reciprocal(std::move(y)) : affine(reciprocal(std::move(y)), x, 0);
}
Tensor maximum(Operand x, double y) { return maximum(x, Operand(scalar(y, x->dtype()), x.where())); }
Tensor minimum(Operand x, double y) { return minimum(x, Operand(scalar(y, x->dtype()), x.where())); }

}  // namespace wengert
