#include "wengert/nn/metrics.h"

#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/reduction.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace wengert::nn {
namespace {

std::vector<double> doubles(const Tensor& x) { return to(x.detach(), float64).to_vector<double>(); }

void check_label(const char* what, std::int64_t label, std::size_t row, std::int64_t classes, Where where) {
  if (label < 0 || label >= classes)
    fail<ValueError>(where, "{}: class {} of row {} is not in [0, {})", what, label, row, classes);
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

double accuracy(Operand logits, Operand labels) {
  check_rows("accuracy", logits, labels);
  if (!labels->numel()) fail<ShapeError>(logits.where(), "accuracy: there are no rows in {}", logits->shape());
  const no_grad values;
  return mean(to(equal(Operand(argmax(logits, 1), logits.where()), labels), float64)).item();
}

double top_k_accuracy(Operand logits, Operand labels, std::int64_t k) {
  check_rows("top_k_accuracy", logits, labels);
  const no_grad values;
  const std::int64_t classes = logits->size(1);
  if (!labels->numel()) fail<ShapeError>(logits.where(), "top_k_accuracy: there are no rows in {}", logits->shape());
  if (k < 1 || k > classes)
    fail<ValueError>(logits.where(), "top_k_accuracy: k must be in [1, {}], got {}", classes, k);
  const auto all = doubles(logits);
  const auto y = labels->to_vector<std::int64_t>();
  std::int64_t right = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    check_label("top_k_accuracy", y[i], i, classes, logits.where());
    const double* row = all.data() + static_cast<std::int64_t>(i) * classes;
    const double mine = row[y[i]];
    std::int64_t before = std::isnan(mine) ? classes : 0;
    for (std::int64_t c = 0; c < classes; ++c) before += !(row[c] <= mine) || (row[c] == mine && c < y[i]);
    right += before < k;
  }
  return static_cast<double>(right) / static_cast<double>(y.size());
}

void Mean::update(double value, double weight, Where where) {
  if (!(weight >= 0)) fail<ValueError>(where, "mean: a weight must be >= 0, got {}", weight);
  if (weight > 0) sum_ += weight * value, weight_ += weight;
}
double Mean::value(Where where) const {
  if (!(weight_ > 0)) fail<ValueError>(where, "mean: there is none of nothing; call update() first");
  return sum_ / weight_;
}

Confusion::Confusion(std::int64_t classes, std::vector<std::string> names, Where where)
    : classes_(classes), names_(std::move(names)) {
  if (classes < 1) fail<ValueError>(where, "confusion: classes must be >= 1, got {}", classes);
  if (!names_.empty() && static_cast<std::int64_t>(names_.size()) != classes)
    fail<ValueError>(where, "confusion: {} classes need as many names, got {}", classes, names_.size());
  counts_.resize(static_cast<std::size_t>(classes * classes));
}
Confusion::Confusion(std::vector<std::string> names, Where where)
    : Confusion(static_cast<std::int64_t>(names.size()), names, where) {}

void Confusion::update(Operand predictions, Operand labels) {
  const Where where = predictions.where();
  const no_grad values;
  Tensor classes = predictions->detach();
  if (predictions->rank() == 2) {
    check_rows("confusion", predictions, labels);
    if (predictions->size(1) != classes_)
      fail<ShapeError>(where, "confusion: needs logits [n, {}], got {}", classes_, predictions->shape());
    classes = argmax(Operand(classes, where), 1);
  } else if (predictions->rank() != 1 || !(predictions->shape() == labels->shape())) {
    fail<ShapeError>(where, "confusion: needs logits [n, {}] or classes [n], and labels [n], got {} and {}", classes_,
                     predictions->shape(), labels->shape());
  }
  const auto p = classes.to_vector<std::int64_t>(where), y = labels->to_vector<std::int64_t>(where);
  for (std::size_t i = 0; i < y.size(); ++i)
    check_label("confusion", y[i], i, classes_, where), check_label("confusion", p[i], i, classes_, where);
  for (std::size_t i = 0; i < y.size(); ++i) ++counts_[static_cast<std::size_t>(y[i] * classes_ + p[i])];
}

std::int64_t Confusion::count(std::int64_t label, std::int64_t prediction) const {
  check_label("confusion", label, 0, classes_, Where::current());
  check_label("confusion", prediction, 0, classes_, Where::current());
  return counts_[static_cast<std::size_t>(label * classes_ + prediction)];
}
std::int64_t Confusion::row(std::int64_t label) const {
  std::int64_t n = 0;
  for (std::int64_t p = 0; p < classes_; ++p) n += count(label, p);
  return n;
}
std::int64_t Confusion::column(std::int64_t prediction) const {
  std::int64_t n = 0;
  for (std::int64_t y = 0; y < classes_; ++y) n += count(y, prediction);
  return n;
}
std::int64_t Confusion::total() const {
  std::int64_t n = 0;
  for (const auto c : counts_) n += c;
  return n;
}

double Confusion::accuracy(Where where) const {
  if (!total()) fail<ValueError>(where, "confusion: nothing was counted; call update() first");
  return micro().f1;
}

Scores Confusion::scores(std::int64_t label) const {
  const auto right = static_cast<double>(count(label, label)), is = static_cast<double>(row(label)),
             called = static_cast<double>(column(label));
  return {ratio(right, called), ratio(right, is), ratio(2 * right, is + called)};
}

Scores Confusion::macro() const {
  Scores sum;
  double n = 0;
  for (std::int64_t k = 0; k < classes_; ++k) {
    if (row(k) + column(k) == 0) continue;
    const Scores s = scores(k);
    sum.precision += s.precision, sum.recall += s.recall, sum.f1 += s.f1, ++n;
  }
  return {ratio(sum.precision, n), ratio(sum.recall, n), ratio(sum.f1, n)};
}

Scores Confusion::micro() const {
  std::int64_t right = 0;
  for (std::int64_t k = 0; k < classes_; ++k) right += count(k, k);
  const double share = ratio(static_cast<double>(right), static_cast<double>(total()));
  return {share, share, share};
}

std::string to_string(const Confusion& c) {
  const auto name = [&](std::int64_t k) {
    return c.names_.empty() ? std::to_string(k) : c.names_[static_cast<std::size_t>(k)];
  };
  std::vector<std::vector<std::string>> rows{{"label"}};
  for (std::int64_t k = 0; k < c.classes_; ++k) rows[0].push_back(name(k));
  const auto end_with = [](std::vector<std::string>& row, const Scores& s) {
    for (const double v : {s.precision, s.recall, s.f1}) row.push_back(fmt::format("{:.3f}", v));
  };
  rows[0].insert(rows[0].end(), {"precision", "recall", "f1"});
  for (std::int64_t y = 0; y < c.classes_; ++y) {
    auto& row = rows.emplace_back(1, name(y));
    for (std::int64_t p = 0; p < c.classes_; ++p) row.push_back(c.count(y, p) ? readable_count(c.count(y, p)) : ".");
    end_with(row, c.scores(y));
  }
  auto& last = rows.emplace_back(1, "macro");
  last.resize(static_cast<std::size_t>(c.classes_) + 1);
  end_with(last, c.macro());
  return in_columns(rows, 1);
}

void Roc::update(Operand scores, Operand labels) {
  const Where where = scores.where();
  needs_float("roc", scores);
  if (scores->rank() != 1 || !(scores->shape() == labels->shape()))
    fail<ShapeError>(where, "roc: needs scores [n] and labels [n], got {} and {}; of two logits take the difference",
                     scores->shape(), labels->shape());
  if (labels->dtype() != int64 && labels->dtype() != boolean)
    fail<TypeError>(where, "roc: labels must be bool, or int64 of 0 and 1, got {}", labels->dtype());
  const no_grad values;
  const auto s = doubles(scores), y = doubles(labels);
  for (std::size_t i = 0; i < s.size(); ++i)
    if (std::isnan(s[i]) || (y[i] != 0 && y[i] != 1))
      fail<ValueError>(where, "roc: row {} has the score {} and the label {}; needed are numbers, and 0 or 1", i, s[i],
                       y[i]);
  for (std::size_t i = 0; i < s.size(); ++i) all_.push_back({s[i], y[i] == 1});
}

std::vector<Roc::Point> Roc::points(Where where) const {
  const auto positives = static_cast<double>(std::ranges::count(all_, true, &Scored::positive)),
             negatives = static_cast<double>(all_.size()) - positives;
  if (positives == 0 || negatives == 0)
    fail<ValueError>(where, "roc: needs rows of both kinds, got {} positive and {} negative ones", positives,
                     negatives);
  auto sorted = all_;
  std::ranges::sort(sorted, std::ranges::greater(), &Scored::score);
  std::vector<Point> curve{{std::numeric_limits<double>::infinity(), 0, 0}};
  double right = 0, wrong = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    (sorted[i].positive ? right : wrong) += 1;
    // Equal scores are crossed together.
    if (i + 1 == sorted.size() || sorted[i + 1].score != sorted[i].score)
      curve.push_back({sorted[i].score, wrong / negatives, right / positives});
  }
  return curve;
}

double Roc::auc(Where where) const {
  const auto curve = points(where);
  double area = 0;
  for (std::size_t i = 1; i < curve.size(); ++i)
    area += (curve[i].false_positives - curve[i - 1].false_positives) *
            (curve[i].true_positives + curve[i - 1].true_positives) / 2;
  return area;
}

void RSquared::update(Operand prediction, Operand y) {
  same_shape("r_squared", prediction, y);
  const no_grad values;
  const auto p = doubles(prediction), t = doubles(y);
  for (std::size_t i = 0; i < t.size(); ++i) {
    // Welford 1962: no digits are lost when the mean is far from zero.
    const double off = t[i] - mean_;
    mean_ += off / ++rows_;
    spread_ += off * (t[i] - mean_);
    residual_ += (t[i] - p[i]) * (t[i] - p[i]);
  }
}

double RSquared::value(Where where) const {
  if (rows_ == 0) fail<ValueError>(where, "r_squared: there is nothing to judge; call update() first");
  if (spread_ == 0) return residual_ == 0 ? 1 : 0;
  return 1 - residual_ / spread_;
}

void Perplexity::update(Operand logits, Operand labels) {
  check_rows("perplexity", logits, labels);
  const no_grad values;
  const Where where = logits.where();
  if (labels->numel())
    update(cross_entropy(Operand(to(logits, float64), where), labels).item(), labels->numel(), where);
}
void Perplexity::update(double loss, std::int64_t tokens, Where where) {
  mean_.update(loss, static_cast<double>(tokens), where);
}
double Perplexity::value(Where where) const { return std::exp(mean_.value(where)); }

}  // namespace wengert::nn
