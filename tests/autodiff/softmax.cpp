#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops/adjoints.h"

#include <cmath>
#include <limits>

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

double plain_logsumexp(const double* x, std::int64_t n) {
  long double s = 0, m = *std::max_element(x, x + n);
  for (std::int64_t i = 0; i < n; ++i) s += std::exp((long double)x[i] - m);
  return double(m + std::log(s));
}

Tensor labels(std::vector<std::int64_t> v) { return from(v, {std::int64_t(v.size())}); }

}  // namespace

TEST_CASE("softmax: of equal entries is even") {
  CHECK(softmax(tensor({3, 3, 3, 3})).to_vector<float>() == std::vector<float>(4, 0.25f));
  CHECK(log_softmax(tensor({7})).item() == 0);
  CHECK(logsumexp(tensor({7}), {-1}).item() == 7);
}

TEST_CASE("softmax: rows of every length around the registers, in both dtypes") {
  for (DType dtype : {float32, float64})
    for (std::int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1000, 5000}) {
      const Tensor x = random({3, n}, unsigned(n), dtype, -8, 8);
      const auto v = to(x, float64).to_vector<double>();
      std::vector<double> p(v.size()), l(v.size()), s(3);
      for (std::size_t i = 0; i < 3; ++i) {
        s[i] = plain_logsumexp(&v[i * std::size_t(n)], n);
        for (std::size_t j = i * std::size_t(n); j < (i + 1) * std::size_t(n); ++j)
          l[j] = v[j] - s[i], p[j] = std::exp(l[j]);
      }
      const double t = dtype == float32 ? 1e-6 : 1e-14;
      CAPTURE(n);
      check_close(softmax(x), from(p, {3, n}), t);
      check_close(log_softmax(x), from(l, {3, n}), t);
      check_close(logsumexp(x, {-1}), from(s, {3}), t);
    }
}

TEST_CASE("softmax: rows sum to one, even at plus and minus 1000") {
  const Tensor x = tensor({{1000, 999, -1000}, {-1000, -1000, -1001}});
  const Tensor y = softmax(x), s = sum(y, {1});
  CHECK(std::abs(s.to_vector<float>()[0] - 1) < 1e-6);
  CHECK(std::abs(s.to_vector<float>()[1] - 1) < 1e-6);
  CHECK(y.to_vector<float>()[2] == 0);
  CHECK(log_softmax(x).to_vector<float>()[2] == doctest::Approx(-2000.3132616875));
  CHECK(logsumexp(x, {-1}).to_vector<float>()[0] == doctest::Approx(1000.3132616875));
}

TEST_CASE("softmax: along any axis, from any strides") {
  const Tensor x = random({2, 3, 4, 5}, 1);
  for (int axis = -4; axis < 4; ++axis) {
    CAPTURE(axis);
    const Tensor t = transpose(x, axis, -1);
    check_close(softmax(x, axis), transpose(softmax(clone(t)), axis, -1), 0);
    check_close(log_softmax(x, axis), transpose(log_softmax(clone(t)), axis, -1), 0);
    check_close(logsumexp(x, {.axes = {axis}, .keep_dims = true}),
                transpose(logsumexp(clone(t), {.axes = {-1}, .keep_dims = true}), axis, -1), 0);
    CHECK(softmax(x, axis).is_contiguous());
  }
  CHECK(logsumexp(x, {1}).shape() == Shape{2, 4, 5});
  CHECK(logsumexp(x, {.axes = {1}, .keep_dims = true}).shape() == Shape{2, 1, 4, 5});
  check_close(softmax(slice(x, 3, 0, 5, 2)), softmax(clone(slice(x, 3, 0, 5, 2))), 0);
}

TEST_CASE("softmax: axes of size zero give empty results, and the log of an empty sum is -inf") {
  CHECK(softmax(zeros({3, 0})).shape() == Shape{3, 0});
  CHECK(log_softmax(zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(softmax(zeros({0, 3}), 0).shape() == Shape{0, 3});
  CHECK(logsumexp(zeros({2, 0}), {-1}).to_vector<float>() == std::vector<float>(2, -float(inf)));
}

TEST_CASE("softmax: entries of -inf weigh nothing; NaN and a row without weights stay NaN") {
  const Tensor x = tensor({{0, -inf, 0}, {0, std::nan(""), 0}, {-inf, -inf, -inf}});
  const auto y = softmax(x).to_vector<float>();
  CHECK(y[0] == 0.5f);
  CHECK(y[1] == 0);
  for (std::size_t i = 3; i < 9; ++i) CHECK(std::isnan(y[i]));
  const auto l = log_softmax(x).to_vector<float>();
  CHECK(l[1] == -float(inf));
  CHECK(l[0] == doctest::Approx(-std::log(2)));
  CHECK(std::isnan(l[3]));
}

TEST_CASE("softmax, log_softmax: a row with +inf is NaN, of any length and on any instruction set") {
  for (const DType dtype : {float32, float64})
    for (const std::int64_t n : {2, 15, 16, 40}) {
      std::vector<double> numbers(static_cast<std::size_t>(n), 1);
      numbers[0] = inf, numbers.back() = 200;
      const Tensor x = to(from(numbers, {n}), dtype);
      for (const Tensor& y : {softmax(x), log_softmax(x)})
        for (const double v : to(y, float64).to_vector<double>()) CHECK(std::isnan(v));
    }
}

TEST_CASE("logsumexp: a row of -inf is -inf with gradient zero, and +inf is +inf") {
  const Tensor x = tensor({{-inf, -inf}, {0, -inf}, {inf, 0}}, float64).track();
  const Tensor y = logsumexp(x, {-1});
  CHECK(y.to_vector<double>() == std::vector<double>{-inf, 0, inf});
  // Beside infinity nothing is subtracted, and float32's exponential ends at 89.
  const Tensor mixed = to(tensor({{inf, 1, 200}}, float64), float32);
  CHECK(logsumexp(mixed, {-1}).item() == inf);
  for (bool create_graph : {false, true}) {
    const auto g =
        grad(sum(slice(y, 0, 0, 2)), x, {.create_graph = create_graph, .keep_graph = true}).to_vector<double>();
    CHECK(g == std::vector<double>{0, 0, 1, 0, 0, 0});
  }
  const Tensor ones_like = ones({3, 2}, float64);
  const Tensor few = slice(y, 0, 0, 2);
  CHECK(push_forward({&few, 1}, {&x, 1}, {&ones_like, 1})[0].to_vector<double>() == std::vector<double>{0, 1});
}

TEST_CASE("softmax, log_softmax, logsumexp: derivatives along every axis") {
  for (const Shape& s :
       {Shape{4}, Shape{1}, Shape{3, 4}, Shape{2, 3, 2}, Shape{3, 1}, Shape{2, 19}, Shape{0, 3}, Shape{3, 0}})
    for (int axis = 0; axis < s.rank(); ++axis) {
      CAPTURE(to_string(s));
      CAPTURE(axis);
      const std::vector<Tensor> x{random(s, 1, float64, -2, 2)};
      check_derivatives([&](std::span<const Tensor> t) { return softmax(t[0], axis); }, x);
      check_derivatives([&](std::span<const Tensor> t) { return log_softmax(t[0], axis); }, x);
      if (s.contains(0)) continue;
      check_derivatives([&](std::span<const Tensor> t) { return logsumexp(t[0], {axis}); }, x);
      check_derivatives([&](std::span<const Tensor> t) { return logsumexp(t[0], {.axes = {axis}, .keep_dims = true}); },
                        x);
    }
  check_derivatives(
      [](std::span<const Tensor> t) { return softmax(transpose(t[0])) * log_softmax(slice(t[1], 1, 0, 6, 2), 0); },
      {random({3, 4}, 1), random({4, 6}, 2)});
}

TEST_CASE("cross_entropy: the mean of -log_softmax at the labels") {
  for (DType dtype : {float32, float64}) {
    const Tensor x = random({7, 10}, 1, dtype, -5, 5), t = labels({0, 9, 3, 3, 5, 1, 0});
    const double t1 = dtype == float32 ? 1e-6 : 1e-14;
    const Tensor expected = neg(mean(detail::pick(log_softmax(to(x, float64)), t)));
    check_close(detail::cross_entropy(x, t), expected, t1);
    check_close(detail::cross_entropy(transpose(clone(transpose(x))),
                                      slice(labels({0, 8, 9, 8, 3, 8, 3, 8, 5, 8, 1, 8, 0}), 0, 0, 13, 2)),
                expected, t1);
    const Tensor v = x.track();
    check_close(grad(detail::cross_entropy(v, t) * 3, v),
                (softmax(to(x, float64)) - detail::unpick(ones({7}, float64), t, 10)) * (3 / 7.), t1);
  }
}

TEST_CASE("cross_entropy: a sure and right answer keeps its small loss") {
  CHECK(detail::cross_entropy(tensor({{1000, 990}}), labels({0})).item() ==
        doctest::Approx(std::log1p(std::exp(-10))).epsilon(1e-2));
  CHECK(detail::cross_entropy(tensor({{0, 1000}}), labels({0})).item() == 1000);
}

TEST_CASE("cross_entropy: derivatives") {
  for (std::int64_t k : {1, 2, 5, 18})
    check_derivatives([&](std::span<const Tensor> x) { return detail::cross_entropy(x[0], labels({0, k - 1, k / 2})); },
                      {random({3, k}, 1, float64, -2, 2)});
  check_derivatives([&](std::span<const Tensor> x) { return detail::cross_entropy(transpose(x[0]), labels({0, 1})); },
                    {random({3, 2}, 1, float64, -2, 2)});
}

TEST_CASE("cross_entropy: a million entries, the same bits for any number of threads") {
  const Tensor x = random({1000, 1000}, 1, float32, -5, 5).track();
  std::vector<std::int64_t> c(1000);
  for (std::size_t i = 0; i < 1000; ++i) c[i] = std::int64_t(i * 7 % 1000);
  const int before = threads();
  std::vector<std::vector<float>> seen;
  for (int n : {1, 2, 3, 8}) {
    set_threads(n);
    const Tensor loss = detail::cross_entropy(x, labels(c));
    seen.push_back(grad(loss, x).to_vector<float>());
    seen.back().push_back(float(loss.item()));
  }
  set_threads(before);
  for (auto& s : seen) CHECK(s == seen[0]);
}

TEST_CASE("softmax and cross entropy: mistakes name what came") {
  const Tensor x = ones({2, 3});
  CHECK(message_of<ValueError>([&] { softmax(x, 2); }) == "softmax: axis 2 is out of range [-2, 1] for shape [2, 3]");
  CHECK(message_of<TypeError>([&] { log_softmax(to(x, int64)); }) ==
        "log_softmax: needs float32 or float64, got int64; convert with to(x, float32)");
  CHECK(message_of<ValueError>([&] { logsumexp(scalar(1), {-1}); }) ==
        "logsumexp: axis -1 is out of range: a scalar has no axes");
  CHECK(message_of<ValueError>([&] { detail::cross_entropy(x, labels({0, 3})); }) ==
        "cross_entropy: label 3 in row 1 is not among 3 classes");
  CHECK(message_of<ValueError>([&] { detail::cross_entropy(x, labels({-1, 0})); }) ==
        "cross_entropy: label -1 in row 0 is not among 3 classes");
  CHECK(message_of<ShapeError>([&] { detail::cross_entropy(x, labels({0})); }) ==
        "cross_entropy: needs logits [n, k] and labels [n], got [2, 3] and [1]");
  CHECK(message_of<ShapeError>([&] { detail::cross_entropy(ones({0, 3}), labels({})); }) ==
        "cross_entropy: needs at least one row, got logits [0, 3]");
  CHECK(message_of<TypeError>([&] { detail::cross_entropy(x, ones({2})); }) ==
        "cross_entropy: labels must be int64 class numbers, got float32; convert with to()");
  CHECK(message_of<TypeError>([&] { detail::cross_entropy(to(x, int64), labels({0, 0})); }) ==
        "cross_entropy: logits must be float32 or float64, got int64");
}

TEST_CASE("the softmax family: every derivative agrees with differences, through the harness") {
  using Tensors = std::vector<Tensor>;
  using test::check_rule;
  for (int axis : {0, 1, -1})
    for (Shape s : {Shape{3, 4, 2}, Shape{1, 5, 1}, Shape{2, 3, 40}}) {
      INFO(to_string(s), " axis ", axis);
      check_rule([&](const Tensors& x) { return softmax(x[0], axis); }, {test::random(s)});
      check_rule([&](const Tensors& x) { return log_softmax(x[0], axis); }, {test::random(s)});
      check_rule([&](const Tensors& x) { return logsumexp(x[0], {axis}); }, {test::random(s)});
    }
  const Tensor labels = from(std::vector<std::int64_t>{2, 0, 4}, {3});
  check_rule([&](const Tensors& x) { return detail::cross_entropy(x[0], labels); }, {test::random({3, 5})});
}
