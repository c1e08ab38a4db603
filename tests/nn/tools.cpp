#include "wengert/nn/tools.h"

#include "files.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"
#include "wengert/optim/adamw.h"
#include "wengert/optim/average.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

using namespace wengert;
using Kind = nn::Finding::Kind;

namespace {

struct Mlp {
  nn::Linear hidden, output;
  Param gain = ones({1}), absent{};
  Tensor operator()(const Tensor& x) const { return output(gain * relu(hidden(x))); }
};
Mlp small(std::uint64_t seed = 1) {
  Rng rng{seed};
  return {.hidden = nn::Linear(4, 8, rng), .output = nn::Linear(8, 3, rng)};
}

struct Tower {
  std::vector<nn::Linear> blocks{nn::Linear(5, 5), nn::Linear(5, 5)};
  Tensor operator()(const Tensor& x) const {
    Tensor y = x;
    for (auto& block : blocks) y = block(y);
    return y;
  }
};

Tensor input() {
  Rng rng{3};
  return rng.normal({6, 4});
}
const nn::Finding* find(const std::vector<nn::Finding>& all, Kind kind) {
  const auto found = std::find_if(all.begin(), all.end(), [&](auto& f) { return f.kind == kind; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("summary: a row for each layer with its shape, numbers and FLOPs, and the whole model in the end") {
  const Mlp model = small();
  const auto s = nn::summary(model, {6, 4});
  REQUIRE(s.rows.size() >= 3);
  CHECK(s.rows.front().layer == "hidden");
  CHECK(s.rows.front().output == Shape{6, 8});
  CHECK(s.rows.front().parameters == 4 * 8 + 8);
  CHECK(s.rows.front().flops >= 2 * 6 * 4 * 8);
  CHECK(s.rows.back().layer == "output");
  CHECK(s.rows.back().output == Shape{6, 3});
  CHECK(s.rows.back().parameters == 8 * 3 + 3);
  CHECK(std::any_of(s.rows.begin(), s.rows.end(), [](auto& r) { return r.layer == "relu"; }));
  std::int64_t parameters = 0;
  for (auto& r : s.rows) parameters += r.parameters;
  CHECK(parameters == num_parameters(model));
  CHECK(s.parameters == num_parameters(model));
  CHECK(s.frozen == 0);
  CHECK(s.flops > 0);
  CHECK(s.backward_flops > s.flops);
  CHECK(s.peak_bytes > 0);
  const std::string table = to_string(s);
  CHECK(table.find("hidden") != table.npos);
  CHECK(table.find("peak") != table.npos);
}

TEST_CASE("summary: blocks that a loop calls have rows of their own, and frozen parameters are counted") {
  Tower tower;
  nn::freeze(tower, "blocks.0.*");
  const auto s = nn::summary(tower, ones({2, 5}));
  REQUIRE(s.rows.size() == 2);
  CHECK(s.rows[0].layer == "blocks.0");
  CHECK(s.rows[1].layer == "blocks.1");
  CHECK(s.frozen == 30);
  CHECK(s.parameters == 60);
}

TEST_CASE("summary: the model stays as it was") {
  const Mlp model = small();
  const auto before = nn::digest(model);
  nn::summary(model, input(), [](const Mlp& m, const Tensor& x) { return nn::cross_entropy(m(x), zeros({6}, int64)); });
  CHECK(nn::digest(model) == before);
  CHECK_FALSE(model.hidden.weight.grad().defined());
}

TEST_CASE("lint: a sound model has no findings") {
  const auto found = nn::lint(small(), [](const Mlp& m) { return sum(square(m(input()))); });
  CHECK(std::none_of(found.begin(), found.end(), [](auto& f) { return f.kind != Kind::dead_units; }));
}

TEST_CASE("lint: parameters that the loss does not reach, and gradients that are zero or not finite") {
  const Mlp model = small();
  const auto unreached = nn::lint(model, [](const Mlp& m) { return sum(m.hidden(input())); });
  CHECK(std::count_if(unreached.begin(), unreached.end(), [](auto& f) { return f.kind == Kind::unreached; }) == 3);
  CHECK(find(unreached, Kind::unreached)->path == "output.weight");
  CHECK(find(unreached, Kind::unreached)->sentence.find("the loss does not depend on it") != std::string::npos);
  const auto zero = nn::lint(model, [](const Mlp& m) { return sum(m(input())) * 0.; });
  REQUIRE(find(zero, Kind::zero_gradient));
  CHECK(find(zero, Kind::zero_gradient)->path == "hidden.weight");
  const auto odd = nn::lint(model, [](const Mlp& m) { return sum(m(input())) + sum(sqrt(m.gain - 1.)); });
  REQUIRE(find(odd, Kind::nonfinite_gradient));
  CHECK(find(odd, Kind::nonfinite_gradient)->path == "gain");
  const auto constant = nn::lint(model, [](const Mlp&) { return scalar(1); });
  CHECK(constant.size() == 5);
  CHECK_THROWS_AS(nn::lint(model, [](const Mlp& m) { return m(input()); }), ShapeError);
}

TEST_CASE("lint: units that are dead for the whole batch") {
  Mlp model = small();
  for (std::size_t i : {2, 5}) model.hidden.bias.write<float>()[i] = -100;
  const auto found = nn::lint(model, [](const Mlp& m) { return sum(square(m(input()))); });
  const auto* dead = find(found, Kind::dead_units);
  REQUIRE(dead);
  CHECK(dead->sentence.find("of 8 units are zero for the whole batch of 6") != std::string::npos);
  CHECK(dead->sentence.find("2, ") != std::string::npos);
  CHECK(dead->where.line() > 0);
}

TEST_CASE("lint: [n] against [n, 1] is blown up, and rows against columns of equal rank are meant") {
  const Mlp model = small();
  const Tensor y = ones({6});
  const auto found = nn::lint(model, [&](const Mlp& m) { return sum(square(narrow(m(input()), 1, 0, 1) - y)); });
  const auto* broadcast = find(found, Kind::broadcast);
  REQUIRE(broadcast);
  CHECK(broadcast->sentence.find("[6, 1] and [6] hold as many numbers and were blown up to [6, 6]") !=
        std::string::npos);
  const auto meant = nn::lint(
      model, [&](const Mlp& m) { return sum(narrow(m(input()), 1, 0, 1) * reshape(y, {1, 6})) + sum(m(input())); });
  CHECK_FALSE(find(meant, Kind::broadcast));
}

TEST_CASE("freeze: backward leaves no gradient, an optimizer changes nothing, and unfreeze undoes it") {
  Mlp model = small();
  const Mlp before = model;
  CHECK(nn::freeze(model, "hidden.*") == 2);
  CHECK_FALSE(model.hidden.weight.is_trained());
  optim::AdamW adam{model, {.lr = 0.1}};
  backward(sum(square(model(input()))));
  CHECK_FALSE(model.hidden.weight.grad().defined());
  adam.step(model);
  CHECK(model.hidden.weight.to_vector<float>() == before.hidden.weight.to_vector<float>());
  CHECK(model.output.weight.to_vector<float>() != before.output.weight.to_vector<float>());
  const Mlp twin = model;
  CHECK_FALSE(twin.hidden.weight.is_trained());
  const auto* numbers = model.hidden.weight.read<float>().data();
  CHECK(nn::unfreeze(model) == 5);
  CHECK(model.hidden.weight.is_trained());
  CHECK(model.hidden.weight.read<float>().data() == numbers);
  backward(sum(square(model(input()))));
  adam.step(model);
  CHECK(model.hidden.weight.to_vector<float>() != before.hidden.weight.to_vector<float>());
  CHECK_THROWS_WITH_AS(nn::freeze(model, "hiden.*"),
                       doctest::Contains("no parameter fits 'hiden.*'; there are hidden.weight"), ValueError);
}

TEST_CASE("freeze: files and averages have frozen parameters as before") {
  const TemporaryFolder folder;
  Mlp model = small(1), other = small(2);
  nn::freeze(model, "hidden.*");
  save(folder / "model", model);
  load(folder / "model", other);
  CHECK(nn::digest(other) == nn::digest(model));
  load(folder / "model", model);
  CHECK_FALSE(model.hidden.weight.is_trained());
  optim::Ema average{model, {.decay = 0.5}};
  average.update(small(2));
  CHECK(average.average.hidden.weight.to_vector<float>() != model.hidden.weight.to_vector<float>());
}

TEST_CASE("mask_gradients: an optimizer passes over parameters whose gradients were taken out") {
  Mlp model = small();
  const Mlp before = model;
  optim::AdamW adam{model, {.lr = 0.1, .weight_decay = 0.1}};
  auto [loss, grads] = value_and_grad([](const Mlp& m) { return sum(square(m(input()))); }, model);
  CHECK(nn::mask_gradients(grads, "hidden.*|gain") == 3);
  adam.step(model, grads);
  CHECK(model.hidden.weight.to_vector<float>() == before.hidden.weight.to_vector<float>());
  CHECK(model.gain.to_vector<float>() == before.gain.to_vector<float>());
  CHECK(model.output.bias.to_vector<float>() != before.output.bias.to_vector<float>());
}

TEST_CASE("digest: equal models share it, and any bit, shape, dtype or name changes it, on any number of threads") {
  Mlp model = small();
  const auto first = nn::digest(model);
  CHECK(nn::digest(Mlp(model)) == first);
  const int before = threads();
  set_threads(3);
  CHECK(nn::digest(model) == first);
  set_threads(before);
  model.hidden.weight.write<float>()[5] *= -1;
  CHECK(nn::digest(model) != first);
  struct A {
    Param a = ones({2, 3});
  };
  struct B {
    Param b = ones({2, 3});
  };
  CHECK(nn::digest(A()) != nn::digest(B()));
  CHECK(nn::digest(A()) != nn::digest(A{ones({3, 2})}));
  CHECK(nn::digest(A{zeros({2, 3})}) != nn::digest(A{zeros({2, 3}, float64)}));
  struct Empty {
    Param a, b;
  };
  CHECK(nn::digest(Empty()) == 0xcbf29ce484222325);  // the hash of nothing
}
