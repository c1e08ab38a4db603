#pragma once

// A model as one vector of all its trained values, as second-order methods and line searches need it. Programs include
// optim.h.

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/optim/step.h"

#include <limits>

namespace wengert::optim {

/// The trained values of a model as one tensor [n], off the tape.  TypeError unless all have one dtype, GraphError when
/// there are none.
template <class Model>
Tensor flatten(const Model& model) {
  std::vector<Tensor> all;
  for_each_trained(model, [&](const Tensor& t) { all.push_back(reshape(contiguous(t.detach()), {-1})); });
  if (all.empty()) detail::nothing_to_train("flatten", false, Where());
  return cat(all);
}

/// A model of the same structure with the values of x, on the tape of x.
template <class Model>
Model unflatten(const Tensor& x, const Model& like) {
  Model model = wengert::detail::shared_copy(like);
  std::int64_t at = 0;
  for_each_trained(model, [&](Tensor& t) {
    const std::int64_t n = t.numel();
    t = reshape(slice(x, 0, at, at + n), t.shape());
    at += n;
  });
  return model;
}

namespace detail {
/// Writes v into w in place. w is copied first if another handle refers to it and w is no leaf.
WENGERT_API void overwrite(Tensor& w, const Tensor& v);
}  // namespace detail

/// Writes the values of x into the model, in place.
template <class Model>
void fill(Model& model, const Tensor& x) {
  const Model values = unflatten(x.detach(), model);
  for_each_trained(model, values, [](Tensor& t, const Tensor& v) { detail::overwrite(t, v); });
}

namespace detail {

/// A function of one vector x.
class WENGERT_API Objective {
 public:
  virtual ~Objective() = default;
  virtual double value(const Tensor& x) = 0;
  /// Returns the value and writes the gradient to g.
  virtual double value(const Tensor& x, Tensor& g) = 0;
  /// The Hessian at x times v.
  virtual Tensor curvature(const Tensor& x, const Tensor& v) = 0;
};

template <class F, class Model>
class OnModel final : public Objective {
 public:
  OnModel(F& f, const Model& model) : f_(f), model_(model) {}
  double value(const Tensor& x) override { return at(x).item(); }
  double value(const Tensor& x, Tensor& g) override {
    auto [y, slope] = value_and_grad([this](const Tensor& z) { return at(z); }, x, {.create_graph = false});
    g = slope;
    return y.item();
  }
  Tensor curvature(const Tensor& x, const Tensor& v) override {
    return hvp([this](const Tensor& z) { return at(z); }, x, v, {.create_graph = false});
  }

 private:
  Tensor at(const Tensor& x) const { return f_(unflatten(x, model_)); }
  F& f_;
  const Model& model_;
};

WENGERT_API double inner(const Tensor& a, const Tensor& b);
WENGERT_API double length(const Tensor& a);   ///< sqrt(inner(a, a))
WENGERT_API double largest(const Tensor& a);  ///< maximum of |a|

}  // namespace detail
}  // namespace wengert::optim
