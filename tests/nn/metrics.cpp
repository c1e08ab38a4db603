#include "wengert/nn/metrics.h"

#include "wengert/autodiff/tape/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace wengert;

namespace {
Tensor labels(const std::vector<std::int64_t>& y) { return from(y, {static_cast<std::int64_t>(y.size())}); }
constexpr double missing = std::numeric_limits<double>::quiet_NaN();
}  // namespace

TEST_CASE("top_k_accuracy: counts labels among the k largest, and agrees with accuracy for k = 1") {
  const Tensor logits = tensor({{1, 3, 2}, {1, 3, 2}, {1, 3, 2}, {5, 5, 5}});
  const Tensor y = labels({1, 2, 0, 1});
  CHECK(nn::top_k_accuracy(logits, y, 1) == 0.25);
  CHECK(nn::top_k_accuracy(logits, y, 2) == 0.75);
  CHECK(nn::top_k_accuracy(logits, y, 3) == 1);
  Rng rng{1};
  const Tensor many = rng.normal({200, 7}), classes = rng.integers({200}, 0, 7);
  CHECK(nn::top_k_accuracy(many, classes, 1) == nn::accuracy(many, classes));
  CHECK(nn::top_k_accuracy(tensor({{missing, 1}, {1, missing}}), labels({0, 0}), 1) == 0);
  CHECK_THROWS_AS(nn::top_k_accuracy(logits, y, 4), ValueError);
  CHECK_THROWS_WITH_AS(nn::top_k_accuracy(logits, labels({0, 3, 0, 0}), 1),
                       doctest::Contains("class 3 of row 1 is not in [0, 3)"), ValueError);
}

TEST_CASE("mean: weighted, and none of nothing") {
  nn::Mean mean;
  CHECK_THROWS_AS(mean.value(), ValueError);
  mean.update(1), mean.update(4, 2), mean.update(missing, 0);
  CHECK(mean.value() == 3);
  CHECK(mean.weight() == 3);
  CHECK_THROWS_AS(mean.update(1, -1), ValueError);
}

TEST_CASE("confusion: precision, recall and f1 by their definitions, over batches of logits and of classes") {
  nn::Confusion c({"cat", "dog", "owl", "never"});
  c.update(labels({0, 0, 1, 1}), labels({0, 0, 0, 1}));
  c.update(tensor({{0, 0, 1, 0}, {1, 0, 0, 0}}), labels({2, 2}));
  CHECK(c.total() == 6);
  CHECK(c.count(0, 1) == 1);
  CHECK(c.accuracy() == doctest::Approx(4. / 6));
  CHECK(c.scores(0).precision == doctest::Approx(2. / 3));
  CHECK(c.scores(0).recall == doctest::Approx(2. / 3));
  CHECK(c.scores(1).precision == 0.5);
  CHECK(c.scores(1).recall == 1);
  CHECK(c.scores(1).f1 == doctest::Approx(2. / 3));
  CHECK(c.scores(2).f1 == doctest::Approx(2. / 3));
  CHECK(c.scores(3).f1 == 0);
  CHECK(c.macro().precision == doctest::Approx((2. / 3 + 0.5 + 1) / 3));
  CHECK(c.macro().f1 == doctest::Approx(2. / 3));
  CHECK(c.micro().recall == c.accuracy());
  const std::string table = to_string(c);
  CHECK(table.find("cat") != table.npos);
  CHECK(table.find("macro") != table.npos);
  CHECK(table.find("0.667") != table.npos);
}

TEST_CASE("confusion: what does not fit is refused, and nothing is counted then") {
  nn::Confusion c(3);
  CHECK_THROWS_AS(c.accuracy(), ValueError);
  CHECK_THROWS_WITH_AS(c.update(labels({0, 1}), labels({0, 3})), doctest::Contains("class 3 of row 1"), ValueError);
  CHECK_THROWS_AS(c.update(labels({0, -1}), labels({0, 0})), ValueError);
  CHECK_THROWS_AS(c.update(ones({2, 4}), labels({0, 0})), ShapeError);
  CHECK_THROWS_AS(c.update(labels({0}), labels({0, 0})), ShapeError);
  CHECK_THROWS_AS(c.update(ones({2}), labels({0, 0})), TypeError);
  CHECK(c.total() == 0);
  CHECK_THROWS_AS(nn::Confusion(0), ValueError);
  CHECK_THROWS_AS(nn::Confusion(2, {"one"}), ValueError);
}

TEST_CASE("roc: the area is the probability of the right order, and ties count one half") {
  nn::Roc roc;
  roc.update(tensor({0.1, 0.4}), labels({0, 0}));
  roc.update(tensor({0.35, 0.8}), labels({1, 1}));
  CHECK(roc.auc() == doctest::Approx(0.75));  // 3 of 4 pairs
  const auto curve = roc.points();
  CHECK(curve.size() == 5);
  CHECK(std::isinf(curve[0].threshold));
  CHECK(curve[1].true_positives == 0.5);
  CHECK(curve[2].false_positives == 0.5);
  CHECK(curve.back().true_positives == 1);
  CHECK(curve.back().false_positives == 1);

  Rng rng{3};
  const Tensor scores = to(rng.integers({200}, 0, 12), float64), y = rng.bernoulli({200}, 0.3);
  nn::Roc tied;
  tied.update(scores, y);
  double right = 0, pairs = 0;
  const auto s = scores.to_vector<double>();
  const auto t = y.to_vector<bool>();
  for (std::size_t i = 0; i < 200; ++i)
    for (std::size_t k = 0; k < 200; ++k)
      if (t[i] && !t[k]) ++pairs, right += s[i] > s[k] ? 1 : s[i] == s[k] ? 0.5 : 0;
  CHECK(tied.auc() == doctest::Approx(right / pairs).epsilon(1e-13));
  CHECK(tied.points().size() == 13);
}

TEST_CASE("roc: all equal scores are worth one half, and one kind of labels nothing") {
  nn::Roc roc;
  roc.update(ones({4}), labels({0, 1, 1, 0}));
  CHECK(roc.auc() == 0.5);
  nn::Roc one;
  one.update(ones({2}), labels({1, 1}));
  CHECK_THROWS_WITH_AS(one.auc(), doctest::Contains("2 positive and 0 negative"), ValueError);
  CHECK_THROWS_AS(one.update(ones({1}), labels({2})), ValueError);
  CHECK_THROWS_AS(one.update(tensor({missing}), labels({1})), ValueError);
  CHECK_THROWS_AS(one.update(ones({2, 1}), labels({1, 1})), ShapeError);
  CHECK_THROWS_AS(one.update(ones({1}), ones({1})), TypeError);
}

TEST_CASE("r squared: one minus residuals over spread, far from zero too") {
  nn::RSquared r;
  r.update(tensor({2.5, 0.0}), tensor({3, -0.5}));
  r.update(tensor({2, 8}), tensor({2, 7}));
  CHECK(r.value() == doctest::Approx(0.9486081370449679).epsilon(1e-12));  // 1 - 1.5 / 29.1875
  nn::RSquared far;
  far.update(tensor({1e9, 1e9 + 1, 1e9 + 3}, float64), tensor({1e9, 1e9 + 1, 1e9 + 2}, float64));
  CHECK(far.value() == doctest::Approx(0.5).epsilon(1e-9));
  nn::RSquared constant;
  CHECK_THROWS_AS(constant.value(), ValueError);
  constant.update(ones({2}), ones({2}));
  CHECK(constant.value() == 1);
  constant.update(zeros({1}), ones({1}));
  CHECK(constant.value() == 0);
  CHECK_THROWS_AS(constant.update(ones({2, 1}), ones({2})), ShapeError);
}

TEST_CASE("perplexity: as many as there are equally likely classes") {
  nn::Perplexity p;
  CHECK_THROWS_AS(p.value(), ValueError);
  p.update(zeros({3, 50}), labels({1, 2, 3}));
  CHECK(p.value() == doctest::Approx(50));
  p.update(std::log(2.), 3);
  CHECK(p.value() == doctest::Approx(10));
  CHECK(p.loss() == doctest::Approx(std::log(10.)));
}
