#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

using Tensors = std::vector<Tensor>;
using Floats = std::vector<float>;

TEST_CASE("einsum: values of the well-known cases") {
  const Tensor a = tensor({{1, 2}, {3, 4}}), b = tensor({{5, 6}, {7, 8}});
  CHECK(einsum("ij,jk->ik", {a, b}).to_vector<float>() == Floats{19, 22, 43, 50});
  CHECK(einsum("ij->ji", {a}).to_vector<float>() == Floats{1, 3, 2, 4});
  CHECK(einsum("ii", {a}).item() == 5);
  CHECK(einsum("ii->i", {a}).to_vector<float>() == Floats{1, 4});
  CHECK(einsum("ij,ij->", {a, b}).item() == 70);
  CHECK(einsum("i, j -> ij", {tensor({1, 2}), tensor({3, 4})}).to_vector<float>() == Floats{3, 4, 6, 8});
  CHECK(einsum("...j,j->...", {a, tensor({1, 1})}).to_vector<float>() == Floats{3, 7});
  CHECK(einsum("bij,bjk", {reshape(a, {1, 2, 2}), reshape(b, {1, 2, 2})}).shape() == Shape{2, 2});
  CHECK(einsum("...ij,...jk->...ik", {ones({3, 1, 2, 2}), ones({4, 2, 2})}).shape() == Shape{3, 4, 2, 2});
}

TEST_CASE("products: every derivative agrees with differences") {
  const Tensor a = random({3, 4}), b = random({4, 2}, -1, 1, 2), c = random({2, 3, 4}, -1, 1, 3),
               v = random({3}, -1, 1, 4);
  check_rule([](const Tensors& x) { return einsum("ij,jk->ik", x); }, {a, b});
  check_rule([](const Tensors& x) { return einsum("bij,jk,bi->kb", x); }, {c, b, random({2, 3}, -1, 1, 5)});
  check_rule([](const Tensors& x) { return einsum("iji->j", x); }, {random({3, 2, 3})});
  check_rule([](const Tensors& x) { return einsum("...i,i", x); }, {random({2, 3}), v});
  check_rule([](const Tensors& x) { return tensordot(x[0], x[1], {1, 2}, {1, 0}); }, {c, random({4, 3, 2}, -1, 1, 5)});
  check_rule([](const Tensors& x) { return kron(x[0], x[1]); }, {a, b});
  check_rule([](const Tensors& x) { return cross(x[0], x[1], 0); }, {random({3, 2}), random({3, 1}, -1, 1, 2)});
  check_rule([](const Tensors& x) { return trace(x[0]); }, {c});
  check_rule([](const Tensors& x) { return outer(x[0], x[1]) * dot(x[0], x[0]); }, {v, random({2})});
  check_rule([](const Tensors& x) { return matrix_power(x[0], 5); }, {random({3, 3})});
  check_rule([](const Tensors& x) { return matrix_power(x[0], -2); }, {random({3, 3}) + 3 * eye(3, float64)});
  check_rule([](const Tensors& x) { return multi_dot(x); }, {v, a, b, random({2}, -1, 1, 6)});
  for (double p : {1.0, 2.0, 3.0})
    check_rule([p](const Tensors& x) { return cdist(x[0], x[1], p); }, {a, random({2, 4}, -1, 1, 9)});
}

TEST_CASE("einsum: a formula that makes no sense is an error that says why") {
  const Tensor a = zeros({2, 3});
  CHECK(contains(message<ValueError>([&] { (void)einsum("ij,jk->ik", {a}); }), "has 2 operands, got 1"));
  CHECK(contains(message<ShapeError>([&] { (void)einsum("ijk->i", {a}); }), "does not name the axes of [2, 3]"));
  CHECK(contains(message<ShapeError>([&] { (void)einsum("ij,ij->", {a, zeros({2, 2})}); }),
                 "axis 'j' has 3 and 2 entries"));
  CHECK(contains(message<ShapeError>([&] { (void)einsum("ii->", {a}); }), "axis 'i' has 2 and 3 entries"));
  CHECK(contains(message<ValueError>([&] { (void)einsum("ij->k", {a}); }), "in none of the operands"));
  CHECK(contains(message<ValueError>([&] { (void)einsum("i?->i", {a}); }), "neither a letter"));
}
