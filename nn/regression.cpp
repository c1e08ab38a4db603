// Losses that compare predictions with real targets.

#include "wengert/nn/reduction.h"

#include <cmath>

namespace wengert::nn {

Tensor mse(Operand prediction, Operand target, Reduction how) {
  same_shape("mse", prediction, target);
  const CalledBy by(prediction);
  return reduced("mse", square(by(sub(prediction, target))), how, by);
}

Tensor l1(Operand prediction, Operand target, Reduction how) {
  same_shape("l1", prediction, target);
  const CalledBy by(prediction);
  return reduced("l1", abs(by(sub(prediction, target))), how, by);
}

Tensor smooth_l1(Operand prediction, Operand target, double beta, Reduction how) {
  same_shape("smooth_l1", prediction, target);
  const CalledBy by(prediction);
  if (!(beta >= 0)) fail<ValueError>(prediction.where(), "smooth_l1: beta must be >= 0, got {}", beta);
  if (beta == 0) return l1(prediction, target, how);
  const Tensor d = sub(prediction, target), size = abs(by(d)), near = affine(by(square(by(d))), 0.5 / beta, 0);
  return reduced("smooth_l1", where(by(less(by(size), beta)), by(near), by(affine(by(size), 1, -beta / 2))), how, by);
}

Tensor huber(Operand prediction, Operand target, double delta, Reduction how) {
  same_shape("huber", prediction, target);
  const CalledBy by(prediction);
  if (!(delta > 0)) fail<ValueError>(prediction.where(), "huber: delta must be > 0, got {}", delta);
  const Tensor d = sub(prediction, target), size = abs(by(d)), near = affine(by(square(by(d))), 0.5, 0);
  return reduced("huber",
                 where(by(less_equal(by(size), delta)), by(near), by(affine(by(size), delta, -delta * delta / 2))), how,
                 by);
}

Tensor poisson_nll(Operand x, Operand target, const PoissonOptions& o) {
  same_shape("poisson_nll", x, target);
  const CalledBy by(x);
  Tensor loss =
      o.log_input ? sub(by(exp(x)), by(mul(target, x))) : sub(x, by(mul(target, by(log(by(affine(x, 1, o.eps)))))));
  if (o.full) {
    const Tensor t = target, many = greater(by(t), 1), safe = where(by(many), by(t), by(ones({}, t.dtype())));
    const Tensor stirling = safe * log(safe) - safe + 0.5 * log(2 * M_PI * safe);
    loss = add(by(loss), by(where(by(many), by(stirling), by(zeros({}, t.dtype())))));
  }
  return reduced("poisson_nll", loss, o.reduction, by);
}

// eps bounds the values of variances only. The cotangent passes, so that a variance below eps can grow.
Tensor gaussian_nll(Operand mean, Operand target, Operand var, const GaussianOptions& o) {
  same_shape("gaussian_nll", mean, target);
  const CalledBy by(mean);
  const Tensor given = expand(var, mean->shape()),
               v = add(by(given), by(relu(by(affine(by(given.detach()), -1, o.eps)))));
  const Tensor loss = add(by(log(by(v))), by(div(by(square(by(sub(mean, target)))), by(v))));
  return reduced("gaussian_nll", affine(by(loss), 0.5, o.full ? 0.5 * std::log(2 * M_PI) : 0), o.reduction, by);
}

Tensor hinge_embedding(Operand x, Operand target, double margin, Reduction how) {
  same_shape("hinge_embedding", x, target);
  const CalledBy by(x);
  const Tensor zero = zeros({}, x->dtype()), apart = positive(affine(x, -1, margin), by);
  const Tensor loss =
      add(by(where(by(not_equal(target, 1)), by(apart), by(zero))), by(where(by(not_equal(target, -1)), x, by(zero))));
  return reduced("hinge_embedding", loss, how, by);
}

Tensor margin_ranking(Operand x, Operand y, Operand target, double margin, Reduction how) {
  same_shape("margin_ranking", x, y), same_shape("margin_ranking", x, target);
  const CalledBy by(x);
  const Tensor behind = affine(by(mul(target, by(sub(x, y)))), -1, margin);
  return reduced("margin_ranking", positive(behind, by), how, by);
}

// eps is added to squared lengths, not to lengths.
Tensor cosine_embedding(Operand x, Operand y, Operand target, double margin, Reduction how) {
  same_shape("cosine_embedding", x, y);
  const CalledBy by(x);
  if (x->rank() < 1 ||
      !(target->shape() == Shape(std::span(x->shape().begin(), static_cast<std::size_t>(x->rank() - 1)))))
    fail<ShapeError>(x.where(), "cosine_embedding: needs x, y [n, size] and target [n], got {} and {}", x->shape(),
                     target->shape());
  auto length2 = [&](Operand t) { return affine(by(sum(by(square(t)), {-1})), 1, 1e-12); };
  const Tensor cos = div(by(sum(by(mul(x, y)), {-1})), by(sqrt(by(mul(by(length2(x)), by(length2(y)))))));
  const Tensor zero = zeros({}, x->dtype()), apart = positive(affine(by(cos), 1, -margin), by);
  const Tensor loss = add(by(where(by(equal(target, 1)), by(affine(by(cos), -1, 1)), by(zero))),
                          by(where(by(equal(target, -1)), by(apart), by(zero))));
  return reduced("cosine_embedding", loss, how, by);
}

Tensor triplet_margin(Operand anchor, Operand positive_one, Operand negative, const TripletOptions& o) {
  same_shape("triplet_margin", anchor, positive_one), same_shape("triplet_margin", anchor, negative);
  const CalledBy by(anchor);
  const Tensor near = pairwise_distance(anchor, positive_one, {.p = o.p, .eps = o.eps});
  Tensor far = pairwise_distance(anchor, negative, {.p = o.p, .eps = o.eps});
  if (o.swap) far = minimum(by(far), by(pairwise_distance(positive_one, negative, {.p = o.p, .eps = o.eps})));
  return reduced("triplet_margin", positive(affine(by(sub(by(near), by(far))), 1, o.margin), by), o.reduction, by);
}

}  // namespace wengert::nn
