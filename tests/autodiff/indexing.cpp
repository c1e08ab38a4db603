#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/ops/adjoints.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

Tensor index(std::vector<std::int64_t> v) { return from(v, {std::int64_t(v.size())}); }

}  // namespace

TEST_CASE("index_select: takes rows in any order, more than once or not at all") {
  const Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(index_select(x, 0, index({2, 0, 2})).to_vector<float>() == std::vector<float>{5, 6, 1, 2, 5, 6});
  CHECK(index_select(x, 1, index({1})).to_vector<float>() == std::vector<float>{2, 4, 6});
  CHECK(index_select(x, -1, index({1, 1, 0})).shape() == Shape{3, 3});
  CHECK(index_select(x, 0, index({})).shape() == Shape{0, 2});
  CHECK(index_select(ones({3, 0}), 0, index({1, 1})).shape() == Shape{2, 0});
}

TEST_CASE("index_select: all dtypes, strided operands and strided indices") {
  const Tensor x = arange(60);
  const Tensor y = transpose(reshape(x, {3, 4, 5}), 0, 2), at = slice(index({1, 9, 0, 9, 3, 9}), 0, 0, 6, 2);
  for (DType d : {float32, float64, int64, boolean})
    CHECK(to(index_select(to(y, d), 1, at), float64).to_vector<double>() ==
          to(index_select(to(clone(y), d), 1, clone(at)), float64).to_vector<double>());
  const Tensor r = index_select(y, 1, at);
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k)
        CHECK(select(select(select(r, 0, i), 0, j), 0, k).item() ==
              20 * k + 5 * std::vector{1, 0, 3}[std::size_t(j)] + i);
}

TEST_CASE("index_add: adds entries that meet") {
  const Tensor x = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(detail::unselect(x, {2, 2}, 0, index({1, 1, 1})).to_vector<float>() == std::vector<float>{0, 0, 9, 12});
  CHECK(detail::unselect(x, {3, 3}, 1, index({2, 0})).to_vector<float>() ==
        std::vector<float>{2, 0, 1, 4, 0, 3, 6, 0, 5});
  CHECK(detail::unselect(zeros({0, 2}), {2, 2}, 0, index({})).to_vector<float>() == std::vector<float>(4, 0.f));
  CHECK(detail::unselect(from(std::vector<std::int64_t>{4, 5}, {2}), {2}, 0, index({0, 0})).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{9, 0});
}

TEST_CASE("index_add: many rows onto few, against a plain loop") {
  const std::int64_t m = 3000, n = 7, inner = 40;
  const Tensor x = random({m, inner}, 1);
  std::vector<std::int64_t> at(m);
  for (std::size_t i = 0; i < std::size_t(m); ++i) at[i] = std::int64_t(i * i % 7);
  std::vector<double> expected(std::size_t(n * inner));
  const auto v = x.to_vector<double>();
  for (std::size_t i = 0; i < std::size_t(m); ++i)
    for (std::size_t j = 0; j < std::size_t(inner); ++j)
      expected[std::size_t(at[i] * inner) + j] += v[i * std::size_t(inner) + j];
  CHECK(detail::unselect(x, {n, inner}, 0, index(at)).to_vector<double>() == expected);
}

TEST_CASE("pick and unpick: one entry of each row") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(detail::pick(x, index({2, 0})).to_vector<float>() == std::vector<float>{3, 4});
  CHECK(detail::pick(transpose(x), slice(index({1, 5, 0, 5, 1}), 0, 0, 5, 2)).to_vector<float>() ==
        std::vector<float>{4, 2, 6});
  CHECK(detail::unpick(tensor({7, 8}), index({2, 0}), 3).to_vector<float>() == std::vector<float>{0, 0, 7, 8, 0, 0});
  CHECK(detail::pick(zeros({0, 3}), index({})).shape() == Shape{0});
  CHECK(detail::unpick(zeros({0}), index({}), 3).shape() == Shape{0, 3});
  CHECK(detail::pick(to(x, float64), index({1, 1})).to_vector<double>() == std::vector<double>{2, 5});
}

TEST_CASE("indexing: derivatives") {
  for (int axis : {0, 1, 2})
    for (const auto& at : {index({0, 1, 1}), index({1}), index({})}) {
      check_derivatives([&](std::span<const Tensor> x) { return index_select(x[0] * x[0], axis, at); },
                        {random({2, 2, 3}, 1)});
      Shape shape{2, 2, 3};
      shape[axis] = at.shape()[0];
      check_derivatives([&](std::span<const Tensor> x) { return detail::unselect(x[0], {2, 2, 3}, axis, at) * x[1]; },
                        {random(shape, 1), random({2, 2, 3}, 2)});
    }
  check_derivatives([](std::span<const Tensor> x) { return detail::pick(x[0] * x[0], index({2, 0, 1})); },
                    {random({3, 4}, 1)});
  check_derivatives([](std::span<const Tensor> x) { return detail::unpick(x[0] * x[0], index({2, 0, 1}), 4); },
                    {random({3}, 1)});
  check_derivatives([](std::span<const Tensor> x) { return detail::pick(transpose(x[0]), index({2, 0})); },
                    {random({3, 2}, 1)});
}

TEST_CASE("indexing: mistakes name the index, its position and the size") {
  const Tensor x = ones({2, 3});
  CHECK(message_of<ValueError>([&] { index_select(x, 0, index({0, 2})); }) ==
        "index_select: index 2 at position 1 is outside of an axis of size 2");
  CHECK(message_of<ValueError>([&] { index_select(x, 1, index({-1})); }) ==
        "index_select: index -1 at position 0 is outside of an axis of size 3");
  CHECK(message_of<TypeError>([&] { index_select(x, 0, tensor({0, 1})); }) ==
        "index_select: the index must be int64, got float32; convert with to(index, int64)");
  CHECK(message_of<ShapeError>([&] { index_select(x, 0, from(std::vector<std::int64_t>{0}, {1, 1})); }) ==
        "index_select: the index must have one axis, got [1, 1]");
  CHECK(message_of<ValueError>([&] { index_select(x, 2, index({0})); }) ==
        "index_select: axis 2 is out of range [-2, 1] for shape [2, 3]");
  CHECK(message_of<ValueError>([&] { detail::unselect(x, {2, 3}, 0, index({0, 5})); }) ==
        "index_add: index 5 at position 1 is outside of an axis of size 2");
  CHECK(message_of<ShapeError>([&] { detail::unselect(x, {2, 4}, 0, index({0, 1})); }) ==
        "index_add: [2, 3] and [2, 4] differ in an axis other than 0");
  CHECK(message_of<ShapeError>([&] { detail::unselect(x, {2, 3}, 0, index({0})); }) ==
        "index_add: needs one index for each entry of axis 0 of [2, 3], got 1");
  CHECK(message_of<TypeError>([&] { detail::unselect(to(x, boolean), {2, 3}, 0, index({0, 1})); }) ==
        "index_add: not defined for bool; convert with to(x, int64)");
  CHECK(message_of<ValueError>([&] { detail::pick(x, index({0, 3})); }) ==
        "pick: index 3 at position 1 is outside of an axis of size 3");
  CHECK(message_of<ShapeError>([&] { detail::pick(x, index({0})); }) ==
        "pick: x is [2, 3], so 2 indices are needed, got 1");
  CHECK(message_of<ShapeError>([&] { detail::pick(ones({2}), index({0})); }) == "pick: x must be [n, k], got [2]");
  CHECK(message_of<ValueError>([&] { detail::unpick(ones({2}), index({0, 3}), 3); }) ==
        "unpick: index 3 at position 1 is outside of an axis of size 3");
  CHECK(message_of<ShapeError>([&] { detail::unpick(ones({2}), index({0}), 3); }) ==
        "unpick: x is [2], so 2 indices are needed, got 1");
}

TEST_CASE("indexing: every derivative agrees with differences, through the harness") {
  using Tensors = std::vector<Tensor>;
  using test::check_rule;
  const Tensor index = from(std::vector<std::int64_t>{2, 0, 2, 1}, {4}),
               row = from(std::vector<std::int64_t>{1, 0, 2}, {3});
  for (int axis : {0, 1}) {
    check_rule([&](const Tensors& x) { return index_select(x[0], axis, index); }, {test::random({3, 3})});
    check_rule([&](const Tensors& x) { return detail::unselect(x[0], {3, 4}, 0, index); }, {test::random({4, 4})});
  }
  check_rule([&](const Tensors& x) { return detail::pick(x[0], row); }, {test::random({3, 3})});
  check_rule([&](const Tensors& x) { return detail::unpick(x[0], row, 3); }, {test::random({3})});
}
