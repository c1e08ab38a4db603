#include "wengert/optim/full_adagrad.h"

#include "wengert/autodiff/base/fail.h"

namespace wengert::optim::detail {

void check(const FullAdagradOptions& o, std::int64_t n, Where where) {
  const Check c{"full_adagrad", where};
  c.at_least_0("lr", o.lr), c.at_least_0("eps", o.eps),
      c.at_least_0("initial_accumulator_value", o.initial_accumulator_value);
  if (n > o.max_parameters)
    fail<ValueError>(where, "full_adagrad: max_parameters is {}, got a model with {}; Adagrad has no such limit",
                     o.max_parameters, n);
}

Tensor full_adagrad_direction(Buffer& sum, const Tensor& g, double eps) {
  sum.assign(sum + outer(g, g));
  const EighResult e = eigh(sum);
  const Tensor root = sqrt(relu(e.values)) + eps;  // rounding may make the smallest negative
  const Tensor along = matmul(transpose(e.vectors), g);
  // Directions without any gradient so far have eigenvalue 0, and there is no step along them.
  const Tensor largest = amax(e.values) * 1e-30;
  return matmul(e.vectors, where(e.values > largest, along / root, zeros({}, g.dtype())));
}

}  // namespace wengert::optim::detail
