#pragma once

// How good a model is. Off the tape, and in double. The classes add up batches: update() with each, then ask.
//
//   nn::Confusion confusion(10);
//   for (auto [x, y] : data::batches(test)) confusion.update(model(x), y);
//   std::cout << to_string(confusion);
//
// ValueError when there is nothing to judge by.

#include "wengert/autodiff/ops.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wengert::nn {

/// Share of rows whose largest logit is that of the label; off the tape.  logits [n, classes], labels [n] int64.
/// ShapeError, TypeError.
WENGERT_API double accuracy(Operand logits, Operand labels);
/// Share of rows whose label is among the k largest logits; of equal ones the first count as the larger. A row whose
/// label has a NaN is never right.  ValueError unless 1 <= k <= classes, and for a label out of range.
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

/// Precision: how many of those that were called so are so. Recall: how many of those that are so were called so.
/// f1: their harmonic mean. 0 where there is nothing to divide by.
struct Scores {
  double precision = 0, recall = 0, f1 = 0;
};

class Confusion;
/// A table: a row for each label, a column for each prediction, then precision, recall and f1; the last line is
/// macro().
WENGERT_API std::string to_string(const Confusion&);

/// How often which class was taken for which.
class WENGERT_API Confusion {
 public:
  /// Names are for the table. ValueError unless there is at least one class, and a name for each or none.
  explicit Confusion(std::int64_t classes, std::vector<std::string> names = {}, Where = Where::current());
  explicit Confusion(std::vector<std::string> names, Where = Where::current());

  /// Logits [n, classes], or int64 classes [n]; labels [n] int64.  ShapeError, TypeError; ValueError for a class out of
  /// range, and then nothing was counted.
  void update(Operand logits_or_classes, Operand labels);

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t label, std::int64_t prediction) const;
  std::int64_t total() const;
  double accuracy(Where = Where::current()) const;
  /// Of one class against all others.
  Scores scores(std::int64_t label) const;
  /// The mean over classes; those that neither occur nor were predicted are left out.
  Scores macro() const;
  /// Of all decisions together: with one label for each row all three are the accuracy.
  Scores micro() const;

  friend std::string to_string(const Confusion&);

 private:
  std::int64_t row(std::int64_t label) const;
  std::int64_t column(std::int64_t prediction) const;

  std::int64_t classes_;
  std::vector<std::string> names_;
  std::vector<std::int64_t> counts_;  // [label, prediction]
};

/// Receiver operating characteristic of scores for a class that is there or not. Keeps every score.
class WENGERT_API Roc {
 public:
  /// Scores [n] float32 or float64, labels [n] bool or int64 of 0 and 1.  ShapeError, TypeError; ValueError for other
  /// labels and for NaN.
  void update(Operand scores, Operand labels);

  struct Point {
    double threshold, false_positives, true_positives;  ///< rates of rows with scores >= threshold
  };
  /// From (0, 0), whose threshold is infinite, to (1, 1): a point for each different score, falling. ValueError unless
  /// both kinds of labels have come.
  std::vector<Point> points(Where = Where::current()) const;
  /// The area below the curve by trapezoids: the probability that a positive has a larger score than a negative one,
  /// where equal scores count one half.
  double auc(Where = Where::current()) const;

 private:
  struct Scored {
    double score;
    bool positive;
  };
  std::vector<Scored> all_;
};

/// 1 - sum (y - prediction)^2 / sum (y - mean y)^2; 1 is perfect, 0 as good as the mean. Where y does not vary, 1 if
/// all predictions are right, else 0.
class WENGERT_API RSquared {
 public:
  /// Equal shapes, float32 or float64.  ShapeError, TypeError.
  void update(Operand prediction, Operand y);
  double value(Where = Where::current()) const;

 private:
  double rows_ = 0, mean_ = 0, spread_ = 0, residual_ = 0;
};

/// exp of the mean negative log-likelihood of the labels: among how many equally likely ones a model would be as
/// unsure.
class WENGERT_API Perplexity {
 public:
  /// logits [n, classes], labels [n] int64; as nn::cross_entropy.
  void update(Operand logits, Operand labels);
  /// A mean loss in nats over so many tokens.
  void update(double loss, std::int64_t tokens, Where = Where::current());
  double value(Where = Where::current()) const;
  /// The mean loss in nats.
  double loss(Where = Where::current()) const { return mean_.value(); }

 private:
  Mean mean_;
};

}  // namespace wengert::nn
