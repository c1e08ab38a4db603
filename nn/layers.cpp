#include "wengert/nn/layers.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/activations.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

Linear::Linear(std::int64_t in, std::int64_t out, LinearOptions o, Rng& rng, Where where) {
  at_least_one("Linear", "in", in, where), at_least_one("Linear", "out", out, where);
  weight = Param(init::uniform_fan_in({out, in}, in, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, in, rng, o.dtype), where);
}

Tensor Linear::operator()(Operand x) const {
  const At at(x.where());
  if (const std::int64_t in = weight.shape()[1]; x->rank() < 1 || x->shape().back() != in)
    fail<ShapeError>(x.where(), "Linear: needs [..., {}], got {}", in, x->shape());
  return linear(x, weight, bias);
}

Bilinear::Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, LinearOptions o, Rng& rng, Where where) {
  at_least_one("Bilinear", "in1", in1, where), at_least_one("Bilinear", "in2", in2, where);
  at_least_one("Bilinear", "out", out, where);
  weight = Param(init::uniform_fan_in({out, in1, in2}, in1, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, in1, rng, o.dtype), where);
}

Tensor Bilinear::operator()(Operand x, Operand y) const {
  const At at(x.where());
  const std::int64_t in1 = weight.shape()[1], in2 = weight.shape()[2];
  if (x->rank() < 1 || y->rank() < 1 || x->shape().back() != in1 || y->shape().back() != in2)
    fail<ShapeError>(x.where(), "Bilinear: needs [..., {}] and [..., {}], got {} and {}", in1, in2, x->shape(),
                     y->shape());
  const Tensor z = einsum("...i,oij,...j->...o", {x, weight, y}, x.where());
  return bias.defined() ? z + bias : z;
}

Embedding::Embedding(std::int64_t entries, std::int64_t size, EmbeddingOptions o, Rng& rng, Where where)
    : padding(o.padding) {
  at_least_one("Embedding", "entries", entries, where), at_least_one("Embedding", "size", size, where);
  if (padding && *padding < 0) *padding += entries;
  if (padding && (*padding < 0 || *padding >= entries))
    fail<ValueError>(where, "Embedding: padding must be one of {} entries, got {}", entries, *o.padding);
  Tensor rows = rng.normal({entries, size}, 0, 1, o.dtype, where);
  if (padding) {
    const Tensor kept = not_equal(arange(entries), static_cast<double>(*padding));
    rows = rows * reshape(to(kept, o.dtype), {entries, 1});
  }
  weight = Param(std::move(rows), where);
}

Tensor Embedding::operator()(Operand index) const {
  const At at(index.where());
  return embedding({weight, index.where()}, index, padding);
}

Tensor Flatten::operator()(Operand x) const {
  const At at(x.where());
  return flatten(x, first, last);
}

Tensor Unflatten::operator()(Operand x) const {
  const At at(x.where());
  const int i = axis < 0 ? axis + x->rank() : axis;
  if (i < 0 || i >= x->rank()) fail<ValueError>(x.where(), "Unflatten: there is no axis {} in {}", axis, x->shape());
  Shape shape;
  std::int64_t known = 1;
  int open = -1;
  for (int a = 0; a < x->rank(); ++a) {
    if (a != i) {
      shape.push_back(x->shape()[a]);
      continue;
    }
    for (auto n : sizes) {
      if (n == -1 && open < 0) open = shape.rank();
      else known *= n;
      shape.push_back(n);
    }
  }
  const std::int64_t n = x->shape()[i];
  if (sizes.empty() || known < 0 || (open < 0 ? known != n : known == 0 || n % known))
    fail<ShapeError>(x.where(), "Unflatten: axis {} of {} cannot be split into {}", i, x->shape(), sizes);
  if (open >= 0) shape[open] = n / known;
  return reshape(x, shape);
}

PRelu::PRelu(std::int64_t count, PReluOptions o, Where where) {
  at_least_one("PRelu", "count", count, where);
  weight = Param(full({count}, o.initial, o.dtype), where);
}

Tensor PRelu::operator()(Operand x) const {
  const At at(x.where());
  return prelu(x, weight);
}

}  // namespace wengert::nn
