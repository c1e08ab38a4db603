#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::random;

using Tensors = std::vector<Tensor>;

TEST_CASE("cumsum, cumprod, logcumsumexp: running values along any axis, from either end") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(cumsum(x, 1).to_vector<float>() == std::vector<float>{1, 3, 6, 4, 9, 15});
  CHECK(cumsum(x, 0).to_vector<float>() == std::vector<float>{1, 2, 3, 5, 7, 9});
  CHECK(cumsum(x, -1, {.reverse = true}).to_vector<float>() == std::vector<float>{6, 5, 3, 15, 11, 6});
  CHECK(cumprod(x, 1).to_vector<float>() == std::vector<float>{1, 2, 6, 4, 20, 120});
  CHECK(cumsum(tensor({1, 1, 0, 1}, boolean), 0).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2, 2, 3});
  CHECK(logcumsumexp(tensor({1000, 1000}, float64), 0).to_vector<double>()[1] == doctest::Approx(1000 + std::log(2)));
  CHECK(logcumsumexp(tensor({-INFINITY, 1}, float64), 0).to_vector<double>() == std::vector<double>{-INFINITY, 1});
}

TEST_CASE("running operators: every derivative agrees with differences") {
  for (Shape shape : {Shape{5}, Shape{3, 4}, Shape{2, 3, 2}, Shape{1}, Shape{0, 2}, Shape{2, 0}, Shape{300, 3}})
    for (int axis = 0; axis < shape.rank(); ++axis) {
      INFO(to_string(shape), " along ", axis);
      const Tensor x = random(shape, 0.5, 1.1, 3);
      for (bool reverse : {false, true}) {
        check_rule([&](const Tensors& t) { return cumsum(t[0], axis, {.reverse = reverse}); }, {x});
        check_rule([&](const Tensors& t) { return cumprod(t[0], axis, {.reverse = reverse}); }, {x});
        check_rule([&](const Tensors& t) { return linear_recurrence(t[0], t[1], axis, {.reverse = reverse}); },
                   {x, random(shape, -1, 1, 4)});
      }
      check_rule([&](const Tensors& t) { return logcumsumexp(t[0], axis); }, {random(shape, -2, 2, 5)});
      check_rule([&](const Tensors& t) { return cummax(t[0], axis).values; }, {x});
      check_rule([&](const Tensors& t) { return cummin(t[0], axis).values; }, {x});
      if (shape[axis] > 1) check_rule([&](const Tensors& t) { return diff(t[0], axis, 2); }, {x});
    }
}

TEST_CASE("cumprod: zeros are exact, to the second derivative") {
  const Tensor x = tensor({2, 0, 3, 0}, float64).track();
  const Tensor g = grad(sum(cumprod(x, 0)), x, {.create_graph = true});
  CHECK(g.to_vector<double>() == std::vector<double>{1, 8, 0, 0});
  CHECK(grad(sum(g), x).to_vector<double>() == std::vector<double>{4, 12, 2, 6});
}

TEST_CASE("cummax: of equal entries the last, and a NaN stays") {
  const Indexed y = cummax(tensor({1, 3, 3, 2, NAN, 5}), 0);
  CHECK(y.indices.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 2, 4, 4});
  CHECK(std::isnan(y.values.to_vector<float>()[5]));
}

TEST_CASE("running operators name what does not fit") {
  CHECK(test::contains(test::message<ValueError>([] { (void)cumsum(zeros({2}), 1); }),
                       "cumsum: axis 1 is out of range [-1, 0] for shape [2]"));
  CHECK(test::contains(test::message<ShapeError>([] { (void)linear_recurrence(zeros({2}), zeros({3}), 0); }),
                       "linear_recurrence: shapes differ: [2] and [3]"));
  CHECK(test::contains(test::message<TypeError>([] { (void)logcumsumexp(zeros({2}, int64), 0); }),
                       "logcumsumexp: needs float32 or float64"));
}
