#include "support.h"
#include "wengert/autodiff/tape/gradient.h"
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
  test::check_rule([](const std::vector<Tensor>& x) { return nn::mse(x[0], x[1]); },
                   {test::random({3, 4}), test::random({3, 4}, -1, 1, 2)});
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

namespace {

using Tensors = std::vector<Tensor>;
using nn::Reduction;
const Tensor signs = tensor({1, -1, -1, 1}, float64);

}  // namespace

TEST_CASE("losses of numbers: every derivative agrees with differences, for each reduction") {
  const Tensor x = test::random({4, 3}, -2, 2), t = test::random({4, 3}, -2, 2, 2),
               positive = test::random({4, 3}, 0.5, 2, 3);
  for (Reduction how : {Reduction::mean, Reduction::batch_mean, Reduction::sum, Reduction::none}) {
    test::check_rule([&](const Tensors& v) { return nn::mse(v[0], v[1], how); }, {x, t});
    test::check_rule([&](const Tensors& v) { return nn::l1(v[0], v[1], how); }, {x, t});
    test::check_rule([&](const Tensors& v) { return nn::smooth_l1(v[0], v[1], 0.7, how); }, {x, t});
    test::check_rule([&](const Tensors& v) { return nn::huber(v[0], v[1], 0.7, how); }, {x, t});
    test::check_rule([&](const Tensors& v) { return nn::kl_div(v[0], v[1], {.reduction = how}); }, {x, positive});
    test::check_rule([&](const Tensors& v) { return nn::kl_div(v[0], v[1], {.log_target = true, .reduction = how}); },
                     {x, t});
    test::check_rule(
        [&](const Tensors& v) {
          return nn::poisson_nll(v[0], v[1], {.log_input = false, .full = true, .reduction = how});
        },
        {positive, positive * 2});
    test::check_rule(
        [&](const Tensors& v) { return nn::gaussian_nll(v[0], v[1], v[2], {.full = true, .reduction = how}); },
        {x, t, test::random({4, 1}, 0.5, 2, 4)});
    test::check_rule(
        [&](const Tensors& v) { return nn::cosine_embedding(v[0], v[1], to(signs, v[0].dtype()), -0.9, how); }, {x, t});
    test::check_rule(
        [&](const Tensors& v) {
          return nn::triplet_margin(v[0], v[1], v[2], {.margin = 5, .swap = true, .reduction = how});
        },
        {x, t, positive});
    test::check_rule([&](const Tensors& v) { return nn::hinge_embedding(v[0], to(signs, v[0].dtype()), 3, how); },
                     {test::random({4})});
    test::check_rule([&](const Tensors& v) { return nn::margin_ranking(v[0], v[1], to(signs, v[0].dtype()), 3, how); },
                     {test::random({4}), test::random({4}, -1, 1, 2)});
    test::check_rule([&](const Tensors& v) { return nn::soft_margin(v[0], to(signs, v[0].dtype()), how); },
                     {test::random({4})});
  }
}

TEST_CASE("losses of classes: every derivative agrees with differences, with all options") {
  const Tensor x = test::random({4, 3}, -2, 2), image = test::random({2, 3, 2}, -2, 2);
  const Tensor labels = from(std::vector<std::int64_t>{2, 0, 1, 1}, {4}), weight = tensor({0.5, 2, 1}, float64);
  const Tensor p = softmax(test::random({4, 3}, -1, 1, 5), 1);
  for (Reduction how : {Reduction::mean, Reduction::batch_mean, Reduction::sum, Reduction::none}) {
    test::check_rule(
        [&](const Tensors& v) {
          return nn::cross_entropy(
              v[0], labels,
              {.weight = to(weight, v[0].dtype()), .ignore_index = 0, .label_smoothing = 0.1, .reduction = how});
        },
        {x});
    test::check_rule(
        [&](const Tensors& v) { return nn::cross_entropy(v[0], reshape(labels, {2, 2}), {.reduction = how}); },
        {image});
    test::check_rule(
        [&](const Tensors& v) {
          return nn::cross_entropy(v[0], v[1],
                                   {.weight = to(weight, v[0].dtype()), .label_smoothing = 0.1, .reduction = how});
        },
        {x, p});
    test::check_rule(
        [&](const Tensors& v) { return nn::nll(v[0], labels, {.weight = to(weight, v[0].dtype()), .reduction = how}); },
        {x});
    test::check_rule([&](const Tensors& v) { return nn::multi_margin(v[0], labels, 2, 1, how); }, {x});
    test::check_rule(
        [&](const Tensors& v) {
          return nn::binary_cross_entropy(v[0], v[1], {.weight = to(weight, v[0].dtype()), .reduction = how});
        },
        {test::random({4, 3}, 0.2, 0.8), test::random({4, 3}, 0, 1, 2)});
    test::check_rule(
        [&](const Tensors& v) {
          return nn::binary_cross_entropy_with_logits(v[0], v[1],
                                                      {.pos_weight = to(weight, v[0].dtype()), .reduction = how});
        },
        {x, test::random({4, 3}, 0, 1, 2)});
  }
}

TEST_CASE("cross_entropy: a batch of ignored rows costs nothing; options that make no sense are errors") {
  const Tensor x = test::random({2, 3}).track(), labels = zeros({2}, int64);
  const Tensor loss = nn::cross_entropy(x, labels, {.ignore_index = 0});
  CHECK(loss.item() == 0);
  CHECK(grad(loss, x).to_vector<double>() == std::vector<double>(6, 0.0));
  CHECK(contains(message<ValueError>([&] { nn::cross_entropy(x, labels, {.label_smoothing = 1.5}); }),
                 "smoothing must be in [0, 1], got 1.5"));
  CHECK(contains(message<ShapeError>([&] { nn::cross_entropy(x, labels, {.weight = ones({2}, float64)}); }),
                 "the weight must be [3]"));
}

TEST_CASE("binary_cross_entropy_with_logits: exact where the sigmoid is one") {
  const Tensor x = tensor({800, -800}, float64), t = tensor({0, 0}, float64);
  CHECK(nn::binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::none}).to_vector<double>() ==
        std::vector<double>{800, 0});
}

TEST_CASE("ctc: is the sum over all paths, and every derivative agrees with differences") {
  const Tensor x = test::random({3, 1, 3}, -1, 1), targets = from(std::vector<std::int64_t>{1, 2}, {1, 2});
  const Tensor three = full({1}, 3, int64), two = full({1}, 2, int64);
  const auto p = softmax(x, 2).to_vector<double>();
  auto at = [&](int t, int c) { return p[std::size_t(3 * t + c)]; };
  // Paths that spell 1 2: 112, 122, 012, 102, 120.
  const double all = at(0, 1) * at(1, 1) * at(2, 2) + at(0, 1) * at(1, 2) * at(2, 2) + at(0, 0) * at(1, 1) * at(2, 2) +
                     at(0, 1) * at(1, 0) * at(2, 2) + at(0, 1) * at(1, 2) * at(2, 0);
  CHECK(nn::ctc(x, targets, three, two, 0, Reduction::sum).item() == doctest::Approx(-std::log(all)).epsilon(1e-12));
  const Tensor lengths = from(std::vector<std::int64_t>{5, 4}, {2}),
               targets2 = from(std::vector<std::int64_t>{1, 1, 2, 0}, {2, 2});
  const Tensor target_lengths = from(std::vector<std::int64_t>{2, 1}, {2});
  test::check_rule([&](const Tensors& v) { return nn::ctc(v[0], targets2, lengths, target_lengths); },
                   {test::random({5, 2, 3})});
  CHECK(contains(message<ValueError>([&] { nn::ctc(x, zeros({1, 2}, int64), three, two); }), "label 0 in row 0"));
}
