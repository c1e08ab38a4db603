// attend and self_attend: attention as one node.

#include "../support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/random.h"

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

double distance(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  return a.numel() ? amax(abs(a - b)).item() : 0;
}
Tensors gradients(const Tensor& y, const Tensors& x) {
  const Tensor y_bar = random(y.shape(), -1, 1, 9);
  return grad({&y, 1}, x, {&y_bar, 1});
}
Tensors tracked(const Tensors& x) {
  Tensors all;
  for (const Tensor& t : x) all.push_back(t.track());
  return all;
}
Tensor bits(const Shape& shape, std::uint64_t seed = 1) { return random(shape, 0, 1, seed) > 0.4; }

}  // namespace

TEST_CASE("attend: agrees with attention as it is written, with every kind of mask, in values and gradients") {
  const Tensors x = tracked({random({2, 3, 5, 4}), random({2, 3, 7, 4}, -1, 1, 2), random({2, 3, 7, 6}, -1, 1, 3)});
  Tensor look = bits({2, 1, 5, 7});
  look = where(equal(arange(7), 0), scalar(1, boolean), look);  // a row that sees nothing is NaN
  for (const Tensor& mask : Tensors{{}, random({5, 7}), random({3, 1, 7}), random({2, 1, 1, 7}), random({7}), look})
    for (const bool causal : {false, true}) {
      const Tensor got = attend(x[0], x[1], x[2], {.mask = mask, .causal = causal});
      const Tensor want = attention(x[0], x[1], x[2], {.mask = mask, .causal = causal}).output;
      CHECK(distance(got, want) < 1e-14);
      const Tensors g = gradients(got, x), w = gradients(want, x);
      for (std::size_t i = 0; i < 3; ++i) CHECK(distance(g[i], w[i]) < 1e-14);
    }
}

TEST_CASE("self_attend: agrees with attend of its parts, head by head") {
  const Tensor all = random({2, 5, 24}).track(), mask = random({2, 5, 5}, -1, 1, 4);
  Tensors heads;
  for (int h = 0; h < 2; ++h) {
    const auto part = [&](int i) { return narrow(all, -1, 8 * i + 4 * h, 4); };
    heads.push_back(attend(part(0), part(1), part(2), {.mask = select(mask, 0, h), .causal = true}));
  }
  const Tensor got = self_attend(all, 2, {.mask = mask, .causal = true}), want = cat(heads, -1);
  CHECK(distance(got, want) < 1e-14);
  CHECK(distance(gradients(got, {all})[0], gradients(want, {all})[0]) < 1e-14);
}

TEST_CASE("attend, self_attend: every derivative is right, in any layout, empty, and of single entries") {
  const Tensor mask = random({4}, -1, 1, 5);
  const auto run = [&](const Tensors& t) { return attend(t[0], t[1], t[2]); };
  check_rule([&](const Tensors& t) { return attend(t[0], t[1], t[2], {.mask = to(mask, t[0].dtype())}); },
             {random({3, 2}), random({4, 2}, -1, 1, 2), random({4, 3}, -1, 1, 3)});
  check_rule(run, {random({0, 3, 2}), random({0, 4, 2}), random({0, 4, 3})});
  check_rule(run, {random({1, 1}), random({1, 1}, -1, 1, 2), random({1, 1}, -1, 1, 3)});
  check_rule([](const Tensors& t) { return self_attend(t[0], 2, {.causal = true}); }, {random({2, 3, 12})});
  check_rule([](const Tensors& t) { return self_attend(t[0], 1); }, {random({0, 3, 6})});
  check_rule([](const Tensors& t) { return self_attend(t[0], 1); }, {random({1, 1, 3})});
  // A mask with a derivative is added as any other operand is.
  check_rule([](const Tensors& t) { return self_attend(t[0], 2, {.mask = t[1]}); }, {random({2, 6}), random({2, 2})});
}

TEST_CASE("attend: causal is the triangular mask, and later entries change nothing") {
  const Tensor x = random({6, 12});
  const Tensor below = tril(ones({6, 6}, float64)) > 0;
  CHECK(distance(self_attend(x, 2, {.causal = true}), self_attend(x, 2, {.mask = below})) < 1e-15);
  const Tensor other = cat({narrow(x, 0, 0, 3), random({3, 12}, 5, 6, 7)}, 0);
  CHECK(distance(narrow(self_attend(x, 2, {.causal = true}), 0, 0, 3),
                 narrow(self_attend(other, 2, {.causal = true}), 0, 0, 3)) == 0);
}

TEST_CASE("attend: the same bits for any number of threads") {
  const int before = threads();
  Rng rng{8};
  const Tensor x = rng.normal({8, 64, 96}).track();
  std::vector<float> one;
  for (const int n : {1, 2, 3}) {
    set_threads(n);
    const Tensor y = sum(square(self_attend(x, 4, {.causal = true})));
    const auto now = grad(y, x).to_vector<float>();
    if (one.empty()) one = now;
    CHECK(now == one);
  }
  set_threads(before);
}

TEST_CASE("attend: mistakes are named") {
  const Tensor x = zeros({2, 3}), v = zeros({4, 3});
  CHECK(contains(message<ShapeError>([&] { (void)attend(x, v, x); }), "attend: needs query [.., m, size]"));
  CHECK(contains(message<ShapeError>([&] { (void)attend(x, x, x, {.mask = zeros({3, 2})}); }),
                 "attend: mask [3, 2] does not broadcast to [2, 2]"));
  CHECK(contains(message<TypeError>([&] { (void)attend(x, x, x, {.mask = zeros({2, 2}, int64)}); }),
                 "mask must be bool or"));
  CHECK(contains(message<ShapeError>([&] { (void)self_attend(zeros({2, 8}), 2); }),
                 "self_attend: needs [.., m, 3 size]"));
}
