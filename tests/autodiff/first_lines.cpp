// What people type first, coming from PyTorch: it compiles and does what it says.

#include "support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <doctest/doctest.h>

#include <array>
#include <sstream>

using namespace wengert;
using test::contains;
using test::message;

namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}
using Floats = std::vector<float>;

}  // namespace

TEST_CASE("from: lists of numbers become tensors, each kind with its dtype") {
  CHECK(printed(from(std::vector<int>{1, 2})) == "[1, 2]  int64 [2]");
  CHECK(printed(from(std::vector<std::int64_t>{1, 2})) == "[1, 2]  int64 [2]");
  CHECK(printed(from(std::vector<std::size_t>{1, 2})) == "[1, 2]  int64 [2]");
  CHECK(printed(from(std::vector<unsigned char>{255}, {1, 1})) == "[[255]]  int64 [1, 1]");
  CHECK(printed(from(std::vector<float>{1, 2})) == "[1, 2]  float32 [2]");
  CHECK(printed(from(std::vector<double>{1, 2})) == "[1, 2]  float64 [2]");
  CHECK(printed(from(std::vector<bool>{true, false})) == "[ true, false]  bool [2]");
  CHECK(printed(from(std::array{1.5f, 2.f})) == "[1.5,   2]  float32 [2]");
  const double plain[] = {1, 2};
  CHECK(printed(from(std::span<const double>(plain), {2, 1})) == "[[1],\n [2]]  float64 [2, 1]");
  CHECK(from(std::vector<int>{}).shape() == Shape{0});
  CHECK(contains(message<ShapeError>([] { (void)from(std::vector<int>{1, 2}, {3}); }), "first_lines.cpp"));
}

TEST_CASE("tensor: braces nest to any depth, rows of one number included") {
  const int n = 3;
  CHECK(printed(tensor({{1}, {2}})) == "[[1],\n [2]]  float32 [2, 1]");
  CHECK(printed(tensor({{1, 2}})) == "[[1, 2]]  float32 [1, 2]");
  CHECK(printed(tensor({1})) == "[1]  float32 [1]");
  CHECK(printed(tensor({{1, 2}, {n, 4.5}}, float64)) == "[[  1,   2],\n [  3, 4.5]]  float64 [2, 2]");
  CHECK(tensor({{{1, 2, 3}, {4, 5, 6}}}).shape() == Shape{1, 2, 3});
  CHECK(tensor({{{1}}}).shape() == Shape{1, 1, 1});
  CHECK(tensor({{{{1}, {2}}}, {{{3}, {4}}}}).to_vector<float>() == Floats{1, 2, 3, 4});
  CHECK(tensor({}).shape() == Shape{0});
  CHECK(tensor({{}, {}}).shape() == Shape{2, 0});
  CHECK(tensor({true, false}, boolean).to_vector<bool>() == std::vector<bool>{true, false});
  CHECK(tensor(2.5).shape() == Shape{});
  CHECK(tensor(2.5).item() == 2.5);
}

TEST_CASE("tensor: lists of different lengths are an error that names the axis") {
  CHECK(contains(message<ShapeError>([] { (void)tensor({{1, 2}, {3}}); }), "lists of 2 and 1 entries"));
  CHECK(contains(message<ShapeError>([] { (void)tensor({{1, 2}, {3}}); }), "on axis 1"));
  CHECK(contains(message<ShapeError>([] { (void)tensor({{1, 2}, 3}); }), "lists and numbers"));
  CHECK(contains(message<ShapeError>([] { (void)tensor({1, {2}}); }), "first_lines.cpp"));
}

TEST_CASE("item: an index names one element, also of a view") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(x.item({1, 2}) == 6);
  CHECK(x.item({-1, 0}) == 4);
  CHECK(transpose(x).item({2, 0}) == 3);
  CHECK(select(x, 0, 1).item(1) == 5);
  CHECK(scalar(7, int64).item() == 7);
  CHECK(contains(message<ValueError>([&] { (void)x.item({2, 0}); }), "no element [2, 0] in [2, 3]"));
  CHECK(contains(message<ValueError>([&] { (void)x.item({0, -4}); }), "first_lines.cpp"));
  CHECK(contains(message<ShapeError>([&] { (void)x.item({1}); }), "an entry for each axis of [2, 3]"));
  CHECK(contains(message<ShapeError>([&] { (void)x.item(); }), "x.item({i, j})"));
}

TEST_CASE("streams take tensors, shapes and dtypes") {
  CHECK(printed(zeros({2})) == "[0, 0]  float32 [2]");
  CHECK(printed(Tensor()) == "undefined");
  CHECK(printed(zeros({2, 3}).shape()) == "[2, 3]");
  CHECK(printed(float64) == "float64");
}

TEST_CASE("where, maximum and minimum take numbers on either side") {
  const Tensor x = tensor({-1, 2}).track(), yes = x > 0;
  CHECK(where(yes, x, 0.0).to_vector<float>() == Floats{0, 2});
  CHECK(where(yes, 0, x).to_vector<float>() == Floats{-1, 0});
  CHECK(where(yes, 1, 0).to_vector<float>() == Floats{0, 1});
  CHECK(maximum(x, 0).to_vector<float>() == Floats{0, 2});
  CHECK(maximum(0.5, x).to_vector<float>() == Floats{0.5, 2});
  CHECK(minimum(x, 0).to_vector<float>() == Floats{-1, 0});
  CHECK(minimum(0, x).to_vector<float>() == Floats{-1, 0});
  CHECK(maximum(to(x, float64), 0.1).dtype() == float64);
  CHECK(grad(sum(where(yes, x * x, 0)), x).to_vector<float>() == Floats{0, 4});
  CHECK(grad(sum(minimum(0, x * 3)), x).to_vector<float>() == Floats{3, 0});
}

TEST_CASE("comparisons take numbers on either side") {
  const Tensor x = tensor({1, 2, 3});
  using Bools = std::vector<bool>;
  CHECK((2 < x).to_vector<bool>() == Bools{false, false, true});
  CHECK((2 <= x).to_vector<bool>() == Bools{false, true, true});
  CHECK((2 > x).to_vector<bool>() == Bools{true, false, false});
  CHECK((2 >= x).to_vector<bool>() == Bools{true, true, false});
}

TEST_CASE("clamp: a bound in braces that is left out is no bound") {
  const Tensor x = tensor({-3, 3});
  CHECK(clamp(x, {}, 1).to_vector<float>() == Floats{-3, 1});
  CHECK(clamp(x, -1, {}).to_vector<float>() == Floats{-1, 3});
  CHECK(clamp(x, -1, 1).to_vector<float>() == Floats{-1, 1});
  CHECK(clamp(x, {}, tensor({0, 2})).to_vector<float>() == Floats{-3, 2});
}

TEST_CASE("an operand that may be left out is {}") {
  const Tensor x = ones({2, 3}), w = ones({4, 3});
  CHECK(linear(x, w, {}).to_vector<float>() == linear(x, w).to_vector<float>());
  CHECK_THROWS_AS((void)add(x, {}), ValueError);
}

TEST_CASE("one size or axis needs no braces") {
  CHECK(zeros(3).shape() == Shape{3});
  const Tensor x = ones({2, 3});
  CHECK(sum(x, 0).to_vector<float>() == Floats{2, 2, 2});
  CHECK(mean(x, -1).shape() == Shape{2});
  CHECK(reshape(x, -1).shape() == Shape{6});
}

TEST_CASE("operators with = take numbers, and give the handle a new value") {
  Tensor x = tensor({1, 2}).track(), old = x;
  x += 1, x *= 4, x -= 2, x /= 2;
  CHECK(x.to_vector<float>() == Floats{3, 5});
  CHECK(old.to_vector<float>() == Floats{1, 2});
  CHECK(grad(sum(x), old).to_vector<float>() == Floats{2, 2});
  Tensor whole = arange(2);
  CHECK(contains(message<TypeError>([&] { whole += 0.5; }), "first_lines.cpp"));
}
