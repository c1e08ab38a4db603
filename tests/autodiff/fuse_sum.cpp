#include "../support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops/fuse.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

struct Threads {
  int before = threads();
  ~Threads() { set_threads(before); }
};

const auto loss = [](auto p, auto t) { return square(p - t) * sigmoid(p); };

}  // namespace

TEST_CASE("fuse_sum: the bits are those of the sum of what was stored, for all axes and shapes") {
  const Shape shapes[] = {{},       {0},      {1},           {7},          {1025},     {100000},
                          {3, 4},   {300, 5}, {5, 300},      {2, 3, 4},    {2, 1, 70}, {40, 3000},
                          {700, 3}, {4, 0},   {2, 2000, 30}, {30, 2, 2000}};
  for (const Shape& shape : shapes)
    for (std::uint32_t mask = 0; mask < 1u << shape.rank(); ++mask)
      for (const DType dtype : {float32, float64}) {
        Shape axes;
        for (int i = 0; i < shape.rank(); ++i)
          if (mask >> i & 1) axes.push_back(i);
        const Tensor p = to(random(shape), dtype), t = to(random(shape, -1, 1, 2), dtype);
        CAPTURE(to_string(shape));
        CAPTURE(mask);
        const Tensor made = fuse_sum(Reduce{axes}, loss, p, t), stored = sum(fuse(loss, p, t), axes);
        REQUIRE(made.shape() == stored.shape());
        CHECK(to(made, float64).to_vector<double>() == to(stored, float64).to_vector<double>());
      }
}

TEST_CASE("fuse_sum: operands broadcast and may be strided") {
  const Tensor p = random({70, 40}), row = random({40}, -1, 1, 2), column = random({70, 1}, -1, 1, 3);
  auto f = [](auto a, auto b, auto c) { return a * b + c; };
  for (const Shape& axes : {Shape{}, Shape{0}, Shape{1}}) {
    const Tensor turned = transpose(contiguous(transpose(p)));
    CHECK(fuse_sum(Reduce{axes}, f, turned, row, column).to_vector<double>() ==
          sum(fuse(f, p, row, column), axes).to_vector<double>());
  }
  CHECK(fuse_sum(Reduce{{1}, true}, f, p, row, column).shape() == Shape{70, 1});
  CHECK(fuse_sum(Reduce{{-1}}, f, p, row, column).shape() == Shape{70});
}

TEST_CASE("fuse_sum: the same bits on any number of threads") {
  const Threads restore;
  const Tensor p = to(random({300, 1000}), float32), t = to(random({1000}, -1, 1, 2), float32);
  for (const Shape& axes : {Shape{}, Shape{0}, Shape{1}}) {
    set_threads(1);
    const auto one = fuse_sum(Reduce{axes}, loss, p, t).to_vector<float>();
    for (const int n : {2, 3, 4}) {
      set_threads(n);
      CHECK(fuse_sum(Reduce{axes}, loss, p, t).to_vector<float>() == one);
    }
  }
}

TEST_CASE("fuse_sum: four million tenths are 400000, to 1e-6 in float32") {
  const Tensor x = full({4000000}, 0.1);
  CHECK(fuse_sum([](auto a) { return a + 0; }, x).item() == doctest::Approx(400000).epsilon(1e-6));
}

TEST_CASE("fuse_sum, fuse_mean: every derivative agrees with differences") {
  for (const Shape& axes : {Shape{}, Shape{0}, Shape{1}}) {
    check_rule([&](const Tensors& x) -> Tensor { return fuse_sum(Reduce{axes}, loss, x[0], x[1]); },
               {random({3, 4}), random({4}, -1, 1, 2)});
    check_rule([&](const Tensors& x) -> Tensor { return fuse_mean(Reduce{axes, true}, loss, x[0], x[1]); },
               {random({3, 4}), random({3, 1}, -1, 1, 2)});
  }
  check_rule([](const Tensors& x) -> Tensor { return fuse_mean([](auto a) { return sin(a) * a; }, x[0]); },
             {random({9})});
}

TEST_CASE("fuse_mean: the mean") {
  const Tensor x = random({6, 5});
  auto f = [](auto a) { return exp(a); };
  CHECK(fuse_mean(f, x).item() == doctest::Approx(mean(exp(x)).item()).epsilon(1e-15));
  CHECK(fuse_mean(Reduce{{0}}, f, x).shape() == Shape{5});
  CHECK(std::isnan(fuse_mean(f, random({0})).item()));
}

TEST_CASE("fuse_sum: nothing of the size of its operands is stored") {
  if (!detail::runs_loops()) return;  // by operators it is
  const Tensor p = ones({1 << 20}), t = zeros({1 << 20});
  trim();
  const auto before = memory_stats().in_use;
  reset_peak_memory();
  const Tensor y = fuse_sum(loss, p, t);
  CHECK(memory_stats().peak - before < 1 << 20);
}

TEST_CASE("fuse_sum: mistakes are named with the user's line") {
  const Tensor x = ones({3, 4});
  auto f = [](auto a) { return a * a; };
  const int line = __LINE__ + 1;
  const std::string text = test::message<ValueError>([&] { Tensor t = fuse_sum(Reduce{{2}}, f, x); });
  CHECK(test::contains(text, "fuse_sum: axis 2 is out of range [-2, 1] for shape [3, 4]"));
  CHECK(test::contains(text, "fuse_sum.cpp:" + std::to_string(line)));
  CHECK(test::contains(test::message<ValueError>([&] { Tensor t = fuse_sum(Reduce{{0, -2}}, f, x); }), "twice"));
  CHECK(test::contains(test::message<ShapeError>([&] { Tensor t = fuse_sum(loss, x, ones({3})); }),
                       "fuse_sum: shapes [3, 4] and [3] do not broadcast"));
}
