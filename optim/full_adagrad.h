#pragma once

#include "wengert/optim/flat.h"

namespace wengert::optim {

struct FullAdagradOptions {
  double lr = 1e-2;
  double eps = 1e-8;                     ///< added to the root
  double initial_accumulator_value = 0;  ///< G begins as initial_accumulator_value times the identity
  std::int64_t max_parameters = 4096;    ///< the time of a step grows with their third power
};

namespace detail {
WENGERT_API void check(const FullAdagradOptions&, std::int64_t n, Where);
/// Adds g g^T to G and returns (G^1/2 + eps I)^-1 g.
WENGERT_API Tensor full_adagrad_direction(Buffer& sum, const Tensor& g, double eps);
}  // namespace detail

/// Duchi, Hazan & Singer 2011, with the full matrix:
///   G += g g^T;   w -= lr (G^1/2 + eps I)^-1 g,
/// by an eigendecomposition of G. Invariant under rotations of the parameters.
/// For: comparison with the diagonal form, Adagrad, on small models.
template <class Model>
class FullAdagrad : public FullAdagradOptions {
 public:
  explicit FullAdagrad(const Model& model, FullAdagradOptions options = {}, Where where = Where::current())
      : FullAdagradOptions(options) {
    const Tensor w = flatten(model);
    detail::check(*this, w.numel(), where);
    sum = initial_accumulator_value * eye(w.numel(), w.dtype());
  }
  void step(Model& model, const Model& grads, Where where = Where::current()) {
    detail::check(*this, sum.size(0), where);
    for_each_trained(
        std::as_const(model), grads,
        [&](std::string_view path, const Tensor& w, const Tensor& g) { detail::check_fit(path, w, g, {}, where); },
        where);
    fill(model, flatten(model) - lr * detail::full_adagrad_direction(sum, flatten(grads), eps));
  }

  Buffer sum;  ///< G, [n, n]

  static auto members(auto& self) { return fields(field("sum", self.sum)); }
};

}  // namespace wengert::optim
