#include "wengert/nn/compression.h"

#include "files.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/optim/adam.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace wengert;

namespace {

struct Pair {
  Param weight = tensor({{0.1, -2}, {3, -0.4}}), bias = tensor({0.01, 0.02});
};
struct Net {
  Pair a, b;
};
Net net() {
  Net n;
  n.b.weight = Param(tensor({{10, 20}, {30, 40}}));
  return n;
}
using Floats = std::vector<float>;

double difference(const Tensor& a, const Tensor& b) { return amax(abs(a - b)).item(); }

}  // namespace

TEST_CASE("pruning: the smallest numbers of all layers together, or of each layer") {
  Net all = net(), each = net();
  nn::Pruning global(all), layered(each, {.global = false});
  global.prune(all, 0.5), layered.prune(each, 0.5);
  CHECK(all.a.weight.to_vector<float>() == Floats{0, 0, 0, 0});
  CHECK(all.b.weight.to_vector<float>() == Floats{10, 20, 30, 40});
  CHECK(each.a.weight.to_vector<float>() == Floats{0, -2, 3, 0});
  CHECK(each.b.weight.to_vector<float>() == Floats{0, 0, 30, 40});
  CHECK(all.a.bias.to_vector<float>() == Floats{0.01f, 0.02f});
  CHECK(global.size() == 8);
  CHECK(global.pruned() == 4);
  CHECK(layered.pruned() == 4);
}

TEST_CASE("pruning: masks stay through training, more can go later, and files keep them") {
  const TemporaryFolder folder;
  Net model = net();
  nn::Pruning pruning(model);
  optim::Adam adam{model, {.lr = 0.1}};
  pruning.prune(model, 0.25);
  for (int i = 0; i < 5; ++i) {
    auto [loss, grads] =
        value_and_grad([](const Net& m) { return sum(square(m.a.weight - 1.)) + sum(square(m.b.weight - 1.)); }, model);
    adam.step(model, grads);
    pruning.apply(model);
  }
  const auto a = model.a.weight.to_vector<float>();
  CHECK(a[0] == 0);
  CHECK(a[3] == 0);
  CHECK(a[1] != -2);
  pruning.prune(model, 0.5);
  CHECK(pruning.pruned() == 4);
  save(folder / "masks", pruning);
  nn::Pruning again(model);
  load(folder / "masks", again);
  CHECK(again.pruned() == 4);
  pruning.prune(model, 0);  // nothing comes back
  CHECK(pruning.pruned() == 4);
}

TEST_CASE("pruning: of equal numbers the first go, and what cannot be is refused") {
  Net model;
  model.a.weight = Param(ones({2, 2})), model.b.weight = Param(ones({2, 2}));
  nn::Pruning pruning(model);
  pruning.prune(model, 0.25);
  CHECK(model.a.weight.to_vector<float>() == Floats{0, 0, 1, 1});
  CHECK_THROWS_AS(pruning.prune(model, 1.1), ValueError);
  model.b.weight.write<float>()[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(pruning.prune(model, 0.5), ValueError);
  CHECK_THROWS_AS(nn::Pruning(model, {.pattern = "gain"}), ValueError);
}

TEST_CASE("pruning_schedule: the cubic of Zhu and Gupta") {
  const nn::PruningSchedule s{.begin = 10, .end = 20, .first = 0.1, .last = 0.9};
  CHECK(nn::pruning_schedule(0, s) == doctest::Approx(0.1));
  CHECK(nn::pruning_schedule(15, s) == doctest::Approx(0.9 - 0.8 / 8));
  CHECK(nn::pruning_schedule(99, s) == doctest::Approx(0.9));
  CHECK_THROWS_AS(nn::pruning_schedule(0, {.begin = 1, .end = 1}), ValueError);
}

TEST_CASE("low_rank: full rank is the layer itself, and a layer of rank two is found by its energy") {
  Rng rng{1};
  const Tensor x = rng.normal({7, 6});
  nn::Linear layer(6, 5, rng);
  const auto whole = nn::low_rank(layer, {.energy = 1});
  CHECK(difference(whole(x), layer(x)) < 1e-5);  // float32
  const Tensor thin = matmul(rng.normal({5, 2}), rng.normal({2, 6}));
  layer.weight.assign(thin);
  const auto two = nn::low_rank(layer, {.energy = 0.999999});
  CHECK(two.first.weight.shape() == Shape{2, 6});
  CHECK(two.second.weight.shape() == Shape{5, 2});
  CHECK(difference(two(x), layer(x)) < 1e-4);
  CHECK(num_parameters(two) == 2 * 6 + 5 * 2 + 5);
}

TEST_CASE("low_rank: what is cut off is the rest of the singular values") {
  Rng rng{2};
  const nn::Linear layer(8, 4, rng, {.bias = false, .dtype = float64});
  const auto s = svdvals(layer.weight).to_vector<double>();
  for (std::int64_t rank = 1; rank <= 4; ++rank) {
    const auto thin = nn::low_rank(layer, {.rank = rank});
    double rest = 0;
    for (std::size_t i = static_cast<std::size_t>(rank); i < 4; ++i) rest += s[i] * s[i];
    const Tensor off = matmul(thin.second.weight, thin.first.weight) - layer.weight;
    CHECK(sum(square(off)).item() == doctest::Approx(rest).epsilon(1e-9));
    CHECK_FALSE(thin.second.bias.defined());
  }
  CHECK_THROWS_AS(nn::low_rank(layer, {.rank = 5}), ValueError);
  CHECK_THROWS_AS(nn::low_rank(layer, {.energy = 0}), ValueError);
}

TEST_CASE("cp_decompose: a kernel of this rank is found, and the four convolutions are the one") {
  Rng rng{3};
  const auto factor = [&](std::int64_t n) { return rng.normal({n, 2}, 0, 1, float64); };
  const Tensor kernel = einsum("or,cr,hr,wr->ochw", {factor(5), factor(3), factor(3), factor(2)});
  const Tensor bias = rng.normal({5}, 0, 1, float64), x = rng.normal({2, 3, 9, 8}, 0, 1, float64);
  for (const ConvOptions& o : {ConvOptions{}, ConvOptions{.stride = {2, 1}, .padding = {1}, .dilation = {1, 2}}}) {
    const auto cp = nn::cp_decompose(kernel, bias, o, {.rank = 2, .max_sweeps = 500});
    CHECK(cp.error < 1e-5);
    CHECK(difference(cp.kernel(), kernel) < 1e-4);
    // They are the one up to rounding, whatever the kernel is.
    CHECK(difference(cp(x), conv(x, cp.kernel(), bias, o)) < 1e-10);
  }
}

TEST_CASE("cp_decompose: higher rank is nearer, zeros are zeros, and groups are refused") {
  Rng rng{4};
  const Tensor kernel = rng.normal({6, 4, 3, 3});
  double before = 1;
  for (std::int64_t rank : {1, 4, 12}) {
    const auto cp = nn::cp_decompose(kernel, {}, {}, {.rank = rank});
    CHECK(cp.error < before);
    const double off = std::sqrt((sum(square(cp.kernel() - kernel)) / sum(square(kernel))).item());
    CHECK(off == doctest::Approx(cp.error).epsilon(1e-3));
    before = cp.error;
  }
  const auto nothing = nn::cp_decompose(zeros({2, 2, 3, 3}), {}, {}, {.rank = 2});
  CHECK(nothing.error == 0);
  CHECK(amax(abs(nothing.kernel())).item() == 0);
  CHECK_THROWS_AS(nn::cp_decompose(kernel, {}, {.groups = 2}, {}), ShapeError);
  CHECK_THROWS_AS(nn::cp_decompose(kernel, {}, {}, {.rank = 0}), ValueError);
}
