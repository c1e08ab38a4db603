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
  CHECK(stddev(x, {}, 0).item() == doctest::Approx(std::sqrt(2.0 / 3)));
  CHECK(std::isnan(var(tensor({1})).item()));
}

TEST_CASE("statistics: every derivative agrees with differences") {
  for (Shape axes : {Shape{}, Shape{0}, Shape{-1}, Shape{0, 2}, Shape{1}})
    for (bool keep : {false, true}) {
      INFO(to_string(axes), keep);
      const Tensor x = random({3, 2, 4}, 0.5, 1.5, 3);
      check_rule([&](const Tensors& t) { return var(t[0], axes, 1, keep); }, {x});
      check_rule([&](const Tensors& t) { return stddev(t[0], axes, 0, keep); }, {x});
      check_rule([&](const Tensors& t) { return prod(t[0], axes, keep); }, {x});
      check_rule([&](const Tensors& t) { return logsumexp(t[0], axes, keep); }, {x});
      for (double p : {0.0, 0.5, 1.0, 2.0, 3.0, double(INFINITY), -double(INFINITY)})
        check_rule([&](const Tensors& t) { return norm(t[0], p, axes, keep); }, {x});
    }
  for (Shape shape : {Shape{0, 3}, Shape{1, 3}}) {
    check_rule([&](const Tensors& t) { return prod(t[0], {0}); }, {random(shape)});
    check_rule([&](const Tensors& t) { return var(t[0], {0}, 0); }, {random({2, 3})});
  }
  check_rule([&](const Tensors& t) { return max_along(t[0], 1).values; }, {random({3, 5})});
  check_rule([&](const Tensors& t) { return min_along(t[0], 0, true).values; }, {random({3, 5})});
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
    CHECK(grad(norm(x, p), x).to_vector<double>() == std::vector<double>{0, 0, 0});
  }
  const Tensor x = tensor({0, 4}, float64).track();
  CHECK(grad(norm(x, 0.5), x).to_vector<double>() == std::vector<double>{0, 1});
  CHECK(norm(tensor({3, 0, 4}), 0).item() == 2);
}

TEST_CASE("max_along: the first of equal entries receives the cotangent; amax shares it") {
  const Tensor x = tensor({1, 5, 5}, float64).track();
  const Indexed m = max_along(x, 0);
  CHECK(m.indices.item() == 1);
  CHECK(grad(m.values, x).to_vector<double>() == std::vector<double>{0, 1, 0});
  CHECK(grad(amax(x), x).to_vector<double>() == std::vector<double>{0, 0.5, 0.5});
  CHECK(argmin(x, 0).item() == 0);
}
