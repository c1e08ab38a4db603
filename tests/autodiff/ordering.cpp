#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/gradient.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::random;

using Tensors = std::vector<Tensor>;
using Integers = std::vector<std::int64_t>;

namespace {

Tensor index(const Integers& at, const Shape& shape) { return from(at, shape); }

}  // namespace

TEST_CASE("gather and its transpose: every derivative agrees with differences") {
  const Tensor two = index({0, 2, 1, 1, 0, 0}, {3, 2});
  check_rule([&](const Tensors& t) { return gather(t[0], 1, two); }, {random({3, 3})});
  check_rule([&](const Tensors& t) { return gather(t[0], 0, two); }, {random({4, 3})});
  check_rule([&](const Tensors& t) { return detail::ungather(t[0], {4, 3}, 1, two); }, {random({3, 2})});
  check_rule([&](const Tensors& t) { return detail::ungather(t[0], {3, 5}, 0, two); }, {random({4, 3})});
  check_rule([&](const Tensors& t) { return scatter_add(t[0], 1, two, t[1]); }, {random({3, 3}), random({3, 2})});
  check_rule([&](const Tensors& t) { return scatter(t[0], 1, two, t[1]); }, {random({3, 3}), random({3, 2})});
  check_rule([&](const Tensors& t) { return take_along(t[0], 1, index({1, 0}, {1, 2})); }, {random({3, 3})});
  check_rule([&](const Tensors& t) { return take(t[0], 1, index({-1, 0, 0, 2}, {2, 2})); }, {random({2, 3, 2})});
  check_rule([&](const Tensors& t) { return gather(t[0], 1, zeros({2, 0}, int64)); }, {random({2, 3})});
  check_rule([&](const Tensors& t) { return masked_select(t[0], tensor({1, 0, 1}, boolean)); }, {random({2, 3})});
}

TEST_CASE("scatter: where several sources meet the last one stays, and it alone receives the cotangent") {
  const Tensor x = zeros({3}, float64).track(), source = tensor({1, 2, 3}, float64).track();
  const Tensor y = scatter(x, 0, index({1, 1, 0}, {3}), source);
  CHECK(y.to_vector<double>() == std::vector<double>{3, 2, 0});
  const Tensor s = sum(y);
  const auto g = grad({&s, 1}, Tensors{x, source});
  CHECK(g[0].to_vector<double>() == std::vector<double>{0, 0, 1});
  CHECK(g[1].to_vector<double>() == std::vector<double>{0, 1, 1});
}

TEST_CASE("sort, topk: stable, NaN last, and cotangents go back where entries came from") {
  const Tensor x = tensor({2, NAN, 1, 2, 0});
  CHECK(argsort(x).to_vector<std::int64_t>() == Integers{4, 2, 0, 3, 1});
  CHECK(argsort(x, {.axis = 0, .descending = true}).to_vector<std::int64_t>() == Integers{1, 0, 3, 2, 4});
  CHECK(topk(tensor({4, 9, 1, 9}), 2).indices.to_vector<std::int64_t>() == Integers{1, 3});
  CHECK(topk(tensor({4, 9, 1, 9}), 2, {.axis = 0, .largest = false}).values.to_vector<float>() ==
        std::vector<float>{1, 4});
  for (int axis : {0, 1, 2}) {
    check_rule([&](const Tensors& t) { return sort(t[0], {.axis = axis, .descending = axis == 1}).values; },
               {random({3, 4, 2})});
    check_rule([&](const Tensors& t) { return topk(t[0], 2, {.axis = axis}).values; }, {random({3, 4, 2})});
  }
}

TEST_CASE("one_hot: one at the index") {
  CHECK(one_hot(index({1, 0}, {2}), 3).to_vector<float>() == std::vector<float>{0, 1, 0, 1, 0, 0});
  CHECK(test::contains(test::message<ValueError>([] { (void)one_hot(index({3}, {1}), 3); }), "index 3"));
}

TEST_CASE("indices outside of the axis are errors with the number") {
  const Tensor x = zeros({2, 3});
  CHECK(test::contains(test::message<ValueError>([&] { (void)gather(x, 1, index({0, 3}, {2, 1})); }),
                       "gather: index 3 is outside of an axis of size 3"));
  CHECK(test::contains(test::message<TypeError>([&] { (void)gather(x, 1, x); }), "gather: the index must be int64"));
  CHECK(test::contains(test::message<ShapeError>([&] { (void)gather(x, 1, index({0}, {1})); }),
                       "must have the axes of [2, 3]"));
  CHECK(test::contains(test::message<ValueError>([&] { (void)topk(x, 4); }), "topk: 4 entries of axis 1"));
}
