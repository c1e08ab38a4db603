#include "support.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

double largest(const Tensor& x) { return amax(abs(x.detach())).item(); }
double spread(const Tensor& x) { return std::sqrt(mean(square(x.detach())).item()); }

}  // namespace

TEST_CASE("Linear: is x W^T + b, with values on U(-1/sqrt(in), 1/sqrt(in))") {
  Rng rng{1};
  const nn::Linear layer(400, 300, rng);
  CHECK(layer.weight.shape() == Shape{300, 400});
  CHECK(layer.bias.shape() == Shape{300});
  CHECK(largest(layer.weight) <= 0.05);
  CHECK(spread(layer.weight) == doctest::Approx(0.05 / std::sqrt(3.0)).epsilon(0.01));
  CHECK(largest(layer.bias) <= 0.05);
  const Tensor x = rng.normal({2, 400});
  const Tensor y = layer(x);
  CHECK(y.shape() == Shape{2, 300});
  CHECK(largest(y - (matmul(x, transpose(layer.weight)) + layer.bias)) < 1e-5);
}

TEST_CASE("Linear: without bias has one parameter, in double all are double") {
  const nn::Linear layer(3, 2, {.bias = false, .dtype = float64});
  CHECK_FALSE(layer.bias.defined());
  CHECK(num_parameters(layer) == 6);
  CHECK(layer(ones({3}, float64)).dtype() == float64);
}

TEST_CASE("layers: the same seed gives the same values, from a generator or from the thread's own") {
  Rng a{5}, b{5};
  CHECK(nn::Linear(4, 3, a).weight.to_vector<float>() == nn::Linear(4, 3, b).weight.to_vector<float>());
  seed(9);
  const nn::Linear first(4, 3);
  const nn::Linear second(4, 3);
  seed(9);
  CHECK(nn::Linear(4, 3).weight.to_vector<float>() == first.weight.to_vector<float>());
  CHECK(first.weight.to_vector<float>() != second.weight.to_vector<float>());
  seed(0);
}

TEST_CASE("Conv2d: has torch's shapes and values on U(-1/sqrt(fan_in), 1/sqrt(fan_in))") {
  Rng rng{1};
  const nn::Conv2d layer(8, 16, 3, rng, {.stride = 2, .padding = 1, .groups = 2});
  CHECK(layer.weight.shape() == Shape{16, 4, 3, 3});
  CHECK(largest(layer.weight) <= 1.0 / 6);
  CHECK(spread(layer.weight) == doctest::Approx(1.0 / 6 / std::sqrt(3.0)).epsilon(0.05));
  CHECK(layer(ones({2, 8, 9, 9})).shape() == Shape{2, 16, 5, 5});
  CHECK(nn::Conv2d(1, 2, 5)(ones({3, 1, 8, 8})).shape() == Shape{3, 2, 4, 4});
}

TEST_CASE("layers: the mistakes of a constructor are errors that name the caller's line") {
  CHECK(contains(message<ValueError>([] { nn::Linear(0, 3); }), "in must be >= 1, got 0"));
  CHECK(contains(message<ValueError>([] { nn::Linear(2, -3); }), "layers.cpp"));
  CHECK(contains(message<ValueError>([] { nn::Conv2d(4, 6, 3, {.groups = 4}); }), "groups"));
  CHECK(contains(message<ValueError>([] { nn::Conv2d(4, 6, 0); }), "kernel"));
  CHECK(contains(message<ValueError>([] { nn::Conv2d(4, 6, 3, {.padding = -1}); }), "padding"));
}

TEST_CASE("layers: an input that does not fit is an error at the line of the call") {
  const nn::Linear layer(3, 2);
  const auto what = message<ShapeError>([&] { layer(ones({4, 5})); });
  CHECK(contains(what, "Linear: needs [..., 3], got [4, 5]"));
  CHECK(contains(what, "tests/nn/layers.cpp"));
  CHECK(contains(message<ShapeError>([&] { nn::Conv2d(3, 2, 3)(ones({1, 4, 8, 8})); }), "tests/nn/layers.cpp"));
}

TEST_CASE("MaxPool2d and Flatten: shapes, and no parameters") {
  struct Net {
    nn::Conv2d conv{1, 4, 3, {.padding = 1}};
    nn::MaxPool2d pool{2};
    nn::Flatten flat;
    nn::Linear out{4 * 4 * 4, 10};
    Tensor operator()(const Tensor& x) const { return out(flat(pool(relu(conv(x))))); }
  };
  const Net net;
  CHECK(num_parameters(net) == 40 + 650);
  CHECK(net(ones({2, 1, 8, 8})).shape() == Shape{2, 10});
  const Net g = grad([](const Net& n) { return mean(square(n(ones({2, 1, 8, 8})))); }, net);
  CHECK(largest(g.conv.weight) > 0);
}

TEST_CASE("init: bounds and spreads are those of the papers") {
  Rng rng{3};
  const Shape shape{200, 50, 3, 2};  // fan_in 300, fan_out 1200
  CHECK(nn::init::fans(shape).in == 300);
  CHECK(nn::init::fans(shape).out == 1200);
  CHECK(largest(nn::init::xavier_uniform(shape, rng)) == doctest::Approx(std::sqrt(6.0 / 1500)).epsilon(0.001));
  CHECK(spread(nn::init::xavier_normal(shape, rng, 2)) == doctest::Approx(2 * std::sqrt(2.0 / 1500)).epsilon(0.02));
  CHECK(largest(nn::init::kaiming_uniform(shape, rng)) == doctest::Approx(std::sqrt(6.0 / 300)).epsilon(0.001));
  CHECK(spread(nn::init::kaiming_normal(shape, rng, nn::init::gain_tanh)) ==
        doctest::Approx(5.0 / 3 / std::sqrt(300.0)).epsilon(0.02));
  CHECK(nn::init::gain_leaky_relu(std::sqrt(5.0)) == doctest::Approx(1 / std::sqrt(3.0)));
  CHECK_THROWS_AS(nn::init::xavier_uniform({3}, rng), ShapeError);
}

TEST_CASE("Bilinear: is x W y + b, for rows and for single vectors") {
  Rng rng{2};
  const nn::Bilinear layer(3, 4, 2, rng, {.dtype = float64});
  CHECK(layer.weight.shape() == Shape{2, 3, 4});
  CHECK(largest(layer.weight) <= 1 / std::sqrt(3.0));
  const Tensor x = test::random({5, 3}), y = test::random({5, 4}, -1, 1, 2);
  const Tensor z = layer(x, y);
  for (int i = 0; i < 5; ++i)
    for (int o = 0; o < 2; ++o) {
      const Tensor want = matmul(select(x, 0, i), matmul(select(layer.weight, 0, o), select(y, 0, i)));
      CHECK(select(select(z, 0, i), 0, o).item() ==
            doctest::Approx(want.item() + select(layer.bias, 0, o).item()).epsilon(1e-12));
    }
  CHECK(layer(select(x, 0, 0), select(y, 0, 0)).shape() == Shape{2});
  CHECK(contains(message<ShapeError>([&] { layer(y, x); }), "Bilinear: needs [..., 3] and [..., 4], got [5, 4]"));
}

TEST_CASE("Embedding: looks rows up; the padding row is zero and is not trained, duplicates add") {
  Rng rng{2};
  const nn::Embedding table(5, 3, rng, {.padding_index = -1, .dtype = float64});
  CHECK(*table.padding_index == 4);
  const Tensor index = from(std::vector<std::int64_t>{1, 4, 1, 0}, {2, 2});
  const Tensor y = table(index);
  CHECK(y.shape() == Shape{2, 2, 3});
  CHECK(largest(select(select(y, 0, 0), 0, 1)) == 0);
  const nn::Embedding g = grad([&](const nn::Embedding& t) { return sum(t(index)); }, table);
  CHECK(sum(g.weight, {1}).to_vector<double>() == std::vector<double>{3, 6, 0, 0, 0});
  CHECK(spread(nn::Embedding(100, 100, rng).weight) == doctest::Approx(1).epsilon(0.02));
  CHECK(contains(message<ValueError>([] { nn::Embedding(5, 3, {.padding_index = 5}); }),
                 "padding_index must be in [-5, 5), got 5"));
  CHECK(contains(message<ValueError>([&] { table(full({1}, 7, int64)); }), "tests/nn/layers.cpp"));
}

TEST_CASE("Unflatten: undoes Flatten, and says what cannot be split") {
  const Tensor x = test::random({2, 3, 4});
  CHECK(nn::Unflatten{1, {3, 4}}(nn::Flatten{}(x)).to_vector<double>() == x.to_vector<double>());
  CHECK(nn::Unflatten{-1, {2, -1}}(x).shape() == Shape{2, 3, 2, 2});
  CHECK(contains(message<ShapeError>([&] { nn::Unflatten{2, {3, 2}}(x); }), "axis 2 of [2, 3, 4]"));
  CHECK(contains(message<ShapeError>([&] { nn::Unflatten{2, {3, -1}}(x); }), "cannot be split into [3, -1]"));
  CHECK(contains(message<ValueError>([&] { nn::Unflatten{3, {3}}(x); }), "no axis 3"));
  CHECK(nn::Identity()(x).to_vector<double>() == x.to_vector<double>());
}

TEST_CASE("PRelu: one slope or one for each channel, 0.25 at first") {
  const Tensor x = tensor({{-4, 2}, {-8, -4}}, float64);
  CHECK(nn::PRelu(1, {.dtype = float64})(x).to_vector<double>() == std::vector<double>{-1, 2, -2, -1});
  nn::PRelu two(2, {.dtype = float64});
  two.weight.assign(tensor({0.5, 1}, float64));
  CHECK(two(x).to_vector<double>() == std::vector<double>{-2, 2, -4, -4});
  CHECK(contains(message<ShapeError>([&] { two(ones({2, 3}, float64)); }), "tests/nn/layers.cpp"));
}

TEST_CASE("activations as layers: are the operators, with their options") {
  const Tensor x = test::random({4, 6}, -3, 3);
  const auto same = [](const Tensor& a, const Tensor& b) { return a.to_vector<double>() == b.to_vector<double>(); };
  CHECK(same(nn::Relu()(x), relu(x)));
  CHECK(same(nn::Gelu()(x), gelu(x)));
  CHECK(same(nn::Gelu{.tanh = true}(x), gelu_tanh(x)));
  CHECK(same(nn::LeakyRelu{0.2}(x), leaky_relu(x, 0.2)));
  CHECK(same(nn::Elu{2}(x), elu(x, 2)));
  CHECK(same(nn::Softplus{}(x), softplus(x, 1, 20)));
  CHECK(same(nn::Hardtanh{-2, 1}(x), hardtanh(x, -2, 1)));
  CHECK(same(nn::Softshrink{}(x), softshrink(x)));
  CHECK(same(nn::Softmax{0}(x), softmax(x, 0)));
  CHECK(same(nn::Glu{}(x), glu(x)));
  CHECK(contains(message<ShapeError>([] { nn::Glu{}(ones({3})); }), "tests/nn/layers.cpp"));
}

TEST_CASE("Linear, Bilinear, Embedding, PRelu: derivatives in input and parameters pass the harness") {
  using Tensors = std::vector<Tensor>;
  using test::check_rule;
  using test::random;
  check_rule(
      [](const Tensors& x) {
        nn::Linear f(3, 2);
        f.weight = Param(x[1]), f.bias = Param(x[2]);
        return f(x[0]);
      },
      {random({4, 3}), random({2, 3}, -1, 1, 2), random({2}, -1, 1, 3)});
  check_rule(
      [](const Tensors& x) {
        nn::Bilinear f(3, 2, 2);
        f.weight = Param(x[2]), f.bias = Param(x[3]);
        return f(x[0], x[1]);
      },
      {random({4, 3}), random({4, 2}, -1, 1, 2), random({2, 3, 2}, -1, 1, 3), random({2}, -1, 1, 4)});
  check_rule(
      [](const Tensors& x) {
        nn::Embedding f(4, 2, {.padding_index = 2});  // never looked up: differences would move it
        f.weight = Param(x[0]);
        return square(f(from(std::vector<std::int64_t>{1, 0, 3, 1}, {4})));
      },
      {random({4, 2})});
  check_rule(
      [](const Tensors& x) {
        nn::PRelu f(3);
        f.weight = Param(x[1]);
        return f(x[0]);
      },
      {random({4, 3}), random({3}, -1, 1, 2)});
}
