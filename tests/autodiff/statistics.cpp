#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::random;

using Tensors = std::vector<Tensor>;

TEST_CASE("var: a large mean costs no digits") {
  const Tensor x = tensor({1e8, 1e8 + 1, 1e8 + 2}, float64);
  CHECK(var(x).item() == 1);
  CHECK(stddev(x, {.correction = 0}).item() == doctest::Approx(std::sqrt(2.0 / 3)));
  CHECK(std::isnan(var(tensor({1})).item()));
}

TEST_CASE("statistics: every derivative agrees with differences") {
  for (Shape axes : {Shape{}, Shape{0}, Shape{-1}, Shape{0, 2}, Shape{1}})
    for (bool keep : {false, true}) {
      INFO(to_string(axes), keep);
      const Tensor x = random({3, 2, 4}, 0.5, 1.5, 3);
      check_rule([&](const Tensors& t) { return var(t[0], {.axes = axes, .correction = 1, .keep_dims = keep}); }, {x});
      check_rule([&](const Tensors& t) { return stddev(t[0], {.axes = axes, .correction = 0, .keep_dims = keep}); },
                 {x});
      check_rule([&](const Tensors& t) { return prod(t[0], {.axes = axes, .keep_dims = keep}); }, {x});
      check_rule([&](const Tensors& t) { return logsumexp(t[0], {.axes = axes, .keep_dims = keep}); }, {x});
      for (double p : {0.0, 0.5, 1.0, 2.0, 3.0, double(INFINITY), -double(INFINITY)})
        check_rule([&](const Tensors& t) { return norm(t[0], {.axes = axes, .p = p, .keep_dims = keep}); }, {x});
    }
  for (Shape shape : {Shape{0, 3}, Shape{1, 3}}) {
    check_rule([&](const Tensors& t) { return prod(t[0], {0}); }, {random(shape)});
    check_rule([&](const Tensors& t) { return var(t[0], {.axes = {0}, .correction = 0}); }, {random({2, 3})});
  }
  check_rule([&](const Tensors& t) { return max_with_index(t[0], 1).values; }, {random({3, 5})});
  check_rule([&](const Tensors& t) { return min_with_index(t[0], {.axis = 0, .keep_dims = true}).values; },
             {random({3, 5})});
}

TEST_CASE("prod: zeros are exact, to the second derivative") {
  const Tensor x = tensor({2, 0, 3}, float64).track();
  const Tensor g = grad(prod(x), x, {.create_graph = true});
  CHECK(g.to_vector<double>() == std::vector<double>{0, 6, 0});
  CHECK(grad(sum(g), x).to_vector<double>() == std::vector<double>{3, 5, 2});
}

TEST_CASE("norm: the slope at zero is zero") {
  for (double p : {0.5, 1.0, 2.0, 3.0}) {
    const Tensor x = zeros({3}, float64).track();
    CHECK(grad(norm(x, {.p = p}), x).to_vector<double>() == std::vector<double>{0, 0, 0});
  }
  const Tensor x = tensor({0, 4}, float64).track();
  CHECK(grad(norm(x, {.p = 0.5}), x).to_vector<double>() == std::vector<double>{0, 1});
  CHECK(norm(tensor({3, 0, 4}), {.p = 0}).item() == 2);
}

TEST_CASE("max_with_index: the first of equal entries receives the cotangent; amax shares it") {
  const Tensor x = tensor({1, 5, 5}, float64).track();
  const Indexed m = max_with_index(x, 0);
  CHECK(m.indices.item() == 1);
  CHECK(grad(m.values, x).to_vector<double>() == std::vector<double>{0, 1, 0});
  CHECK(grad(amax(x), x).to_vector<double>() == std::vector<double>{0, 0.5, 0.5});
  CHECK(argmin(x, 0).item() == 0);
}

TEST_CASE("reductions: axes in braces, by name, and none at all mean what they say") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 9}});
  CHECK(sum(x).item() == 24);
  CHECK(sum(x, {1}).to_vector<float>() == std::vector<float>{6, 18});
  CHECK(sum(x, {.axes = {1}, .keep_dims = true}).shape() == Shape{2, 1});
  CHECK(sum(x, {.keep_dims = true}).shape() == Shape{1, 1});
  CHECK(norm(x, {1}).shape() == Shape{2});
  CHECK(norm(x, {.axes = {1}, .p = 1}).to_vector<float>() == std::vector<float>{6, 18});
  CHECK(argmax(x, 0).shape() == Shape{3});
  CHECK(argmax(x, {.axis = 0, .keep_dims = true}).shape() == Shape{1, 3});
  CHECK(logsumexp(x).rank() == 0);
  CHECK(logsumexp(x, {-1}).shape() == Shape{2});
  CHECK(maximum(x, 4).to_vector<float>() == std::vector<float>{4, 4, 4, 4, 5, 9});
  CHECK(minimum(x, 4).to_vector<float>() == std::vector<float>{1, 2, 3, 4, 4, 4});
}
