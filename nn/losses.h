#pragma once

// What training makes small. Shapes must be equal where a loss compares two tensors: nothing is broadcast. ShapeError,
// TypeError.

#include "wengert/autodiff/ops.h"

namespace wengert::nn {

/// What becomes of the losses of single elements or rows: their mean, their sum divided by the size of axis 0, their
/// sum, or all of them.
enum class Reduction { mean, batch_mean, sum, none };

struct CrossEntropyOptions {
  Tensor weight = {};                       ///< [classes]: factors of the classes
  std::optional<std::int64_t> ignore = {};  ///< rows with this label count nothing
  double smoothing = 0;                     ///< in [0, 1]: this share of each target is spread evenly over the classes
  Reduction reduction = Reduction::mean;
};
/// Mean over rows of -log softmax(logits)[label].  logits [n, classes], labels [n] int64.  ValueError naming row and
/// label when a label is out of range.
WENGERT_API Tensor cross_entropy(Operand logits, Operand labels);
/// The same with options, for logits [n, classes, ...] or [classes] and targets that are either labels [n, ...] int64
/// or probabilities of the shape of logits. A row costs (1 - s) w[label] (-log p[label]) + s / classes sum_k w[k] (-log
/// p[k]); for probabilities t, -sum_k w[k] (t[k] (1 - s) + s / classes) log p[k].  The mean divides by the sum of
/// w[label] over rows that are not ignored (0 if all are); for probabilities by the number of rows.  ValueError for a
/// label out of range or smoothing outside of [0, 1].
WENGERT_API Tensor cross_entropy(Operand logits, Operand targets, const CrossEntropyOptions&);
/// cross_entropy of logarithms of probabilities that were computed before; smoothing must be 0.
WENGERT_API Tensor nll(Operand log_probabilities, Operand labels, const CrossEntropyOptions& = {});

/// (prediction - target)^2.
WENGERT_API Tensor mse(Operand prediction, Operand target, Reduction = Reduction::mean);
/// |prediction - target|; slope 0 where they are equal.
WENGERT_API Tensor l1(Operand prediction, Operand target, Reduction = Reduction::mean);
/// d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = prediction - target.  ValueError when beta < 0.
WENGERT_API Tensor smooth_l1(Operand prediction, Operand target, double beta = 1, Reduction = Reduction::mean);
/// d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).  ValueError unless delta > 0.  Huber 1964.
WENGERT_API Tensor huber(Operand prediction, Operand target, double delta = 1, Reduction = Reduction::mean);

struct BinaryOptions {
  Tensor weight = {};      ///< broadcast over the elements
  Tensor pos_weight = {};  ///< with logits only: factors of the positive part, broadcast
  Reduction reduction = Reduction::mean;
};
/// -(t log p + (1 - t) log(1 - p)) with logarithms kept above -100.  The slope in p is (p - t) / max(p (1 - p), 1e-12).
WENGERT_API Tensor binary_cross_entropy(Operand probabilities, Operand target, const BinaryOptions& = {});
/// The same from logits, exact for any finite ones: (1 - t) x + (1 + (pos_weight - 1) t) softplus(-x).
WENGERT_API Tensor binary_cross_entropy_with_logits(Operand logits, Operand target, const BinaryOptions& = {});

/// p (log p - log_q), 0 where p = 0.  `log_target`: the second argument is log p.
WENGERT_API Tensor kl_div(Operand log_q, Operand p, Reduction = Reduction::batch_mean, bool log_target = false);
/// x where target is 1; max(margin - x, 0) where it is -1.
WENGERT_API Tensor hinge_embedding(Operand x, Operand target, double margin = 1, Reduction = Reduction::mean);
/// max(-target (x - y) + margin, 0), target 1 where x should be the larger, -1 where y.
WENGERT_API Tensor margin_ranking(Operand x, Operand y, Operand target, double margin = 0, Reduction = Reduction::mean);
/// 1 - cos(x, y) where target is 1, max(cos(x, y) - margin, 0) where it is -1.  x, y [n, size], target [n].
WENGERT_API Tensor cosine_embedding(Operand x, Operand y, Operand target, double margin = 0,
                                    Reduction = Reduction::mean);
/// log(1 + exp(-target x)), target 1 or -1.
WENGERT_API Tensor soft_margin(Operand x, Operand target, Reduction = Reduction::mean);
/// sum over k other than the label of max(margin - x[label] + x[k], 0)^p, divided by the classes.  x [n, classes],
/// labels [n].
WENGERT_API Tensor multi_margin(Operand x, Operand labels, double p = 1, double margin = 1,
                                Reduction = Reduction::mean);

struct TripletOptions {
  double margin = 1, p = 2, eps = 1e-6;
  bool swap = false;  ///< take the distance of positive and negative, if it is the smaller
  Reduction reduction = Reduction::mean;
};
/// max(|anchor - positive| - |anchor - negative| + margin, 0), the p-norm of differences to which eps was added.  [..,
/// size].
WENGERT_API Tensor triplet_margin(Operand anchor, Operand positive, Operand negative, const TripletOptions& = {});

struct PoissonOptions {
  bool log_input = true;  ///< x is the logarithm of the rate
  bool full = false;      ///< add Stirling's log t! where t > 1
  double eps = 1e-8;      ///< inside of the logarithm of a rate
  Reduction reduction = Reduction::mean;
};
/// exp(x) - t x, or x - t log(x + eps).
WENGERT_API Tensor poisson_nll(Operand x, Operand target, const PoissonOptions& = {});

struct GaussianOptions {
  bool full = false;  ///< add log(2 pi) / 2
  double eps = 1e-6;  ///< variances below it count as it; the cotangent passes
  Reduction reduction = Reduction::mean;
};
/// (log(var) + (mean - target)^2 / var) / 2.  var broadcasts to the shape of mean.
WENGERT_API Tensor gaussian_nll(Operand mean, Operand target, Operand var, const GaussianOptions& = {});

/// -log of the probability of all paths that spell the target: [steps, n, classes] logits, targets [n, longest],
/// lengths [n], all int64. batch_mean and mean divide each row by its target's length first, as is usual.  Graves et
/// al. 2006.
WENGERT_API Tensor ctc(Operand logits, Operand targets, Operand input_lengths, Operand target_lengths,
                       std::int64_t blank = 0, Reduction = Reduction::mean);

}  // namespace wengert::nn
