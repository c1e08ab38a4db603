#include "wengert/optim/step.h"

#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/tape.h"

namespace wengert::optim::detail {

using wengert::detail::Access;
using wengert::detail::Kind;
using wengert::detail::Node;

namespace {

Node* leaf_of(const Tensor& t) {
  Node* n = Access::node(t);
  return n && n->kind == Kind::leaf ? n : nullptr;
}

}  // namespace

Tensor fresh_gradient(const Tensor& w) {
  Node* leaf = leaf_of(w);
  return leaf && wengert::detail::leaf_has_fresh_gradient(*leaf) ? wengert::detail::leaf_gradient(*leaf) : Tensor();
}

void mark_used(const Tensor& w) {
  if (Node* leaf = leaf_of(w)) wengert::detail::mark_leaf_used(*leaf);
}

void replace_gradient(Tensor& w, Tensor gradient) {
  Node* leaf = leaf_of(w);
  wengert::detail::clear_leaf(*leaf);
  wengert::detail::add_to_leaf(*leaf, std::move(gradient), true);
}

void nothing_to_do(Where where) {
  fail<GraphError>(
      where,
      "step: no parameter has received a gradient since the last step; call backward(loss) first, or pass gradients: "
      "step(model, grads)");
}

void check_fit(std::string_view name, const Tensor& w, const Tensor& g, std::span<const Tensor* const> memory,
               Where where) {
  const auto what = name.empty() ? std::string("the parameter") : fmt::format("'{}'", name);
  if (w.tracked() && !leaf_of(w))
    fail<GraphError>(
        where, "step: {} was computed by operators and is no leaf; give it its value under no_grad, or detach() it",
        what);
  if (!is_float(w.dtype()))
    fail<TypeError>(where, "step: {} is {}, and only float32 and float64 can be trained", what, w.dtype());
  if (!(g.shape() == w.shape()) || g.dtype() != w.dtype())
    fail<ShapeError>(where, "step: {} is {} {}, its gradient {} {}", what, w.dtype(), w.shape(), g.dtype(), g.shape());
  for (const Tensor* m : memory)
    if (!m->defined() || !(m->shape() == w.shape()) || m->dtype() != w.dtype())
      fail<ShapeError>(where,
                       "step: {} is {} {}, but was something else when the optimizer was made; make the optimizer anew",
                       what, w.dtype(), w.shape());
}

}  // namespace wengert::optim::detail
