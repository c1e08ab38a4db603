#include "wengert/data/transforms.h"

#include "files.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace wengert;

TEST_CASE("normalize: columns have mean 0 and variance 1 by the training part, and what does not vary is shifted") {
  const Tensor x = tensor({{1, 7}, {3, 7}, {5, 7}, {7, 7}}, float64);
  const data::Normalize norm(x);
  CHECK(norm.mean.to_vector<double>() == std::vector<double>{4, 7});
  const auto y = norm(x).to_vector<double>();
  CHECK(y[0] == doctest::Approx(-3 / std::sqrt(5.)));
  CHECK(y[1] == 0);
  CHECK(norm(tensor({{4, 8}}, float64)).to_vector<double>() == std::vector<double>{0, 1});
  CHECK(norm.inverse(norm(x)).to_vector<double>() == x.to_vector<double>());
  CHECK(data::Normalize(reshape(x, {1, 2, 2, 2}), {0, 2, 3}).mean.shape() == Shape{1, 2, 1, 1});
  CHECK_THROWS_AS(data::Normalize(arange(3)), TypeError);
  CHECK_THROWS_AS(data::Normalize(zeros({0, 2})), ShapeError);
}

TEST_CASE("normalize: is saved as a part of a model") {
  const TemporaryFolder folder;
  const data::Normalize norm(tensor({{1, 2}, {3, 6}}));
  save(folder / "norm", norm);
  data::Normalize again(Shape{1, 2});
  load(folder / "norm", again);
  CHECK(again.mean.to_vector<float>() == std::vector<float>{2, 4});
  CHECK(again.std.to_vector<float>() == std::vector<float>{1, 2});
}

TEST_CASE("random_flip: each image is mirrored or not, in all its channels") {
  Rng rng{1};
  const Tensor x = reshape(arange(100 * 2 * 3 * 4, float32), {100, 2, 3, 4}), mirrored = flip(x, {3});
  const Tensor y = data::random_flip(x, rng);
  int flipped = 0;
  for (int i = 0; i < 100; ++i) {
    const auto now = select(y, 0, i).to_vector<float>();
    if (now == select(mirrored, 0, i).to_vector<float>()) ++flipped;
    else CHECK(now == select(x, 0, i).to_vector<float>());
  }
  CHECK(flipped > 30);
  CHECK(flipped < 70);
  CHECK(data::random_flip(to(x, int64), rng, 1).to_vector<std::int64_t>() ==
        to(mirrored, int64).to_vector<std::int64_t>());
  CHECK(data::random_flip(greater(x, 7), rng, 0).to_vector<bool>() == greater(x, 7).to_vector<bool>());
  CHECK_THROWS_AS(data::random_flip(ones({3, 4}), rng), ShapeError);
  CHECK_THROWS_AS(data::random_flip(x, rng, 2), ValueError);
}

TEST_CASE("random_shift: an image keeps its size and moves, and zeros come in") {
  Rng rng{2};
  Tensor x = zeros({200, 5, 5});
  for (std::size_t i = 0; i < 200; ++i) x.write<float>()[i * 25 + 12] = 1;  // the pixel in the middle
  const Tensor y = data::random_shift(x, rng, 2);
  CHECK(y.shape() == x.shape());
  const Tensor places = sum(y, {0});
  CHECK(amin(places).item() > 0);  // it came everywhere
  CHECK(sum(y).item() == 200);
  CHECK(data::random_shift(x, rng, 0).to_vector<float>() == x.to_vector<float>());
  CHECK(sum(data::random_shift(ones({50, 3, 3}), rng, 5)).item() < 450);
}

TEST_CASE("crops: random ones lie inside the padded image, and the one in the middle is a view") {
  Rng rng{3};
  const Tensor x = reshape(arange(30, float32) + 1., {1, 5, 6});
  for (int i = 0; i < 50; ++i) {
    const auto c = data::random_crop(x, 2, 3, rng).to_vector<float>();
    CHECK(c[1] == c[0] + 1);
    CHECK(c[3] == c[0] + 6);
  }
  CHECK(data::random_crop(x, 9, 10, rng, 2).shape() == Shape{1, 9, 10});
  CHECK(sum(data::random_crop(x, 9, 10, rng, 2)).item() == sum(x).item());
  CHECK(data::center_crop(x, 1, 2).to_vector<float>() == std::vector<float>{15, 16});
  CHECK_THROWS_AS(data::random_crop(x, 6, 6, rng), ValueError);
  CHECK_THROWS_AS(data::center_crop(x, 5, 7), ValueError);
}
