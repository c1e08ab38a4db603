#include "../support.h"
#include "derivatives.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

const Interpolation modes[] = {Interpolation::nearest, Interpolation::linear, Interpolation::cubic,
                               Interpolation::area};

bool may_align(Interpolation m) { return m == Interpolation::linear || m == Interpolation::cubic; }

}  // namespace

TEST_CASE("interpolate: the same size is the same image, and constants stay constant") {
  const Tensor x = random({2, 3, 5, 4}, 1), c = full({1, 3, 5}, 2.5, float64);
  for (auto mode : modes)
    for (bool align : {false, true}) {
      if (align && !may_align(mode)) continue;
      check_close(interpolate(x, {5, 4}, {mode, align}), x, 0);
      check_close(interpolate(c, {7, 2}, {mode, align}), full({1, 7, 2}, 2.5, float64), 1e-14);
      check_close(interpolate_by(c, {1.4, 2.3}, {mode, align}), full({1, 4, 11}, 2.5, float64), 1e-14);
    }
}

TEST_CASE("interpolate: linear goes through a line, from end to end when corners are aligned") {
  const Tensor x = arange(5, float64);
  check_close(interpolate(x, {9}, {Interpolation::linear, true}), arange(9, float64) * 0.5, 1e-15);
  check_close(interpolate(x, {10}, {Interpolation::linear}),
              from<double>({0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4}, {10}), 1e-15);
}

TEST_CASE("interpolate: nearest repeats or drops entries") {
  const Tensor x = arange(3, float64);
  check_close(interpolate(x, {6}), from<double>({0, 0, 1, 1, 2, 2}, {6}), 0);
  check_close(interpolate(x, {2}), from<double>({0, 1}, {2}), 0);
  // 49 / 49 and its like must not fall below a whole number by rounding.
  const Tensor many = interpolate(arange(49, float64), {49 * 3});
  for (int i = 0; i < 49 * 3; ++i) CHECK(many.read<double>()[std::size_t(i)] == i / 3);
}

TEST_CASE("interpolate: each axis after the other gives the same") {
  const Tensor x = random({2, 3, 4, 5}, 1);
  for (auto mode : modes) {
    const InterpolateOptions o{mode};
    const Tensor last = interpolate(x, {7}, o), middle = transpose(interpolate(transpose(last), {2}, o));
    check_close(interpolate(x, {2, 7}, o), middle, 1e-14);
    const Tensor first = transpose(interpolate(transpose(middle, 1, 3), {6}, o), 1, 3);
    check_close(interpolate(x, {6, 2, 7}, o), first, 1e-14);
  }
}

TEST_CASE("interpolate: all derivatives, for growing and shrinking axes of any number") {
  for (auto mode : modes)
    for (bool align : {false, true}) {
      if (align && !may_align(mode)) continue;
      for (Shape size : {Shape{3}, {9}, {1}, {2, 11}, {8, 3}, {5, 3, 9}}) {
        CAPTURE(to_string(size));
        test::check_rule([&](const std::vector<Tensor>& t) { return interpolate(t[0], size, {mode, align}); },
                         {random({2, 3, 4, 5}, 2)});
      }
      test::check_rule([&](const std::vector<Tensor>& t) { return interpolate_by(t[0], {1.7, 0.6}, {mode, align}); },
                       {random({2, 4, 5}, 3)});
    }
}

TEST_CASE("interpolate: what does not fit is an error") {
  const Tensor x = zeros({1, 4, 4});
  CHECK_THROWS_AS(interpolate(x, {0, 4}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {}), ShapeError);
  CHECK_THROWS_AS(interpolate(x, {2, 2, 2, 2}), ShapeError);
  CHECK_THROWS_AS(interpolate(x, {2, 2}, {Interpolation::nearest, true}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {2, 2}, {Interpolation::area, true}), ValueError);
  CHECK_THROWS_AS(interpolate(zeros({1, 0}), {2}), ShapeError);
  CHECK_THROWS_AS(interpolate_by(x, {0.1, 1}), ValueError);
  CHECK_THROWS_AS(interpolate_by(x, {NAN}), ValueError);
  CHECK_THROWS_AS(interpolate_by(x, {-1.0}), ValueError);
  CHECK(interpolate(zeros({0, 2, 4}), {8}).shape() == Shape{0, 2, 8});
}
