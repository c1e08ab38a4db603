#include "support.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

double largest(const Tensor& x) { return amax(abs(x.detach())).item(); }

}  // namespace

TEST_CASE("Conv1d, Conv2d, Conv3d: have torch's shapes, with a number for each axis or one for all") {
  CHECK(nn::Conv1d(2, 3, 4)(ones({5, 2, 9})).shape() == Shape{5, 3, 6});
  CHECK(nn::Conv2d(2, 4, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}})(ones({1, 2, 7, 6})).shape() ==
        Shape{1, 4, 4, 5});
  const nn::Conv3d volume(2, 4, {1, 2, 3}, {.groups = 2, .bias = false});
  CHECK(volume.weight.shape() == Shape{4, 1, 1, 2, 3});
  CHECK(num_parameters(volume) == 24);
  CHECK(volume(ones({2, 5, 5, 5})).shape() == Shape{4, 5, 4, 3});  // without n
}

TEST_CASE("Conv1d: is the sum of the definition") {
  const nn::Conv1d layer(1, 1, 3, {.padding = 1, .dtype = float64});
  const Tensor x = random({1, 1, 5});
  const auto w = layer.weight.to_vector<double>(), a = x.to_vector<double>(), y = layer(x).to_vector<double>();
  for (int i = 0; i < 5; ++i) {
    double want = layer.bias.to_vector<double>()[0];
    for (int k = 0; k < 3; ++k)
      if (const int j = i + k - 1; j >= 0 && j < 5) want += w[std::size_t(k)] * a[std::size_t(j)];
    CHECK(y[std::size_t(i)] == doctest::Approx(want).epsilon(1e-14));
  }
}

TEST_CASE("Conv2d: a circular padding is that of pad()") {
  const nn::Conv2d around(1, 2, 3, {.padding = {1, 2}, .padding_mode = PadMode::circular, .dtype = float64});
  const Tensor x = random({1, 1, 4, 5});
  const Tensor want = conv(pad(x, {{1, 1}, {2, 2}}, PadMode::circular), around.weight, around.bias);
  CHECK(largest(around(x) - want) == 0);
}

TEST_CASE("ConvTranspose: is the transpose of Conv: <Conv x, y> = <x, ConvTranspose y>, for one to three axes") {
  auto check = [&]<int rank>(std::integral_constant<int, rank>, const Shape& in) {
    nn::Conv<rank> conv(4, 6, 3, {.stride = 2, .padding = 1, .groups = 2, .bias = false, .dtype = float64});
    nn::ConvTranspose<rank> back(6, 4, 3, {.stride = 2, .padding = 1, .groups = 2, .bias = false, .dtype = float64});
    REQUIRE(back.weight.shape() == conv.weight.shape());
    back.weight = conv.weight.detach();
    const Tensor x = random(in, -1, 1, 1), cx = conv(x), y = random(cx.shape(), -1, 1, 2);
    CHECK(sum(cx * y).item() == doctest::Approx(sum(x * back(y)).item()).epsilon(1e-12));
  };
  check(std::integral_constant<int, 1>(), {2, 4, 7});
  check(std::integral_constant<int, 2>(), {2, 4, 7, 5});
  check(std::integral_constant<int, 3>(), {1, 4, 5, 3, 7});
}

TEST_CASE("ConvTranspose2d: output_padding lengthens the end, values start as torch's, from out / groups") {
  Rng rng{1};
  const nn::ConvTranspose2d layer(8, 4, 3, rng, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
  CHECK(layer.weight.shape() == Shape{8, 2, 3, 3});
  CHECK(layer(ones({1, 8, 5, 5})).shape() == Shape{1, 4, 10, 10});
  const double bound = 1 / std::sqrt(2 * 9.0);
  CHECK(largest(layer.weight) <= bound);
  CHECK(largest(layer.weight) > 0.9 * bound);
}

TEST_CASE("Conv2d and ConvTranspose1d: derivatives in input, weight and bias pass the harness") {
  check_rule(
      [](const std::vector<Tensor>& x) {
        nn::Conv2d layer(2, 2, 2, {.stride = 2, .padding = 1, .padding_mode = PadMode::reflect});
        layer.weight = Param(x[1]), layer.bias = Param(x[2]);
        return layer(x[0]);
      },
      {random({1, 2, 4, 3}, -1, 1, 1), random({2, 2, 2, 2}, -1, 1, 2), random({2}, -1, 1, 3)});
  check_rule(
      [](const std::vector<Tensor>& x) {
        nn::ConvTranspose1d layer(2, 3, 2, {.stride = 2});
        layer.weight = Param(x[1]), layer.bias = Param(x[2]);
        return layer(x[0]);
      },
      {random({2, 2, 3}, -1, 1, 1), random({2, 3, 2}, -1, 1, 2), random({3}, -1, 1, 3)});
}

TEST_CASE("convolutions: mistakes name the layer, what was needed and what came") {
  const auto what = message<ShapeError>([] { nn::Conv2d(3, 2, 3)(ones({1, 4, 8, 8})); });
  CHECK(contains(what, "Conv2d: needs [n, 3, h, w], with or without n, got [1, 4, 8, 8]"));
  CHECK(contains(what, "tests/nn/convolution.cpp"));
  CHECK(contains(message<ShapeError>([] { nn::Conv1d(3, 2, 3)(ones({1, 1, 3, 8})); }), "Conv1d: needs [n, 3, l]"));
  CHECK(contains(message<ValueError>([] { nn::Conv3d(4, 6, {1, 0, 3}); }), "Conv3d: kernel must be >= 1"));
  CHECK(contains(message<ValueError>([] { nn::ConvTranspose2d(4, 6, 3, {.stride = 2, .output_padding = 2}); }),
                 "ConvTranspose2d: output_padding [2, 2] must be < stride"));
  CHECK(contains(message<ValueError>([] { nn::ConvTranspose1d(4, 6, 3, {.groups = 3}); }), "3 groups do not divide"));
  CHECK(contains(message<ShapeError>([] { nn::Extent<2>(Shape{1, 2, 3}); }), "each of 2 spatial axes"));
}
