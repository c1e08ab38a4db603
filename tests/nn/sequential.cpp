#include "support.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"

using namespace wengert;
using test::contains;
using test::message;
using test::random;

namespace {

std::vector<double> values(const Tensor& x) { return to(x.detach(), float64).to_vector<double>(); }
template <class M>
std::string names(const M& model) {
  std::string all;
  for_each_tensor(model, [&](std::string_view name, const Tensor&) { all += std::string(name) + " "; });
  return all;
}

struct Residual {
  nn::Linear inner{4, 4};
  nn::Dropout drop{0.5};
  Tensor operator()(const Tensor& x, nn::Mode mode) const { return x + drop(relu(inner(x)), mode); }
};

}  // namespace

TEST_CASE("Sequential: is the layers one after the other, named by their places") {
  const nn::Sequential net(nn::Linear(3, 4), nn::Relu(), nn::Linear(4, 2, {.bias = false}));
  CHECK(names(net) == "0.weight 0.bias 2.weight ");
  const Tensor x = random({5, 3}, -1, 1, 2);
  const Tensor y = to(x, float32);
  CHECK(values(net(y)) == values(net.get<2>()(relu(net.get<0>()(y)))));
  CHECK(num_parameters(net) == 16 + 8);
}

TEST_CASE("Sequential: takes operators and lambdas, and hands the mode to those who take one") {
  const nn::Sequential net(
      nn::Linear(3, 4), tanh, [](const Tensor& x) { return 2 * x; }, Residual(), nn::BatchNorm1d(4));
  CHECK(names(net) ==
        "0.weight 0.bias 3.inner.weight 3.inner.bias 4.weight 4.bias 4.running_mean 4.running_var "
        "4.num_batches_tracked ");
  Rng rng{1};
  const Tensor x = rng.normal({5, 3});
  CHECK(values(net(x, nn::training(rng))) != values(net(x, nn::training(rng))));
  CHECK(values(net(x, nn::eval)) == values(net(x, nn::eval)));
  CHECK(net.get<4>().num_batches_tracked.item() == 2);
  const nn::Sequential plain(nn::Linear(3, 4), nn::Relu());
  CHECK(values(plain(x)) == values(plain(x, nn::eval)));
  CHECK(values(nn::Sequential<>()(x)) == values(x));
}

TEST_CASE("Sequential: is a model: gradients, copies and files have its type") {
  struct Net {
    nn::Sequential<nn::Linear, nn::Tanh> body{nn::Linear(2, 3), nn::Tanh()};
    std::vector<nn::Sequential<nn::Linear>> heads;
  };
  Net net;
  for (int i = 0; i < 2; ++i) net.heads.push_back(nn::Sequential(nn::Linear(3, 1)));
  CHECK(names(net) == "body.0.weight body.0.bias heads.0.0.weight heads.0.0.bias heads.1.0.weight heads.1.0.bias ");
  const Tensor x = ones({4, 2});
  auto loss = [&](const Net& n) { return mean(square(n.heads[0](n.body(x)) + n.heads[1](n.body(x)))); };
  const Net g = grad(loss, net);
  CHECK(amax(abs(g.body.get<0>().weight)).item() > 0);
  CHECK(amax(abs(g.heads[1].get<0>().bias)).item() > 0);
  const Net twin = net;
  net.body.get<0>().weight.assign(zeros({3, 2}));
  CHECK(amax(abs(twin.body.get<0>().weight.detach())).item() > 0);
}

TEST_CASE("Sequential: an error inside names the line of the call") {
  const nn::Sequential net(nn::Linear(3, 4), nn::Relu(), nn::Linear(5, 2));
  CHECK(contains(message<ShapeError>([&] { net(ones({2, 3})); }), "tests/nn/sequential.cpp"));
}

TEST_CASE("layers of one kind stand in a vector") {
  struct Net {
    std::vector<Residual> blocks{Residual(), Residual()};
    Tensor operator()(Tensor x, nn::Mode mode) const {
      for (const Residual& block : blocks) x = block(x, mode);
      return x;
    }
  };
  CHECK(names(Net()) == "blocks.0.inner.weight blocks.0.inner.bias blocks.1.inner.weight blocks.1.inner.bias ");
  Rng rng{1};
  CHECK(Net()(ones({2, 4}), nn::training(rng)).shape() == Shape{2, 4});
}
