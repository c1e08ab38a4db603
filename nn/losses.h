#pragma once

// Loss functions. A loss that compares two tensors needs equal shapes: nothing is broadcast. Otherwise ShapeError or
// TypeError.

#include "wengert/autodiff/ops.h"

namespace wengert::nn {

/// How the losses of single elements or rows are reduced: mean; batch_mean, their sum divided by the size of axis 0;
/// sum; none, no reduction.
enum class Reduction { mean, batch_mean, sum, none };

struct CrossEntropyOptions {
  Tensor weight = {};                             ///< [classes]: weights of the classes
  std::optional<std::int64_t> ignore_index = {};  ///< rows with this label do not contribute
  double label_smoothing = 0;  ///< in [0, 1]: this share of each target is spread evenly over the classes
  Reduction reduction = Reduction::mean;
};
/// Mean over rows of -log softmax(logits)[label].  logits [n, classes], labels [n] int64.  ValueError naming row and
/// label when a label is out of range.
WENGERT_API Tensor cross_entropy(Operand logits, Operand labels);
/// Cross entropy with options, for logits [n, classes, ...] or [classes] and targets that are either labels [n, ...]
/// int64 or probabilities of the shape of logits. A row costs (1 - s) w[label] (-log p[label]) + s / classes sum_k w[k]
/// (-log p[k]); for probabilities t, -sum_k w[k] (t[k] (1 - s) + s / classes) log p[k].  The mean divides by the sum of
/// w[label] over rows that are not ignored (0 if all are); for probabilities by the number of rows.  ValueError for a
/// label out of range or label_smoothing outside of [0, 1].
WENGERT_API Tensor cross_entropy(Operand logits, Operand targets, const CrossEntropyOptions&);
/// Cross entropy of given logarithms of probabilities.  ValueError unless label_smoothing is 0.
WENGERT_API Tensor nll(Operand log_probabilities, Operand labels, const CrossEntropyOptions& = {});

/// (prediction - target)^2.
WENGERT_API Tensor mse(Operand prediction, Operand target, Reduction = Reduction::mean);
/// |prediction - target|. The derivative is 0 where they are equal.
WENGERT_API Tensor l1(Operand prediction, Operand target, Reduction = Reduction::mean);
/// d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = prediction - target.  ValueError when beta < 0.
WENGERT_API Tensor smooth_l1(Operand prediction, Operand target, double beta = 1, Reduction = Reduction::mean);
/// d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).  ValueError unless delta > 0.  Huber 1964.
WENGERT_API Tensor huber(Operand prediction, Operand target, double delta = 1, Reduction = Reduction::mean);

struct BinaryOptions {
  Tensor weight = {};      ///< broadcast over the elements
  Tensor pos_weight = {};  ///< weights of the positive part, broadcast; only for logits
  Reduction reduction = Reduction::mean;
};
/// -(t log p + (1 - t) log(1 - p)) with logarithms clamped to >= -100.  The derivative by p is (p - t) / max(p (1 - p),
/// 1e-12).
WENGERT_API Tensor binary_cross_entropy(Operand probabilities, Operand target, const BinaryOptions& = {});
/// Binary cross entropy of logits x, without overflow for finite x: (1 - t) x + (1 + (pos_weight - 1) t) softplus(-x).
WENGERT_API Tensor binary_cross_entropy_with_logits(Operand logits, Operand target, const BinaryOptions& = {});

struct KlDivOptions {
  bool log_target = false;  ///< the second argument is log p
  Reduction reduction = Reduction::batch_mean;
};
/// p (log p - log_q), 0 where p = 0.
WENGERT_API Tensor kl_div(Operand log_q, Operand p, const KlDivOptions& = {});
/// x where target is 1; max(margin - x, 0) where it is -1.
WENGERT_API Tensor hinge_embedding(Operand x, Operand target, double margin = 1, Reduction = Reduction::mean);
/// max(-target (x - y) + margin, 0), target 1 where x should be larger, -1 where y should be larger.
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
  bool swap = false;  ///< use |positive - negative| where it is smaller than |anchor - negative|
  Reduction reduction = Reduction::mean;
};
/// max(|anchor - positive| - |anchor - negative| + margin, 0), with the p-norm of differences plus eps.  [..,
/// size].
WENGERT_API Tensor triplet_margin(Operand anchor, Operand positive, Operand negative, const TripletOptions& = {});

struct PoissonOptions {
  bool log_input = true;  ///< x is the logarithm of the rate
  bool full = false;      ///< add Stirling's approximation of log t! where t > 1
  double eps = 1e-8;      ///< added to the rate inside the logarithm
  Reduction reduction = Reduction::mean;
};
/// exp(x) - t x with log_input, else x - t log(x + eps).
WENGERT_API Tensor poisson_nll(Operand x, Operand target, const PoissonOptions& = {});

struct GaussianOptions {
  bool full = false;  ///< add log(2 pi) / 2
  double eps = 1e-6;  ///< lower bound of variances; the cotangent passes through the bound
  Reduction reduction = Reduction::mean;
};
/// (log(var) + (mean - target)^2 / var) / 2.  var broadcasts to the shape of mean.
WENGERT_API Tensor gaussian_nll(Operand mean, Operand target, Operand var, const GaussianOptions& = {});

/// -log of the total probability of all alignments of the target: logits [steps, n, classes], targets [n, max_length],
/// lengths [n], targets and lengths int64.  batch_mean and mean first divide each row by the length of its target, as
/// PyTorch does.  Graves et
/// al. 2006.
WENGERT_API Tensor ctc(Operand logits, Operand targets, Operand input_lengths, Operand target_lengths,
                       std::int64_t blank = 0, Reduction = Reduction::mean);

}  // namespace wengert::nn
