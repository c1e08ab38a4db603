#include "wengert/autodiff/fuse.h"

#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/ops/pointwise.h"

namespace wengert::detail {

Shape fused_shape(std::span<const Tensor* const> x, Where where) {
  Shape shape = x[0]->shape();
  if (!is_float(x[0]->dtype())) fail<TypeError>(where, "fuse: needs float32 or float64, got {}", x[0]->dtype());
  for (const Tensor* t : x.subspan(1))
    if (!(t->shape() == shape) || t->dtype() != x[0]->dtype())
      shape = broadcast("fuse", Operand(empty(shape, x[0]->dtype()), where), Operand(*t, where));
  return shape;
}

void run_fused(kernels::Loop loop, const void* op, const Shape& shape, std::span<const Tensor* const> in,
               std::span<Tensor> out) {
  kernels::Operand operands[kernels::max_operands];
  void* to[kernels::max_operands] = {};
  std::size_t size[kernels::max_operands];
  for (std::size_t i = 0; i < in.size(); ++i)
    operands[i] = {Access::body(*in[i])->data, size_of(in[i]->dtype()),
                   in[i]->is_contiguous() && in[i]->shape() == shape, strides_over(*in[i], shape)};
  if (!out[0].defined() && out.size() == 1) out[0] = empty(shape, in[0]->dtype());
  for (std::size_t k = 0; k < out.size(); ++k) {
    to[k] = out[k].defined() ? Access::body(out[k])->data : nullptr;
    size[k] = size_of(in[0]->dtype());
  }
  if (shape.numel()) kernels::run_blocks(loop, op, shape, operands, int(in.size()), to, size, int(out.size()));
}

}  // namespace wengert::detail
