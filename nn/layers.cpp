#include "wengert/nn/layers.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/activations.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

Linear::Linear(std::int64_t in, std::int64_t out, Rng& rng, LinearOptions o, Where where) {
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

Bilinear::Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, Rng& rng, BilinearOptions o, Where where) {
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

Embedding::Embedding(std::int64_t num_embeddings, std::int64_t size, Rng& rng, EmbeddingOptions o, Where where)
    : padding_index(o.padding_index) {
  at_least_one("Embedding", "num_embeddings", num_embeddings, where), at_least_one("Embedding", "size", size, where);
  if (padding_index && *padding_index < 0) *padding_index += num_embeddings;
  if (padding_index && (*padding_index < 0 || *padding_index >= num_embeddings))
    fail<ValueError>(where, "Embedding: padding_index must be in [-{}, {}), got {}", num_embeddings, num_embeddings,
                     *o.padding_index);
  Tensor rows = rng.normal({num_embeddings, size}, 0, 1, o.dtype, where);
  if (padding_index) {
    const Tensor kept = not_equal(arange(num_embeddings), static_cast<double>(*padding_index));
    rows = rows * reshape(to(kept, o.dtype), {num_embeddings, 1});
  }
  weight = Param(std::move(rows), where);
}

Tensor Embedding::operator()(Operand index) const {
  const At at(index.where());
  return embedding({weight, index.where()}, index, padding_index);
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

PRelu::PRelu(std::int64_t num_parameters, PReluOptions o, Where where) {
  at_least_one("PRelu", "num_parameters", num_parameters, where);
  weight = Param(full({num_parameters}, o.init, o.dtype), where);
}

Tensor PRelu::operator()(Operand x) const {
  const At at(x.where());
  return prelu(x, weight);
}

}  // namespace wengert::nn
