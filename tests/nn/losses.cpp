#include "support.h"

#include "wengert/autodiff/gradient.h"
#include "wengert/nn/nn.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

TEST_CASE("cross_entropy: is the mean of -log softmax at the label, with its closed-form gradient") {
  const Tensor logits = test::random({4, 3}, -2, 2).track();
  const Tensor labels = from(std::vector<std::int64_t>{2, 0, 1, 1}, {4});
  const Tensor loss = nn::cross_entropy(logits, labels);
  const auto x = logits.to_vector<double>();
  double expected = 0;
  std::vector<double> slope(12);
  for (std::size_t i = 0; i < 4; ++i) {
    double total = 0;
    for (std::size_t k = 0; k < 3; ++k) total += std::exp(x[3 * i + k]);
    const auto label = static_cast<std::size_t>(labels.to_vector<std::int64_t>()[i]);
    expected += std::log(total) - x[3 * i + label];
    for (std::size_t k = 0; k < 3; ++k) slope[3 * i + k] = (std::exp(x[3 * i + k]) / total - (k == label)) / 4;
  }
  CHECK(loss.item() == doctest::Approx(expected / 4).epsilon(1e-13));
  const auto g = grad(loss, logits).to_vector<double>();
  for (std::size_t i = 0; i < 12; ++i) CHECK(g[i] == doctest::Approx(slope[i]).epsilon(1e-12));
}

TEST_CASE("cross_entropy: wrong shapes, dtypes and labels are errors at the caller's line") {
  const Tensor logits = zeros({3, 2});
  CHECK(contains(message<ShapeError>([&] { nn::cross_entropy(logits, zeros({3, 2}, int64)); }), "[n, classes]"));
  CHECK(contains(message<ShapeError>([&] { nn::cross_entropy(logits, zeros({4}, int64)); }), "losses.cpp"));
  CHECK(contains(message<TypeError>([&] { nn::cross_entropy(logits, zeros({3})); }), "to(labels, int64)"));
  const auto what = message<ValueError>([&] { nn::cross_entropy(logits, full({3}, 2, int64)); });
  CHECK(contains(what, "2"));
  CHECK(contains(what, "tests/nn/losses.cpp"));
}

TEST_CASE("mse: is the mean over all elements, and its rules agree with differences") {
  CHECK(nn::mse(tensor({1, 2, 3}), tensor({1, 0, 0})).item() == doctest::Approx(13.0 / 3));
  test::check_rule([](const std::vector<Tensor>& x) { return nn::mse(x[0], x[1]); }, {test::random({3, 4}), test::random({3, 4}, -1, 1, 2)});
}

TEST_CASE("mse: shapes must be equal; it never broadcasts") {
  const auto what = message<ShapeError>([] { nn::mse(ones({8, 1}), ones({8})); });
  CHECK(contains(what, "[8, 1] and [8]"));
  CHECK(contains(what, "reshape"));
  CHECK(contains(what, "losses.cpp"));
  CHECK_THROWS_AS(nn::mse(zeros({0}), zeros({0})), ShapeError);
}

TEST_CASE("accuracy: is the share of rows whose largest logit is the label's") {
  const Tensor logits = tensor({{1, 2, 0}, {3, 1, 1}, {0, 0, 5}, {9, 1, 2}}).track();
  CHECK(nn::accuracy(logits, from(std::vector<std::int64_t>{1, 0, 0, 0}, {4})) == 0.75);
  CHECK_THROWS_AS(nn::accuracy(zeros({0, 3}), zeros({0}, int64)), ShapeError);
  CHECK_THROWS_AS(nn::accuracy(logits, zeros({4})), TypeError);
}
