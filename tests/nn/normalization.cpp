#include "support.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"

#include <cmath>
#include <limits>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

using V = std::vector<double>;
V values(const Tensor& x) { return to(x.detach(), float64).to_vector<double>(); }
double largest(const Tensor& x) { return amax(abs(x.detach())).item(); }
Tensor column(std::initializer_list<double> x) { return reshape(from(x), {-1, 1}); }

}  // namespace

TEST_CASE("BatchNorm1d: normalises by the batch in training and by the running statistics otherwise") {
  nn::BatchNorm1d norm(1, {.eps = 0, .dtype = float64});
  const Tensor x = column({1, 3, 5, 7});
  const double deviation = std::sqrt(5.0);  // the variance over n
  CHECK(values(norm(x, nn::training()))[0] == doctest::Approx(-3 / deviation));
  CHECK(norm.running_mean.to_vector<double>()[0] == doctest::Approx(0.1 * 4));
  CHECK(norm.running_var.to_vector<double>()[0] == doctest::Approx(0.9 + 0.1 * 20 / 3));  // over n - 1
  CHECK(norm.num_batches_tracked.item() == 1);
  CHECK(values(norm(x, nn::eval))[0] == doctest::Approx((1 - 0.4) / std::sqrt(0.9 + 2.0 / 3)));
  CHECK(norm.num_batches_tracked.item() == 1);
}

TEST_CASE("BatchNorm: without momentum the running statistics are plain averages of the batches") {
  nn::BatchNorm1d norm(1, {.momentum = {}, .dtype = float64});
  for (double centre : {1, 2, 6}) norm(column({centre - 1, centre + 1}), nn::training());
  CHECK(norm.running_mean.to_vector<double>()[0] == doctest::Approx(3));
  CHECK(norm.running_var.to_vector<double>()[0] == doctest::Approx(2));
}

TEST_CASE("BatchNorm: untracked it uses the batch always; without affine it has no parameters") {
  const nn::BatchNorm2d norm(2, {.affine = false, .track_running_stats = false, .dtype = float64});
  CHECK(num_parameters(norm) == 0);
  std::size_t tensors = 0;
  for_each_tensor(norm, [&](const Tensor&) { ++tensors; });
  CHECK(tensors == 0);
  const Tensor x = random({3, 2, 4, 4});
  CHECK(values(norm(x, nn::eval)) == values(norm(x, nn::training())));
  CHECK(largest(mean(norm(x, nn::eval), {0, 2, 3})) < 1e-12);
}

TEST_CASE("BatchNorm: its tensors have torch's names, and a copy has its own") {
  nn::BatchNorm3d norm(2);
  std::string names;
  for_each_tensor(norm, [&](std::string_view name, const Tensor&) { names += std::string(name) + " "; });
  CHECK(names == "weight bias running_mean running_var num_batches_tracked ");
  const nn::BatchNorm3d twin = norm;
  Rng rng{1};
  norm(rng.normal({2, 2, 2, 2, 2}), nn::training());
  CHECK(values(twin.running_mean) == V{0, 0});
  CHECK(values(norm.running_mean) != V{0, 0});
}

TEST_CASE("BatchNorm: inside value_and_grad and checkpoint the model's own statistics move, once") {
  struct Net {
    nn::BatchNorm1d norm{2};
    nn::Linear out{2, 1};
    Tensor operator()(const Tensor& x, nn::Mode mode) const { return out(norm(x, mode)); }
  };
  Net net, again = net;
  Rng rng{1};
  const Tensor x = rng.normal({5, 2});
  const Net g = grad([&](const Net& n) { return mean(square(n(x, nn::training()))); }, net);
  CHECK(net.norm.num_batches_tracked.item() == 1);
  CHECK(largest(net.norm.running_mean) > 0);
  const Net h = grad(
      [&](const Net& n) {
        return checkpoint([](const Net& m, const Tensor& t, nn::Mode mode) { return mean(square(m(t, mode))); }, n, x,
                          nn::training());
      },
      again);
  CHECK(again.norm.num_batches_tracked.item() == 1);
  CHECK(values(again.norm.running_mean) == values(net.norm.running_mean));
  CHECK(values(h.norm.weight) == values(g.norm.weight));
}

TEST_CASE("normalisation layers: derivatives in input, weight and bias pass the harness") {
  const std::vector<Tensor> x{random({3, 4, 2}, -1, 1, 1), random({4}, 0.5, 1.5, 2), random({4}, -1, 1, 3)};
  auto with = [](auto layer, const std::vector<Tensor>& t) {
    layer.weight = Param(t[1]);
    if constexpr (requires { layer.bias; }) layer.bias = Param(t[2]);
    return layer;
  };
  check_rule(
      [&](const std::vector<Tensor>& t) {
        return with(nn::BatchNorm1d(4, {.track_running_stats = false}), t)(t[0], nn::training());
      },
      x);
  check_rule(
      [&](const std::vector<Tensor>& t) { return with(nn::BatchNorm1d(4, {.dtype = float64}), t)(t[0], nn::eval); }, x,
      {.float32 = 0});
  check_rule([&](const std::vector<Tensor>& t) { return with(nn::GroupNorm(2, 4), t)(t[0]); }, x);
  check_rule([&](const std::vector<Tensor>& t) { return with(nn::InstanceNorm1d(4, {.affine = true}), t)(t[0]); }, x);
  check_rule([&](const std::vector<Tensor>& t) { return with(nn::LayerNorm(4), t)(transpose(t[0])); }, x);
  check_rule([&](const std::vector<Tensor>& t) { return with(nn::RmsNorm(4), t)(transpose(t[0])); }, {x[0], x[1]});
}

TEST_CASE("LayerNorm, GroupNorm, InstanceNorm2d: means 0 and variances 1 over what they normalise") {
  const Tensor x = random({2, 6, 4, 5});
  const auto spread = [](const Tensor& y, const Shape& axes) { return largest(var(y, {.axes = axes, .correction = 0}) - 1); };
  const Tensor l = nn::LayerNorm({4, 5}, {.eps = 0, .dtype = float64})(x);
  CHECK(largest(mean(l, {2, 3})) < 1e-12);
  CHECK(spread(l, {2, 3}) < 1e-12);
  CHECK(values(nn::LayerNorm({4, 5}, {.eps = 0, .elementwise_affine = false})(x)) == values(l));
  const Tensor g = reshape(nn::GroupNorm(3, 6, {.eps = 0, .dtype = float64})(x), {2, 3, -1});
  CHECK(spread(g, {2}) < 1e-12);
  CHECK(spread(nn::InstanceNorm2d(6, {.eps = 0})(x), {2, 3}) < 1e-12);
}

TEST_CASE("RmsNorm: divides by the root of the mean square, over one axis or several") {
  const Tensor x = random({3, 4, 5});
  const Tensor y = nn::RmsNorm({4, 5}, {.eps = 0, .dtype = float64})(x);
  CHECK(largest(mean(square(y), {1, 2}) - 1) < 1e-12);
  CHECK(count(nn::RmsNorm({4, 5})) == 20);
  const Tensor tiny = full({2}, 1e-10, float64);
  const double eps = std::numeric_limits<double>::epsilon();
  CHECK(values(nn::RmsNorm(2, {.dtype = float64})(tiny))[0] == doctest::Approx(1e-10 / std::sqrt(1e-20 + eps)));
}

TEST_CASE("normalisation layers: mistakes name the layer, what was needed and what came") {
  const auto one = message<ValueError>([] { nn::BatchNorm1d(3)(ones({1, 3}), nn::training()); });
  CHECK(contains(one, "BatchNorm1d: needs more than one value for each channel in training, got [1, 3]"));
  CHECK(contains(one, "tests/nn/normalization.cpp"));
  CHECK_NOTHROW(nn::BatchNorm1d(3)(ones({1, 3}), nn::eval));
  CHECK(contains(message<ShapeError>([] { nn::BatchNorm2d(3)(ones({2, 4, 5, 5}), nn::eval); }),
                 "BatchNorm2d: needs [n, 3, h, w], got [2, 4, 5, 5]"));
  CHECK(contains(message<ShapeError>([] { nn::BatchNorm2d(3)(ones({2, 3}), nn::eval); }), "got [2, 3]"));
  CHECK(contains(message<ValueError>([] { nn::BatchNorm2d(3, {.momentum = 1.5}); }), "momentum"));
  CHECK(contains(message<ShapeError>([] { nn::LayerNorm({4, 5})(ones({2, 5})); }),
                 "LayerNorm: needs [4, 5] as the last axes, got [2, 5]"));
  CHECK(contains(message<ValueError>([] { nn::GroupNorm(4, 6); }), "4 groups do not divide 6 channels"));
  CHECK(contains(message<ValueError>([] { nn::InstanceNorm2d(2)(ones({3, 2, 1, 1})); }), "more than one value"));
  CHECK(contains(message<ValueError>([] { nn::LayerNorm(4, {.eps = -1}); }), "eps"));
}
