#pragma once

// Internal: access to gradients, either in a model of gradients or in the leaves of a model after backward().

#include "wengert/optim/step.h"

namespace wengert::optim::detail {

template <class F, class X>
void visit_gradients(X& x, F&& f) {
  for_each_trained(x, [&](Tensor& t) {
    const bool leaf = wengert::detail::Access::role(t) == wengert::detail::Role::trained;
    Tensor g = leaf ? fresh_gradient(t) : t;
    if (g.defined()) f(t, g, leaf);
  });
}
template <class X, class F>
void for_each_gradient(X& x, F&& f) {
  visit_gradients(x, [&](Tensor&, Tensor& g, bool) { f(g); });
}
/// Replaces each gradient g by f(g). An undefined f(g) drops the gradient of a leaf, and leaves a model of gradients as
/// it is.
template <class X, class F>
void change_gradients(X& x, F&& f) {
  visit_gradients(x, [&](Tensor& t, Tensor& g, bool leaf) {
    Tensor changed = f(g);
    if (leaf) replace_gradient(t, std::move(changed));
    else if (changed.defined()) t = std::move(changed);
  });
}

}  // namespace wengert::optim::detail
