#include "support.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/nn/nn.h"

using namespace wengert;
using test::contains;
using test::message;
using test::random;

namespace {

using V = std::vector<double>;
V values(const Tensor& x) { return to(x, float64).to_vector<double>(); }
Tensor row(std::initializer_list<double> x) { return reshape(from(x), {1, 1, -1}); }

}  // namespace

TEST_CASE("MaxPool, AvgPool, LpPool: windows of a signal") {
  const Tensor x = row({1, 5, 2, 4, 3});
  CHECK(values(nn::MaxPool1d{2}(x)) == V{5, 4});
  CHECK(values(nn::MaxPool1d{2, 1}(x)) == V{5, 5, 4, 4});
  CHECK(values(nn::MaxPool1d{.kernel = 2, .ceil_mode = true}(x)) == V{5, 4, 3});
  CHECK(values(nn::MaxPool1d{.kernel = 2, .stride = 1, .dilation = 3}(x)) == V{4, 5});
  CHECK(values(nn::AvgPool1d{.kernel = 2, .padding = 1}(x)) == V{0.5, 3.5, 3.5});
  CHECK(values(nn::AvgPool1d{.kernel = 2, .padding = 1, .count_padding = false}(x)) == V{1, 3.5, 3.5});
  CHECK(values(nn::LpPool1d{.p = 2, .kernel = 2}(row({3, 4, 6, 8})))[1] == doctest::Approx(10));
}

TEST_CASE("pooling: a number for each axis, on two and three axes") {
  CHECK(nn::MaxPool2d{{2, 3}}(ones({2, 3, 7, 7})).shape() == Shape{2, 3, 3, 2});
  CHECK(nn::AvgPool3d{{1, 2, 4}}(ones({1, 3, 4, 4, 4})).shape() == Shape{1, 3, 4, 2, 1});
  CHECK(nn::LpPool2d{.p = 1, .kernel = 2}(ones({1, 3, 4, 4})).shape() == Shape{1, 3, 2, 2});
  CHECK(nn::AdaptiveAvgPool2d{{1, 2}}(ones({1, 3, 4, 4})).shape() == Shape{1, 3, 1, 2});
  CHECK(nn::AdaptiveMaxPool3d{2}(ones({1, 3, 4, 5, 6})).shape() == Shape{1, 3, 2, 2, 2});
}

TEST_CASE("AdaptiveAvgPool and AdaptiveMaxPool: windows that overlap where sizes do not come out even") {
  const Tensor x = row({1, 5, 2, 4, 3});
  CHECK(values(nn::AdaptiveMaxPool1d{2}(x)) == V{5, 4});
  CHECK(values(nn::AdaptiveAvgPool1d{1}(x)) == V{3});
  CHECK(values(nn::AdaptiveAvgPool1d{2}(x))[0] == doctest::Approx(8.0 / 3));
}

TEST_CASE("Upsample: by a factor or to a size") {
  CHECK(values(nn::Upsample{}(row({1, 2}))) == V{1, 1, 2, 2});
  CHECK(values(nn::Upsample{.mode = Interpolation::linear, .align_corners = true, .size = {3}}(row({1, 2}))) ==
        V{1, 1.5, 2});
  CHECK(nn::Upsample{.scale_factor = 1.5}(ones({1, 2, 4, 6})).shape() == Shape{1, 2, 6, 9});
  CHECK(contains(message<ShapeError>([] { nn::Upsample{.size = {3}}(ones({1, 2, 4, 6})); }), "Upsample: size [3]"));
  CHECK(contains(message<ShapeError>([] { nn::Upsample{}(ones({2, 4})); }), "Upsample: needs [n, channels]"));
}

TEST_CASE("PixelUnshuffle: undoes PixelShuffle") {
  const Tensor x = random({2, 8, 3, 5});
  const Tensor y = nn::PixelShuffle{2}(x);
  CHECK(y.shape() == Shape{2, 2, 6, 10});
  CHECK(values(nn::PixelUnshuffle{2}(y)) == values(x));
  CHECK(contains(message<ShapeError>([] { nn::PixelUnshuffle{2}(ones({1, 3, 4})); }), "[.., c, h 2, w 2]"));
}

TEST_CASE("pooling layers: have nothing to train and stand in models") {
  struct Net {
    nn::Conv1d conv{1, 2, 3};
    nn::MaxPool1d pool{.kernel = 2, .stride = 1};
    nn::AdaptiveAvgPool1d all;
    nn::Upsample up;
    nn::PixelShuffle shuffle;
    nn::Gelu gelu;
  };
  CHECK(num_parameters(Net()) == 8);
  CHECK(contains(message<ShapeError>([] { nn::MaxPool2d{5}(ones({1, 1, 3, 3})); }), "tests/nn/pooling.cpp"));
}
