#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/pointwise.h"
#include "wengert/autodiff/tape/observer.h"

#include <functional>

namespace wengert {

using detail::Access;
using detail::operand_shape;

namespace {

// in x, y; out bool.
template <class T, class Compare>
void compare_loop(const void*, const void* const* in, void* const* out, std::int64_t n) {
  const T *x = static_cast<const T*>(in[0]), *y = static_cast<const T*>(in[1]);
  bool* r = static_cast<bool*>(out[0]);
  for (std::int64_t i = 0; i < n; ++i) r[i] = Compare()(x[i], y[i]);
}

Tensor blocks(kernels::Loop loop, const Shape& shape, DType dtype, std::initializer_list<const Tensor*> in) {
  Tensor r = empty(shape, dtype);
  if (!r.numel()) return r;
  kernels::Operand operands[kernels::max_operands];
  int count = 0;
  for (const Tensor* x : in)
    operands[count++] = {Access::body(*x)->data(), size_of(x->dtype()), x->is_contiguous() && x->shape() == shape,
                         detail::strides_over(*x, shape)};
  void* out[] = {Access::body(r)->data()};
  const std::size_t size[] = {size_of(dtype)};
  kernels::run_blocks(loop, nullptr, shape, operands, count, out, size, 1);
  return r;
}

template <template <class> class Compare>
Tensor compare(std::string_view name, Operand x, Operand y) {
  const Shape shape = detail::broadcast(name, x, y);
  const DType d = x->dtype();
  const kernels::Loop loop = d == float32   ? compare_loop<float, Compare<float>>
                             : d == float64 ? compare_loop<double, Compare<double>>
                             : d == int64   ? compare_loop<std::int64_t, Compare<std::int64_t>>
                                            : compare_loop<bool, Compare<bool>>;
  if (!detail::watched()) [[likely]]
    return blocks(loop, shape, boolean, {&x.tensor(), &y.tensor()});
  const Tensor* operands[] = {&x.tensor(), &y.tensor()};
  detail::Frame frame(detail::Act::forward, name, x.where(), operands);
  const Tensor r = blocks(loop, shape, boolean, {&x.tensor(), &y.tensor()});
  frame.done({&r, 1});
  return r;
}

// condition, x, y of `Bytes` bytes an element
template <class T>
void where_loop(const void*, const void* const* in, void* const* out, std::int64_t n) {
  const bool* c = static_cast<const bool*>(in[0]);
  const T *x = static_cast<const T*>(in[1]), *y = static_cast<const T*>(in[2]);
  T* r = static_cast<T*>(out[0]);
  for (std::int64_t i = 0; i < n; ++i) r[i] = c[i] ? x[i] : y[i];
}

}  // namespace

Tensor less(Operand x, Operand y) { return compare<std::less>("less", x, y); }
Tensor less_equal(Operand x, Operand y) { return compare<std::less_equal>("less_equal", x, y); }
Tensor greater(Operand x, Operand y) { return compare<std::greater>("greater", x, y); }
Tensor greater_equal(Operand x, Operand y) { return compare<std::greater_equal>("greater_equal", x, y); }
Tensor equal(Operand x, Operand y) { return compare<std::equal_to>("equal", x, y); }
Tensor not_equal(Operand x, Operand y) { return compare<std::not_equal_to>("not_equal", x, y); }
Tensor less(Operand x, double y) { return less(x, scalar(y, x->dtype())); }
Tensor less_equal(Operand x, double y) { return less_equal(x, scalar(y, x->dtype())); }
Tensor greater(Operand x, double y) { return greater(x, scalar(y, x->dtype())); }
Tensor greater_equal(Operand x, double y) { return greater_equal(x, scalar(y, x->dtype())); }
Tensor equal(Operand x, double y) { return equal(x, scalar(y, x->dtype())); }
Tensor not_equal(Operand x, double y) { return not_equal(x, scalar(y, x->dtype())); }

// The cotangent is selected, never multiplied: a NaN of the side not taken stays there.
struct WhereRule {
  static constexpr std::string_view name = "where";
  Saved c;
  Tensor forward(const Tensor& condition, const Tensor& x, const Tensor& y) {
    c = condition;
    Shape shape = detail::broadcast(name, zeros(condition.shape(), x.dtype()), x);
    shape = detail::broadcast(name, empty(shape, x.dtype()), y);
    const std::size_t size = size_of(x.dtype());
    const kernels::Loop loop = size == 4   ? where_loop<std::uint32_t>
                               : size == 8 ? where_loop<std::uint64_t>
                                           : where_loop<std::uint8_t>;
    return blocks(loop, shape, x.dtype(), {&condition, &x, &y});
  }
  Tensor vjp(arg<1>, const Tensor& g) const {
    return sum_to(where(c.get(), g, scalar(0, g.dtype())), operand_shape(1));
  }
  Tensor vjp(arg<2>, const Tensor& g) const {
    return sum_to(where(c.get(), scalar(0, g.dtype()), g), operand_shape(2));
  }
  Tensor jvp(arg<1>, const Tensor& t) const {
    return expand(where(c.get(), t, scalar(0, t.dtype())), detail::result_shape());
  }
  Tensor jvp(arg<2>, const Tensor& t) const {
    return expand(where(c.get(), scalar(0, t.dtype()), t), detail::result_shape());
  }
};
Tensor where(Operand condition, Operand x, Operand y) {
  if (condition->dtype() != boolean)
    fail<TypeError>(condition.where(), "where: the condition must be bool, got {}; compare it with something",
                    condition->dtype());
  if (x->dtype() != y->dtype())
    fail<TypeError>(x.where(), "where: dtypes differ: {} and {}; convert one with to()", x->dtype(), y->dtype());
  return apply(WhereRule{}, condition, x, y);
}
Tensor where(Operand condition, Operand x, double y) { return where(condition, x, scalar(y, x->dtype())); }
Tensor where(Operand condition, double x, Operand y) { return where(condition, scalar(x, y->dtype()), y); }
Tensor where(Operand condition, double x, double y) { return where(condition, scalar(x), scalar(y)); }

struct To {
  static constexpr std::string_view name = "to";
  DType dtype, before;
  Tensor forward(const Tensor& x) { return detail::convert(x, dtype); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return to(y_bar, before); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return to(x_dot, dtype); }
};
Tensor to(Operand x, DType dtype) { return x->dtype() == dtype ? x.tensor() : apply(To{dtype, x->dtype()}, x); }

}  // namespace wengert
