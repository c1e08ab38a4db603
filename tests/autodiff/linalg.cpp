#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops/adjoints.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

// [m, k] x [k, n], one number after the other.
Tensor plain(const Tensor& x, const Tensor& w) {
  const auto a = to(x, float64).to_vector<double>(), b = to(w, float64).to_vector<double>();
  const auto m = x.size(0), k = x.size(1), n = w.size(1);
  std::vector<double> c(std::size_t(m * n));
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int p = 0; p < k; ++p) c[std::size_t(i * n + j)] += a[std::size_t(i * k + p)] * b[std::size_t(p * n + j)];
  return from(c, {m, n});
}

// A float32 sum of k products of numbers up to one.
double tolerance(DType dtype, std::int64_t k) { return (dtype == float32 ? 6e-8 : 1e-16) * double(k + 4); }

// The same numbers on memory that is in no order that BLAS knows.
Tensor scattered(const Tensor& x) {
  const auto& s = x.shape();
  Tensor wide = zeros({s[0], s[1] * 3 + 2}, x.dtype());
  wide = wide + detail::unslice(x, wide.shape(), 1, 1, 3);
  return slice(wide, 1, 1, 1 + s[1] * 3, 3);
}

}  // namespace

TEST_CASE("matmul: two by two") {
  const Tensor x = tensor({{1, 2}, {3, 4}}), w = tensor({{5, 6}, {7, 8}});
  CHECK(matmul(x, w).to_vector<float>() == std::vector<float>{19, 22, 43, 50});
}

TEST_CASE("matmul: vectors are rows on the left and columns on the right, and disappear") {
  const Tensor v = tensor({1, 2}), m = tensor({{1, 2}, {3, 4}});
  CHECK(matmul(v, v).shape() == Shape{});
  CHECK(matmul(v, v).item() == 5);
  CHECK(matmul(m, v).to_vector<float>() == std::vector<float>{5, 11});
  CHECK(matmul(v, m).to_vector<float>() == std::vector<float>{7, 10});
  CHECK(matmul(ones({3, 2, 2}), v).shape() == Shape{3, 2});
  CHECK(matmul(v, ones({3, 2, 5})).shape() == Shape{3, 5});
}

TEST_CASE("matmul: equals plain loops for all sizes around the blocks, in both dtypes and any layout") {
  const Shape sizes[] = {{1, 1, 1},      {1, 7, 1},      {5, 1, 9},      {3, 3, 3},      {4, 16, 10},
                         {16, 17, 15},   {32, 64, 10},   {1, 64, 33},    {64, 33, 1},    {33, 5, 129},
                         {128, 40, 256}, {129, 30, 257}, {300, 300, 70}, {70, 700, 300}, {9, 385, 49},
                         {1, 900, 200},  {200, 900, 1},  {2, 1500, 3},   {600, 20, 100}};
  for (DType dtype : {float32, float64})
    for (const Shape& s : sizes) {
      const Tensor x = random({s[0], s[1]}, 1, dtype), w = random({s[1], s[2]}, 2, dtype);
      const Tensor xt = transpose(clone(transpose(x))), wt = transpose(clone(transpose(w)));
      const Tensor expected = plain(x, w);
      const double t = tolerance(dtype, s[1]);
      CAPTURE(to_string(s));
      for (const Tensor& a : {x, xt, scattered(x)})
        for (const Tensor& b : {w, wt, scattered(w)}) check_close(matmul(a, b), expected, t);
    }
}

TEST_CASE("matmul: an inner axis of size zero gives zeros, outer ones give nothing") {
  CHECK(matmul(zeros({2, 0}), zeros({0, 3})).to_vector<float>() == std::vector<float>(6, 0.f));
  CHECK(matmul(zeros({0, 4}), zeros({4, 3})).shape() == Shape{0, 3});
  CHECK(matmul(zeros({5, 0, 2, 3}), ones({3, 4})).shape() == Shape{5, 0, 2, 4});
  const Tensor x = zeros({2, 0}).track(), w = zeros({0, 3}).track();
  const auto g = grad(std::vector{sum(matmul(x, w))}, std::vector{x, w});
  CHECK(g[0].shape() == Shape{2, 0});
  CHECK(g[1].shape() == Shape{0, 3});
}

TEST_CASE("matmul: leading axes broadcast, and each entry is the product of its matrices") {
  const Tensor x = random({2, 1, 3, 4}, 1), w = random({5, 4, 2}, 2);
  const Tensor y = matmul(x, w);
  REQUIRE(y.shape() == Shape{2, 5, 3, 2});
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 5; ++j)
      check_close(select(select(y, 0, i), 0, j), plain(select(select(x, 0, i), 0, 0), select(w, 0, j)), 1e-15);
  // Many rows with one matrix, from leading axes that one stride walks and from such that none does.
  const Tensor z = random({4, 6, 3}, 3), v = random({3, 7}, 4);
  const Tensor expected = reshape(plain(reshape(z, {24, 3}), v), {4, 6, 7});
  check_close(matmul(z, v), expected, 1e-15);
  check_close(transpose(matmul(transpose(z, 0, 1), v), 0, 1), expected, 1e-15);
  check_close(matmul(expand(slice(z, 0, 0, 1), {4, 6, 3}), v), expand(slice(expected, 0, 0, 1), {4, 6, 7}), 1e-15);
}

TEST_CASE("matmul: derivatives for vectors, matrices, batches and repeated leading axes") {
  auto f = [](std::span<const Tensor> x) { return matmul(x[0], x[1]); };
  const Shape shapes[][2] = {{{3}, {3}},
                             {{2, 3}, {3}},
                             {{3}, {3, 2}},
                             {{2, 3}, {3, 4}},
                             {{1, 3}, {3, 1}},
                             {{2, 1}, {1, 2}},
                             {{2, 2, 3}, {3, 2}},
                             {{2, 3}, {2, 3, 2}},
                             {{2, 2, 3}, {3}},
                             {{3}, {2, 3, 2}},
                             {{2, 1, 2, 3}, {3, 3, 2}},
                             {{2, 2, 3}, {1, 3, 2}},
                             {{2, 0, 3}, {3, 2}},
                             {{2, 2, 3}, {2, 3, 2}}};
  for (const auto& s : shapes) check_derivatives(f, {random(s[0], 1), random(s[1], 2)});
}

TEST_CASE("matmul: derivatives of a square, and through transposed and strided operands") {
  check_derivatives([](std::span<const Tensor> x) { return matmul(x[0], x[0]); }, {random({3, 3}, 1)});
  check_derivatives([](std::span<const Tensor> x) { return matmul(transpose(x[0]), slice(x[1], 1, 0, 6, 2)); },
                    {random({3, 2}, 1), random({3, 6}, 2)});
}

TEST_CASE("linear: is x W^T + bias on the last axis") {
  const Tensor x = random({2, 5, 4}, 1), w = random({3, 4}, 2), b = random({3}, 3);
  check_close(linear(x, w, b), matmul(x, transpose(w)) + b, 1e-15);
  check_close(linear(x, w, Tensor()), matmul(x, transpose(w)), 1e-15);
  check_close(linear(reshape(slice(x, 0, 0, 1), {5, 4}), w, b), select(linear(x, w, b), 0, 0), 1e-15);
  CHECK(linear(ones({4}), ones({3, 4}), Tensor()).to_vector<float>() == std::vector<float>{4, 4, 4});
  CHECK(linear(ones({2, 0}), ones({3, 0}), tensor({1, 2, 3})).to_vector<float>() ==
        std::vector<float>{1, 2, 3, 1, 2, 3});
  for (const Shape& s : {Shape{32, 64, 10}, Shape{200, 30, 300}, Shape{1, 784, 128}}) {
    const Tensor xs = random({s[0], s[1]}, 1, float32), ws = random({s[2], s[1]}, 2, float32),
                 bs = random({s[2]}, 3, float32);
    check_close(linear(xs, ws, bs), plain(xs, transpose(ws)) + to(bs, float64), tolerance(float32, s[1]));
  }
}

TEST_CASE("linear: derivatives with and without bias") {
  auto f = [](std::span<const Tensor> x) { return linear(x[0], x[1], x.size() > 2 ? x[2] : Tensor()); };
  for (const Shape& s : {Shape{4}, Shape{2, 4}, Shape{2, 2, 4}, Shape{0, 4}}) {
    check_derivatives(f, {random(s, 1), random({3, 4}, 2), random({3}, 3)});
    check_derivatives(f, {random(s, 1), random({3, 4}, 2)});
  }
  check_derivatives(
      [](std::span<const Tensor> x) { return linear(transpose(x[0]), transpose(x[1]), slice(x[2], 0, 0, 6, 2)); },
      {random({4, 2}, 1), random({4, 3}, 2), random({6}, 3)});
}

TEST_CASE("matmul: the same bits for any number of threads") {
  const Tensor x = random({300, 500}, 1, float32), w = random({500, 700}, 2, float32),
               z = random({40, 30, 50}, 3, float32);
  const int before = threads();
  std::vector<std::vector<float>> seen;
  for (int n : {1, 2, 3, 8}) {
    set_threads(n);
    seen.push_back(matmul(x, w).to_vector<float>());
    const auto batched = matmul(z, transpose(z)).to_vector<float>();
    seen.back().insert(seen.back().end(), batched.begin(), batched.end());
  }
  set_threads(before);
  for (auto& s : seen) CHECK(s == seen[0]);
}

TEST_CASE("matmul and linear: mistakes name the shapes and the cure") {
  CHECK(message_of<ShapeError>([] { matmul(ones({32, 784}), ones({10, 784})); }) ==
        "matmul: inner sizes differ: [32, 784] x [10, 784]; for x W^T write matmul(x, transpose(w))");
  CHECK(message_of<ShapeError>([] { matmul(ones({4, 3}), ones({4, 5})); }) ==
        "matmul: inner sizes differ: [4, 3] x [4, 5]; for X^T W write matmul(transpose(x), w)");
  CHECK(message_of<ShapeError>([] { matmul(ones({3}), ones({4})); }) == "matmul: inner sizes differ: [3] x [4]");
  CHECK(message_of<ShapeError>([] { matmul(ones({}), ones({4})); }) ==
        "matmul: needs at least one axis, got [] x [4]; a number times a tensor is mul");
  CHECK(message_of<ShapeError>([] { matmul(ones({2, 3, 4}), ones({5, 4, 2})); }) ==
        "matmul: leading axes of [2, 3, 4] and [5, 4, 2] do not broadcast: axis -3 has 2 and 5 entries");
  CHECK(message_of<TypeError>([] { matmul(ones({2, 2}), ones({2, 2}, float64)); }) ==
        "matmul: dtypes differ: float32 and float64; convert one with to()");
  CHECK(message_of<TypeError>([] { matmul(ones({2, 2}, int64), ones({2, 2}, int64)); }) ==
        "matmul: needs float32 or float64, got int64; convert with to(x, float32)");
  CHECK(message_of<ShapeError>([] { linear(ones({2, 3}), ones({4}), Tensor()); }) ==
        "linear: weight must be [out, in], got [4]");
  CHECK(message_of<ShapeError>([] { linear(ones({2, 3}), ones({5, 4}), Tensor()); }) ==
        "linear: x must be [.., 4] for a weight [out, in] = [5, 4], got [2, 3]");
  CHECK(message_of<ShapeError>([] { linear(ones({2, 4}), ones({5, 4}), ones({4})); }) ==
        "linear: bias must be [5] for a weight [out, in] = [5, 4], got [4]");
  CHECK(message_of<TypeError>([] { linear(ones({2, 4}), ones({5, 4}), ones({5}, float64)); }) ==
        "linear: dtypes differ: x float32, weight float32, bias float64; convert with to()");
}

TEST_CASE("matmul, linear: every derivative agrees with differences, through the harness") {
  using Tensors = std::vector<Tensor>;
  using test::check_rule;
  const std::pair<Shape, Shape> shapes[] = {
      {{3, 4}, {4, 2}}, {{4}, {4, 2}},        {{3, 4}, {4}},         {{4}, {4}},
      {{0, 4}, {4, 2}}, {{3, 0}, {0, 2}},     {{2, 3, 4}, {4, 2}},   {{2, 1, 3, 4}, {5, 4, 2}},
      {{1, 1}, {1, 1}}, {{20, 33}, {33, 18}}, {{2, 3, 4}, {2, 4, 1}}};
  for (auto& [s, t] : shapes) {
    INFO(to_string(s), " x ", to_string(t));
    check_rule([](const Tensors& x) { return matmul(x[0], x[1]); }, {test::random(s), test::random(t, -1, 1, 2)});
  }
  for (Shape s : {Shape{3, 4}, Shape{2, 3, 4}, Shape{4}, Shape{0, 4}}) {
    INFO(to_string(s));
    check_rule([](const Tensors& x) { return linear(x[0], x[1], x[2]); },
               {test::random(s), test::random({5, 4}, -1, 1, 2), test::random({5}, -1, 1, 3)});
    check_rule([](const Tensors& x) { return linear(x[0], x[1], Tensor()); },
               {test::random(s), test::random({5, 4}, -1, 1, 2)});
  }
}
