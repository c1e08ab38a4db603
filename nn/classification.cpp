// Losses that compare scores with classes.

#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/nn/reduction.h"

#include <cmath>

namespace wengert::nn {

namespace {

// Reshapes [n, classes, ...] or [classes] to [rows, classes].
Tensor rows_of_classes(std::string_view loss, Operand x, const CalledBy& by) {
  needs_float(loss, x);
  if (x->rank() == 0) fail<ShapeError>(x.where(), "{}: needs [n, classes, ...] or [classes], got a scalar", loss);
  if (x->rank() == 1) return unsqueeze(x, 0);
  return reshape(by(movedim(x, {1}, {-1})), {-1, x->shape()[1]});
}

// The shape of x without the classes.
Shape without_classes(const Shape& x) {
  Shape s = x;
  s.erase(x.rank() > 1 ? 1 : 0);
  return s;
}

// The weights of classes; a scalar 1 if none are given.
Tensor class_weights(std::string_view loss, const Tensor& weight, std::int64_t classes, DType dtype,
                     const CalledBy& by) {
  if (!weight.defined()) return {};
  if (!(weight.shape() == Shape{classes}))
    fail<ShapeError>(by.where, "{}: the weight must be [{}], got {}", loss, classes, weight.shape());
  if (weight.dtype() != dtype)
    fail<TypeError>(by.where, "{}: the weight is {}, not {}; convert it with to()", loss, weight.dtype(), dtype);
  return weight;
}

// Rows with labels: log_p [m, classes], labels of shape `shape` with m elements.
Tensor from_labels(std::string_view loss, const Tensor& log_p, Operand labels, const Shape& shape,
                   const CrossEntropyOptions& o, const CalledBy& by) {
  if (!(labels->shape() == shape))
    fail<ShapeError>(
        by.where,
        "{}: needs logits [n, classes] and labels [n] (or [n, classes, ...] and [n, ...]): labels {} instead of {}",
        loss, labels->shape(), shape);
  const std::int64_t classes = log_p.shape()[1];
  const DType dtype = log_p.dtype();
  const Tensor flat = contiguous(by(reshape(labels, {-1}))), zero = zeros({}, dtype);
  Tensor kept = full(flat.shape(), 1, boolean), label = flat;
  if (o.ignore_index) {
    kept = not_equal(by(flat), static_cast<double>(*o.ignore_index));
    label = where(by(kept), by(flat), by(zeros({}, int64)));
  }
  const Tensor weight = class_weights(loss, o.weight, classes, dtype, by);
  Tensor factor = where(by(kept), by(weight.defined() ? take(by(weight), 0, by(label)) : ones({}, dtype)), by(zero));
  Tensor each = scale(by(factor), by(neg(by(wengert::detail::pick(by(log_p), by(label))))));
  if (o.label_smoothing > 0) {
    const Tensor all = neg(by(sum(by(weight.defined() ? mul(by(log_p), by(weight)) : log_p), {1})));
    const Tensor spread = where(by(kept), by(all), by(zero));
    each = add(by(affine(by(each), 1 - o.label_smoothing, 0)),
               by(affine(by(spread), o.label_smoothing / static_cast<double>(classes), 0)));
  }
  if (o.reduction == Reduction::none) return reshape(by(each), shape);
  if (o.reduction == Reduction::sum) return sum(by(each));
  if (!each.numel()) fail<ShapeError>(by.where, "{}: there is no mean over no rows", loss);
  if (o.reduction == Reduction::batch_mean)
    return affine(by(sum(by(each))), 1.0 / static_cast<double>(shape.rank() ? shape[0] : 1), 0);
  const Tensor total = sum(by(factor));
  return div(by(sum(by(each))), by(where(by(equal(by(total), 0)), by(ones({}, dtype)), by(total))));
}

Tensor from_probabilities(const Tensor& log_p, Operand target, Operand logits, const CrossEntropyOptions& o,
                          const CalledBy& by) {
  same_shape("cross_entropy", logits, target);
  const std::int64_t classes = log_p.shape()[1];
  const Tensor weight = class_weights("cross_entropy", o.weight, classes, log_p.dtype(), by);
  Tensor t = rows_of_classes("cross_entropy", target, by);
  if (o.label_smoothing > 0) t = affine(by(t), 1 - o.label_smoothing, o.label_smoothing / static_cast<double>(classes));
  const Tensor costs = neg(by(weight.defined() ? mul(by(log_p), by(weight)) : log_p));
  const Tensor each = sum(by(scale(by(t), by(costs))), {1});
  return reduced("cross_entropy", reshape(by(each), without_classes(logits->shape())), o.reduction, by);
}

}  // namespace

Tensor cross_entropy(Operand logits, Operand targets, const CrossEntropyOptions& o) {
  const CalledBy by(logits);
  if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1))
    fail<ValueError>(logits.where(), "cross_entropy: label_smoothing must be in [0, 1], got {}", o.label_smoothing);
  const bool plain = !o.weight.defined() && !o.ignore_index && o.label_smoothing == 0 && o.reduction == Reduction::mean;
  if (plain && logits->rank() == 2 && targets->dtype() == int64) return cross_entropy(logits, targets);
  const Tensor log_p = log_softmax(by(rows_of_classes("cross_entropy", logits, by)), 1);
  if (targets->dtype() == int64)
    return from_labels("cross_entropy", log_p, targets, without_classes(logits->shape()), o, by);
  return from_probabilities(log_p, targets, logits, o, by);
}

Tensor nll(Operand log_probabilities, Operand labels, const CrossEntropyOptions& o) {
  const CalledBy by(log_probabilities);
  if (o.label_smoothing != 0)
    fail<ValueError>(log_probabilities.where(), "nll: label_smoothing must be 0, got {}; cross_entropy has it",
                     o.label_smoothing);
  const Tensor log_p = rows_of_classes("nll", log_probabilities, by);
  return from_labels("nll", log_p, labels, without_classes(log_probabilities->shape()), o, by);
}

namespace {

Tensor log_above_100(const Tensor& x) { return clamp(log(x), -100, HUGE_VAL); }

// -(t log p + (1 - t) log(1 - p)), with logarithms clamped to >= -100; the derivative by p is (p - t) / max(p (1 - p), 1e-12).
struct BinaryCrossEntropy {
  static constexpr std::string_view name = "binary_cross_entropy";
  Saved p, t;
  Tensor forward(const Tensor& a, const Tensor& b) {
    p = a, t = b;
    const Tensor x = a.detach(), y = b.detach();
    return y * -log_above_100(x) + (1 - y) * -clamp(log1p(-x), -100, HUGE_VAL);
  }
  template <int I>
  Tensor slope() const {
    const Tensor &x = p, &y = t;
    if constexpr (I == 0) return (x - y) / maximum(x * (1 - x), 1e-12);
    else return clamp(log1p(-x), -100, HUGE_VAL) - log_above_100(x);
  }
  template <int I> Tensor vjp(arg<I>, const Tensor& y_bar) const { return scale(y_bar, slope<I>()); }
  template <int I> Tensor jvp(arg<I>, const Tensor& x_dot) const { return scale(x_dot, slope<I>()); }
};

Tensor weighted(std::string_view loss, Tensor each, const BinaryOptions& o, const CalledBy& by) {
  if (o.weight.defined()) each = mul(by(each), by(expand(by(o.weight), each.shape())));
  return reduced(loss, each, o.reduction, by);
}

}  // namespace

Tensor binary_cross_entropy(Operand probabilities, Operand target, const BinaryOptions& o) {
  same_shape("binary_cross_entropy", probabilities, target);
  const CalledBy by(probabilities);
  if (o.pos_weight.defined())
    fail<ValueError>(probabilities.where(),
                     "binary_cross_entropy: pos_weight needs logits; use binary_cross_entropy_with_logits");
  return weighted("binary_cross_entropy", apply(BinaryCrossEntropy{}, probabilities, target), o, by);
}

Tensor binary_cross_entropy_with_logits(Operand logits, Operand target, const BinaryOptions& o) {
  same_shape("binary_cross_entropy_with_logits", logits, target);
  const CalledBy by(logits);
  Tensor cost = softplus(by(neg(logits)));
  if (o.pos_weight.defined()) {
    const Tensor more = affine(by(expand(by(o.pos_weight), logits->shape())), 1, -1);
    cost = mul(by(affine(by(mul(by(more), target)), 1, 1)), by(cost));
  }
  return weighted("binary_cross_entropy_with_logits", add(by(mul(by(affine(target, -1, 1)), logits)), by(cost)), o, by);
}

Tensor kl_div(Operand log_q, Operand p, const KlDivOptions& o) {
  same_shape("kl_div", log_q, p);
  const CalledBy by(log_q);
  if (o.log_target) return reduced("kl_div", mul(by(exp(p)), by(sub(p, log_q))), o.reduction, by);
  return reduced("kl_div", sub(by(xlogy(p, p)), by(mul(p, log_q))), o.reduction, by);
}

Tensor soft_margin(Operand x, Operand target, Reduction how) {
  same_shape("soft_margin", x, target);
  const CalledBy by(x);
  return reduced("soft_margin", softplus(by(neg(by(mul(target, x))))), how, by);
}

Tensor multi_margin(Operand x, Operand labels, double p, double margin, Reduction how) {
  needs_float("multi_margin", x);
  const CalledBy by(x);
  if (x->rank() != 2 || !(labels->shape() == Shape{x->shape()[0]}))
    fail<ShapeError>(x.where(), "multi_margin: needs x [n, classes] and labels [n], got {} and {}", x->shape(),
                     labels->shape());
  const Tensor own = unsqueeze(by(wengert::detail::pick(x, labels)), 1);
  const Tensor behind = positive(affine(by(sub(x, by(own))), 1, margin), by);
  const Tensor costs = p == 1 ? behind : pow(by(behind), p);
  const Tensor others = equal(by(one_hot(labels, x->shape()[1])), 0);
  const Tensor each = sum(by(where(by(others), by(costs), by(zeros({}, x->dtype())))), {1});
  return reduced("multi_margin", affine(by(each), 1.0 / static_cast<double>(x->shape()[1]), 0), how, by);
}

}  // namespace wengert::nn
