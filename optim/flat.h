#pragma once

// A model as one vector, all its trained numbers one after the other: how second-order methods and line searches see
// it. Users include optim.h.

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/optim/step.h"

#include <limits>

namespace wengert::optim {

/// The trained numbers of a model, off the tape.  [n].  TypeError unless all have one dtype.
template <class Model>
Tensor flatten(const Model& model) {
  std::vector<Tensor> all;
  for_each_param(model, [&](const Tensor& t) { all.push_back(reshape(contiguous(t.detach()), {-1})); });
  return all.empty() ? zeros({0}) : cat(all);
}

/// A model of the same build with the numbers of x, on x's tape.
template <class Model>
Model unflatten(const Tensor& x, const Model& like) {
  Model model = wengert::detail::shared_copy(like);
  std::int64_t at = 0;
  for_each_param(model, [&](Tensor& t) {
    const std::int64_t n = t.numel();
    t = reshape(slice(x, 0, at, at + n), t.shape());
    at += n;
  });
  return model;
}

namespace detail {
/// w = v, where w is; copied first if another handle sees w and w is no leaf.
WENGERT_API void overwrite(Tensor& w, const Tensor& v);
}  // namespace detail

/// Puts the numbers of x into the model, in place.
template <class Model>
void fill(Model& model, const Tensor& x) {
  const Model values = unflatten(x.detach(), model);
  for_each_param(model, values, [](Tensor& t, const Tensor& v) { detail::overwrite(t, v); });
}

namespace detail {

/// A function of one vector x.
class WENGERT_API Objective {
 public:
  virtual ~Objective() = default;
  virtual double value(const Tensor& x) = 0;
  /// The value, and the gradient in g.
  virtual double value(const Tensor& x, Tensor& g) = 0;
  /// Its second derivative times v.
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
WENGERT_API double length(const Tensor& a);   ///< the root of inner(a, a)
WENGERT_API double largest(const Tensor& a);  ///< |a|, infinity norm

}  // namespace detail
}  // namespace wengert::optim
