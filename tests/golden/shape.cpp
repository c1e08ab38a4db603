#include "golden.h"

namespace golden {

#define ROW(name, call) \
  t[#name] = [](const Args& a) -> Results { return call; }

namespace {

// -1 keeps the size of an axis.
Tensor expand_to(const Tensor& x, Shape shape) {
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == -1) shape[i] = x.size(i - shape.rank());
  return expand(x, shape);
}

Tensor squeeze_all(Tensor x) {
  for (int i = x.rank() - 1; i >= 0; --i)
    if (x.size(i) == 1) x = squeeze(x, i);
  return x;
}

}  // namespace

void add_shape(Table& t) {
  ROW(reshape, reshape(a.input(), a.shape("shape")));
  ROW(permute, permute(a.input(), a.shape("dims")));
  ROW(transpose, a.input().rank() < 2 ? a.input() : transpose(a.input(), a.integer("dim0"), a.integer("dim1")));
  ROW(squeeze, !a.given("dim") ? squeeze_all(a.input()) : a.input().rank() == 0 || a.input().size(a.integer("dim")) != 1 ? a.input() : squeeze(a.input(), a.integer("dim")));
  ROW(unsqueeze, unsqueeze(a.input(), a.integer("dim")));
  ROW(expand, expand_to(a.input(), a.shape("shape")));
  ROW(flatten, flatten(a.input(), a.integer("start_dim"), a.integer("end_dim")));
  ROW(cat, cat(a.list("tensors"), a.integer("dim")));
  ROW(stack, stack(a.list("tensors"), a.integer("dim")));
  ROW(select, select(a.input(), a.integer("dim"), a.integer("index")));
  ROW(narrow, narrow(a.input(), a.integer("dim"), a.integer("start"), a.integer("length")));
}

}  // namespace golden
