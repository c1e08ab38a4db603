#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/gradient.h"

#include <numeric>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {
using Tensors = std::vector<Tensor>;
const Tensor count = to(reshape(arange(24), {2, 3, 4}), float64);
}  // namespace

TEST_CASE("views share their numbers; reshape copies only what is out of order") {
  const double* numbers = count.read<double>().data();
  CHECK(select(count, 0, 0).read<double>().data() == numbers);
  CHECK(reshape(count, {24}).read<double>().data() == numbers);
  CHECK(contains(message<ShapeError>([&] { (void)transpose(count).read<double>(); }), "strided view"));
  CHECK(reshape(transpose(count), {24}).read<double>().data() != numbers);
  CHECK(select(select(count, 2, 1), 0, 1).strides() == Shape{4});
  CHECK(reshape(slice(count, 2, 0, 2), {6, 2}).strides() == Shape{4, 2 - 1});
  CHECK(reshape(slice(count, 2, 0, 2), {2, 3, 1, 2, 1}).strides()[1] == 4);
  CHECK(squeeze(slice(transpose(count), 1, 1, 2), 1).shape() == Shape{2, 3});
  CHECK(contiguous(count).read<double>().data() == numbers);
}

TEST_CASE("reshape: a view of strided numbers or a copy, never other numbers") {
  const Tensor views[] = {count,
                          transpose(count),
                          slice(count, 2, 1, 3),
                          slice(count, 1, 0, 3, 2),
                          permute(count, {1, 0, 2}),
                          expand(slice(count, 0, 0, 1), {3, 3, 4}),
                          select(count, 1, 1)};
  for (const Tensor& v : views)
    for (Shape shape : {Shape{-1}, Shape{2, -1}, Shape{-1, 2}, Shape{1, 2, 1, -1}, Shape{-1, 1, 4}}) {
      if (v.numel() % 4) continue;
      CHECK(reshape(v, shape).to_vector<double>() == clone(v).to_vector<double>());
    }
}

TEST_CASE("movement: values") {
  CHECK(permute(count, {2, 0, 1}).shape() == Shape{4, 2, 3});
  CHECK(permute(count, {2, 0, 1}).to_vector<double>()[1] == 4);
  CHECK(transpose(count, 0, 2).to_vector<double>()[1] == 12);
  CHECK(slice(count, 2, 1, 4, 2).to_vector<double>() == std::vector<double>{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23});
  CHECK(slice(count, -1, -2, 100).shape() == Shape{2, 3, 2});
  CHECK(select(count, 1, -1).to_vector<double>() == std::vector<double>{8, 9, 10, 11, 20, 21, 22, 23});
  CHECK(reshape(count, {6, -1}).shape() == Shape{6, 4});
  CHECK(flatten(count, 1).shape() == Shape{2, 12});
  CHECK(expand(tensor({1, 2}), {2, 2}).to_vector<float>() == std::vector<float>{1, 2, 1, 2});
  CHECK(cat({tensor({1, 2}), tensor({3})}).to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(stack({tensor({1, 2}), tensor({3, 4})}, 1).to_vector<float>() == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("movement: every derivative agrees with differences") {
  const Tensor x = random({2, 3, 4});
  check_rule([](const Tensors& t) { return permute(t[0], {2, 0, 1}); }, {x});
  check_rule([](const Tensors& t) { return transpose(t[0], 0, 1); }, {x});
  check_rule([](const Tensors& t) { return reshape(transpose(t[0]), {6, 4}); }, {x});
  check_rule([](const Tensors& t) { return slice(t[0], 2, 1, 4, 2); }, {x});
  check_rule([](const Tensors& t) { return slice(t[0], 1, 2, 2); }, {x});
  check_rule([](const Tensors& t) { return select(t[0], 1, 2); }, {x});
  check_rule([](const Tensors& t) { return detail::unslice(t[0], {2, 9, 4}, 1, 1, 3); }, {x});
  check_rule([](const Tensors& t) { return expand(t[0], {5, 2, 3, 4}); }, {random({2, 1, 4})});
  check_rule([](const Tensors& t) { return cat(t, 1); }, {x, random({2, 1, 4}, -1, 1, 2), random({2, 0, 4}, -1, 1, 3)});
  check_rule([](const Tensors& t) { return stack(t, -1); }, {x, random({2, 3, 4}, -1, 1, 2)});
  check_rule([](const Tensors& t) { return clone(transpose(t[0])); }, {x});
}

TEST_CASE("to, track: every derivative agrees with differences") {
  // float32 in between: all holds to its rounding of 6e-8 only; the map is linear, so the step may be large.
  check_rule([](const Tensors& t) { return to(to(t[0], float32), float64); }, {random({6})},
             {.step = 0.1, .identity = 1e-6});
  check_rule([](const Tensors& t) { return exp(t[0].track()); }, {random({6})});
}

TEST_CASE("to: the cotangent comes back in the dtype that went in") {
  const Tensor x = tensor({0.5, 0.25}, float64).track(), y = to(x, float32), y_bar = tensor({3, 4}),
               x_dot = tensor({5, 6}, float64);
  CHECK(grad({&y, 1}, {&x, 1}, {&y_bar, 1}, {.keep_graph = true})[0].to_vector<double>() == std::vector<double>{3, 4});
  CHECK(push_forward({&y, 1}, {&x, 1}, {&x_dot, 1})[0].to_vector<float>() == std::vector<float>{5, 6});
  CHECK(!to(x, int64).tracked());
}

TEST_CASE("reductions: values") {
  CHECK(sum(count).item() == 276);
  CHECK(sum(count, {0, 2}).to_vector<double>() == std::vector<double>{60, 92, 124});
  CHECK(sum(count, {.axes = {0}, .keep_dims = true}).shape() == Shape{1, 3, 4});
  CHECK(sum(count, {1}).to_vector<double>()[0] == 12);
  CHECK(mean(count, {-1}).to_vector<double>()[1] == 5.5);
  CHECK(amax(count, {0, 1}).to_vector<double>() == std::vector<double>{20, 21, 22, 23});
  CHECK(amin(count).item() == 0);
  CHECK(argmax(tensor({{1, 5, 5}, {9, 0, 2}})).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 0});
  CHECK(argmax(tensor({{1, 5, 5}, {9, 0, 2}}), 0).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 0, 0});
  CHECK(sum(zeros({0, 3})).item() == 0);
  CHECK(sum(tensor({1, 0, 1}, boolean)).item() == 2);
}

TEST_CASE("sum: a million tenths in float32 keep six digits") {
  CHECK(sum(full({1'000'000}, 0.1)).item() == doctest::Approx(100'000).epsilon(1e-6));
  CHECK(sum(full({1'000'000, 1}, 0.1), {0}).item() == doctest::Approx(100'000).epsilon(1e-6));
}

TEST_CASE("reductions: every derivative agrees with differences") {
  for (Shape axes : {Shape{}, Shape{0}, Shape{1}, Shape{2}, Shape{0, 2}, Shape{-1, -2}})
    for (bool keep : {false, true}) {
      check_rule([&](const Tensors& t) { return sum(t[0], {.axes = axes, .keep_dims = keep}); }, {random({2, 3, 4})});
      check_rule([&](const Tensors& t) { return mean(t[0], {.axes = axes, .keep_dims = keep}); }, {random({2, 3, 4})});
      check_rule([&](const Tensors& t) { return amax(t[0], {.axes = axes, .keep_dims = keep}); }, {random({2, 3, 4})});
      check_rule([&](const Tensors& t) { return amin(t[0], {.axes = axes, .keep_dims = keep}); }, {random({2, 3, 4})});
    }
  check_rule([](const Tensors& t) { return sum(t[0], {0}); }, {random({0, 3})});
  check_rule([](const Tensors& t) { return sum(t[0], {1}); }, {random({700, 60})});
  check_rule([](const Tensors& t) { return sum(t[0], {0}); }, {random({700, 60})});
  check_rule([](const Tensors& t) { return sum_to(t[0], {3, 1}); }, {random({2, 3, 4})});
}

TEST_CASE("amax: ties share the cotangent") {
  const Tensor x = tensor({{2, 2, 1}}).track();
  CHECK(grad(sum(amax(x, {1})), x).to_vector<float>() == std::vector<float>{0.5, 0.5, 0});
}

TEST_CASE("movement and reduction: mistakes are named") {
  CHECK(contains(message<ValueError>([] { (void)sum(count, {3}); }),
                 "sum: axis 3 is out of range [-3, 2] for shape [2, 3, 4]"));
  CHECK(contains(message<ValueError>([] { (void)sum(count, {1, -2}); }), "named twice"));
  CHECK(contains(message<ShapeError>([] { (void)reshape(count, {5, -1}); }),
                 "reshape: [2, 3, 4] has 24 elements and cannot become [5, -1]"));
  CHECK(contains(message<ShapeError>([] { (void)reshape(count, {-1, -1}); }), "only one"));
  CHECK(contains(message<ValueError>([] { (void)permute(count, {0, 1}); }), "every axis"));
  CHECK(contains(message<ValueError>([] { (void)select(count, 0, 2); }), "select: entry 2 of axis 0 of [2, 3, 4]"));
  CHECK(contains(message<ValueError>([] { (void)narrow(count, 0, 1, 2); }), "narrow"));
  CHECK(contains(message<ShapeError>([] { (void)expand(count, {2, 3, 5}); }),
                 "expand: [2, 3, 4] does not broadcast to [2, 3, 5]"));
  CHECK(contains(message<ShapeError>([] { (void)cat({zeros({2, 3}), zeros({3, 2})}); }), "cat: [2, 3] and [3, 2]"));
  CHECK(contains(message<TypeError>([] { (void)cat({zeros({2}), zeros({2}, float64)}); }), "cat: dtypes differ"));
  CHECK(contains(message<ShapeError>([] { (void)amax(zeros({0})); }), "amax: cannot reduce an empty axis, shape [0]"));
  CHECK(contains(message<TypeError>([] { (void)mean(zeros({2}, int64)); }), "mean: needs float32 or float64"));
  CHECK_THROWS_AS((void)zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  CHECK_THROWS_AS((void)zeros({-1}), ShapeError);
  CHECK_THROWS_AS((void)zeros({1LL << 40, 1LL << 40}), ShapeError);
  CHECK_THROWS_AS((void)zeros({0, 1LL << 40, 1LL << 40}), ShapeError);
}
