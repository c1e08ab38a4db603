#pragma once

// Metrics of models, computed off the tape and in double. The classes accumulate batches: update() for each batch, then
// value().
//
//   nn::Confusion confusion(10);
//   for (auto [x, y] : data::batches(test)) confusion.update(model(x), y);
//   std::cout << to_string(confusion);
// A metric of no data is a ValueError.

#include "wengert/autodiff/ops.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wengert::nn {

/// The share of rows whose largest logit is that of the label.  logits [n, classes], labels [n] int64.
/// ShapeError, TypeError.
WENGERT_API double accuracy(Operand logits, Operand labels);
/// The share of rows whose label is among the k largest logits. The first of equal logits counts as the larger one. A
/// row whose label has the logit NaN is wrong.  ValueError unless 1 <= k <= classes, and for a label out of range.
WENGERT_API double top_k_accuracy(Operand logits, Operand labels, std::int64_t k);

/// A weighted mean.
class WENGERT_API Mean {
 public:
  /// ValueError when the weight is negative.
  void update(double value, double weight = 1, Where = Where::current());
  double value(Where = Where::current()) const;
  double weight() const { return weight_; }

 private:
  double sum_ = 0, weight_ = 0;
};

/// Precision: the share of predictions of a class that are right. Recall: the share of rows of a class that are
/// predicted. f1: their harmonic mean. A score without rows is 0.
struct Scores {
  double precision = 0, recall = 0, f1 = 0;
};

class Confusion;
/// A table with a row for each label and a column for each prediction, then precision, recall and f1. The last line is
/// macro().
WENGERT_API std::string to_string(const Confusion&);

/// Confusion matrix: counts pairs of label and prediction.
class WENGERT_API Confusion {
 public:
  /// Names appear in the table. ValueError unless classes >= 1 and there is a name for each class or none.
  explicit Confusion(std::int64_t classes, std::vector<std::string> names = {}, Where = Where::current());
  explicit Confusion(std::vector<std::string> names, Where = Where::current());

  /// Logits [n, classes], or int64 classes [n]; labels [n] int64.  ShapeError, TypeError; ValueError for a class out of
  /// range; nothing is counted then.
  void update(Operand logits_or_classes, Operand labels);

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t label, std::int64_t prediction) const;
  std::int64_t total() const;
  double accuracy(Where = Where::current()) const;
  /// Scores of one class against all others.
  Scores scores(std::int64_t label) const;
  /// The mean over classes, without classes that neither occur nor are predicted.
  Scores macro() const;
  /// Scores of all decisions together. With one label for each row all three are the accuracy.
  Scores micro() const;

  friend std::string to_string(const Confusion&);

 private:
  std::int64_t row(std::int64_t label) const;
  std::int64_t column(std::int64_t prediction) const;

  std::int64_t classes_;
  std::vector<std::string> names_;
  std::vector<std::int64_t> counts_;  // [label, prediction]
};

/// Receiver operating characteristic of a binary classifier. Stores every score.
class WENGERT_API Roc {
 public:
  /// Scores [n] float32 or float64, labels [n] bool or int64 of 0 and 1.  ShapeError, TypeError; ValueError for other
  /// labels and for NaN.
  void update(Operand scores, Operand labels);

  struct Point {
    double threshold, false_positives, true_positives;  ///< rates for score >= threshold
  };
  /// Points from (0, 0), with an infinite threshold, to (1, 1), one for each distinct score in falling order.
  /// ValueError unless both labels occur.
  std::vector<Point> points(Where = Where::current()) const;
  /// The area under the curve: the probability that a positive row has a larger score than a negative row. Equal scores
  /// count one half.
  double auc(Where = Where::current()) const;

 private:
  struct Scored {
    double score;
    bool positive;
  };
  std::vector<Scored> all_;
};

/// 1 - sum (y - prediction)^2 / sum (y - mean y)^2; 1 is a perfect prediction, 0 is that of the mean. For constant y it
/// is 1 if all predictions are right, else 0.
class WENGERT_API RSquared {
 public:
  /// ShapeError, TypeError unless the shapes are equal and the dtypes float32 or float64.
  void update(Operand prediction, Operand y);
  double value(Where = Where::current()) const;

 private:
  double rows_ = 0, mean_ = 0, spread_ = 0, residual_ = 0;
};

/// exp of the mean negative log-likelihood of the labels: the number of equally likely labels with the same
/// uncertainty.
class WENGERT_API Perplexity {
 public:
  /// logits [n, classes], labels [n] int64; as nn::cross_entropy.
  void update(Operand logits, Operand labels);
  /// Adds a mean loss in nats over a number of tokens.
  void update(double loss, std::int64_t tokens, Where = Where::current());
  double value(Where = Where::current()) const;
  /// The mean loss in nats.
  double loss(Where = Where::current()) const { return mean_.value(); }

 private:
  Mean mean_;
};

}  // namespace wengert::nn
