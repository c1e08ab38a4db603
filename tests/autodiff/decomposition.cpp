#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

using Tensors = std::vector<Tensor>;

namespace {

// Well away from singular.
Tensor regular(const Shape& shape, std::uint64_t seed = 1) {
  return random(shape, -1, 1, seed) + 3 * eye(shape.back(), float64);
}
Tensor spd(const Tensor& b) { return matmul(b, transpose(b)) + eye(b.size(-1), b.dtype()); }
double largest(const Tensor& x) { return x.numel() ? amax(abs(x)).item() : 0; }

}  // namespace

TEST_CASE("solve, inverse, det: every derivative agrees with differences") {
  for (Shape batch : {Shape{}, Shape{2}}) {
    Shape s = batch, t = batch;
    s.push_back(3), s.push_back(3), t.push_back(3), t.push_back(2);
    check_rule([](const Tensors& x) { return solve(x[0], x[1]); }, {regular(s), random(t)});
    check_rule([](const Tensors& x) { return inverse(x[0]); }, {regular(s)});
    check_rule([](const Tensors& x) { return det(x[0]); }, {regular(s)});
    check_rule([](const Tensors& x) { return slogdet(x[0]).log_abs; }, {regular(s)});
    check_rule([](const Tensors& x) { return logdet(spd(x[0])); }, {random(s)});
    check_rule([](const Tensors& x) { return cholesky(spd(x[0])); }, {random(s)});
    for (bool upper : {false, true})
      for (bool unit : {false, true})
        check_rule([&](const Tensors& x) { return solve_triangular(x[0], x[1], {.upper = upper, .unit = unit}); },
                   {regular(s), random(t)});
    check_rule([](const Tensors& x) { return solve_triangular(x[0], transpose(x[1]), {.left = false}); },
               {regular(s), random(t)});
  }
  check_rule([](const Tensors& x) { return solve(x[0], x[1]); }, {regular({3, 3}), random({3})});
  check_rule([](const Tensors& x) { return solve(x[0], x[1]); }, {regular({3, 3}), random({2, 3, 2})});
}

TEST_CASE("det: a singular matrix has its cofactors as gradient") {
  const Tensor a = tensor({{1, 2, 0}, {2, 4, 0}, {0, 1, 3}}, float64).track();
  const Tensor d = det(a);
  CHECK(std::abs(d.item()) < 1e-14);
  const std::vector<double> cofactors{12, -6, 2, -6, 3, -1, 0, 0, 0}, got = grad(det(a), a).to_vector<double>();
  for (std::size_t i = 0; i < 9; ++i) CHECK(got[i] == doctest::Approx(cofactors[i]).epsilon(1e-12));
  CHECK(det(zeros({0, 0})).item() == 1);
}

TEST_CASE("decompositions: factors have their properties and multiply to the matrix") {
  for (Shape shape : {Shape{4, 4}, Shape{5, 3}, Shape{3, 5}, Shape{2, 4, 3}}) {
    INFO(to_string(shape));
    const Tensor a = random(shape);
    const std::int64_t k = std::min(a.size(-1), a.size(-2));
    const Tensor unit = eye(k, float64);
    const QR f = qr(a);
    CHECK(largest(matmul(f.q, f.r) - a) < 1e-14);
    CHECK(largest(matmul(transpose(f.q), f.q) - unit) < 1e-14);
    CHECK(largest(tril(f.r, -1)) == 0);
    CHECK(amin(diagonal(f.r, 0, -2, -1)).item() > 0);
    const SVD d = svd(a);
    CHECK(largest(matmul(d.u * unsqueeze(d.s, -2), d.vt) - a) < 1e-14);
    CHECK(largest(matmul(transpose(d.u), d.u) - unit) < 1e-14);
    CHECK(largest(matmul(d.vt, transpose(d.vt)) - unit) < 1e-14);
  }
  const Tensor a = random({2, 4, 4}), s = a + transpose(a);
  const EighResult e = eigh(s);
  CHECK(largest(matmul(e.vectors * unsqueeze(e.values, -2), transpose(e.vectors)) - s) < 1e-13);
}

TEST_CASE("decompositions: every derivative agrees with differences") {
  const CheckOptions loose{.absolute = 1e-4};  // gaps between singular values of 0.1 amplify the error of a difference
  for (Shape shape : {Shape{3, 3}, Shape{4, 2}, Shape{2, 4}, Shape{2, 3, 2}}) {
    INFO(to_string(shape));
    const Tensor a = random(shape, -1, 1, 4);
    check_rule(
        [](const Tensors& x) {
          const QR f = qr(x[0]);
          return Tensors{f.q, f.r};
        },
        {a}, loose);
    check_rule([](const Tensors& x) { return svdvals(x[0]); }, {a}, loose);
    check_rule(
        [](const Tensors& x) {
          const SVD d = svd(x[0]);
          return matmul(d.u * unsqueeze(exp(d.s), -2), d.vt);
        },
        {a}, loose);
  }
  check_rule([](const Tensors& x) { return eigvalsh(x[0] + transpose(x[0])); }, {random({2, 3, 3})}, loose);
  check_rule(
      [](const Tensors& x) {
        const EighResult e = eigh(x[0] + transpose(x[0]));
        return matmul(e.vectors * unsqueeze(exp(e.values), -2), transpose(e.vectors));
      },
      {random({3, 3})}, loose);
}

TEST_CASE("svdvals: equal singular values have finite gradients") {
  const Tensor a = eye(3, float64).track();
  for (double g : grad(sum(svdvals(a)), a).to_vector<double>()) CHECK(std::isfinite(g));
}

TEST_CASE("linear algebra: what cannot be done is an error that says which matrix") {
  const Tensor bad = stack({eye(2), zeros({2, 2})});
  CHECK(
      contains(message<ValueError>([&] { (void)inverse(bad); }), "inverse: matrix number 1 of the batch is singular"));
  CHECK(contains(message<ValueError>([&] { (void)cholesky(-eye(2)); }), "cholesky: matrix is not positive definite"));
  CHECK(contains(message<ValueError>([&] { (void)svd(full({2, 2}, NAN)); }), "svd: matrix has NaN"));
  CHECK(contains(message<ShapeError>([&] { (void)det(zeros({2, 3})); }), "det: needs square matrices, got [2, 3]"));
  CHECK(contains(message<ShapeError>([&] { (void)solve(eye(2), zeros({3, 1})); }), "must have 2 rows"));
  CHECK(
      contains(message<TypeError>([&] { (void)inverse(zeros({2, 2}, int64)); }), "inverse: needs float32 or float64"));
}
