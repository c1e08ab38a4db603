#include "wengert/autodiff/tape/random.h"

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <thread>

using namespace wengert;

namespace {

// Mean and variance of the numbers.
std::pair<double, double> moments(const Tensor& x) {
  const Tensor d = to(x, float64);
  const double m = mean(d).item();
  return {m, mean(square(d - m)).item()};
}

}  // namespace

TEST_CASE("random: Philox4x32-10 gives the numbers its authors published") {
  using W = std::array<std::uint32_t, 4>;
  CHECK(detail::philox({0, 0, 0, 0}, {0, 0}) == W{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(detail::philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == W{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(detail::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        W{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: a copy of the generator repeats the same numbers, and the original goes on to others") {
  Rng rng{7};
  Rng copy = rng;
  const auto a = rng.uniform({5}).to_vector<float>();
  CHECK(a == copy.uniform({5}).to_vector<float>());
  CHECK(rng == copy);
  CHECK(a != rng.uniform({5}).to_vector<float>());
}

TEST_CASE("random: numbers are the same bits for 1, 2, 3 and 8 threads") {
  const int before = threads();
  auto draw = [](int n) {
    set_threads(n);
    Rng rng{3};
    auto all = rng.normal({100, 1001}).to_vector<float>();
    const auto more = rng.uniform({70001}).to_vector<float>();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto one = draw(1);
  for (int n : {2, 3, 8}) CHECK(draw(n) == one);
  set_threads(before);
}

TEST_CASE("random: uniform has its mean, its variance and its bounds") {
  Rng rng{1};
  for (DType dtype : {float32, float64}) {
    const Tensor x = rng.uniform({200000}, -2, 4, dtype);
    CHECK(x.dtype() == dtype);
    const auto [mean, var] = moments(x);
    CHECK(std::abs(mean - 1) < 5 * std::sqrt(3.0 / 200000));  // five standard errors
    CHECK(std::abs(var - 3) < 0.04);
    CHECK(amin(x).item() >= -2);
    CHECK(amax(x).item() <= 4);
  }
}

TEST_CASE("random: normal has its mean, its variance and its tails") {
  Rng rng{2};
  for (DType dtype : {float32, float64}) {
    const Tensor x = rng.normal({200001}, 3, 2, dtype);
    const auto [mu, var] = moments(x);
    CHECK(std::abs(mu - 3) < 5 * 2 / std::sqrt(200000.0));
    CHECK(std::abs(var - 4) < 0.07);
    const double beyond = mean(to(abs(x - 3) > 4.0, float64)).item();  // two standard deviations
    CHECK(std::abs(beyond - 0.0455) < 0.0025);
    CHECK(std::isfinite(sum(x).item()));
  }
}

TEST_CASE("random: integers cover their range evenly") {
  Rng rng{4};
  std::array<int, 6> seen{};
  for (auto i : rng.integers({60001}, -2, 4).to_vector<std::int64_t>()) {
    REQUIRE(i >= -2);
    REQUIRE(i < 4);
    ++seen[static_cast<std::size_t>(i + 2)];
  }
  for (int n : seen) CHECK(std::abs(n - 10000) < 500);
}

TEST_CASE("random: bernoulli is true as often as asked, and never or always at the ends") {
  Rng rng{5};
  CHECK(std::abs(mean(rng.bernoulli({100000}, 0.3, float64)).item() - 0.3) < 0.01);
  CHECK(sum(rng.bernoulli({1001}, 0)).item() == 0);
  CHECK(sum(rng.bernoulli({1001}, 1)).item() == 1001);
}

TEST_CASE("random: a permutation holds every number once, and all orders are equally likely") {
  Rng rng{6};
  auto p = rng.permutation(1001).to_vector<std::int64_t>();
  std::sort(p.begin(), p.end());
  for (std::int64_t i = 0; i < 1001; ++i) REQUIRE(p[static_cast<std::size_t>(i)] == i);
  std::array<int, 27> orders{};
  for (int i = 0; i < 12000; ++i) {
    const auto o = rng.permutation(3).to_vector<std::int64_t>();
    ++orders[static_cast<std::size_t>(o[0] * 9 + o[1] * 3 + o[2])];
  }
  CHECK(std::count_if(orders.begin(), orders.end(), [](int n) { return std::abs(n - 2000) < 250; }) == 6);
  CHECK(rng.permutation(0).numel() == 0);
  CHECK(rng.permutation(1).to_vector<std::int64_t>() == std::vector<std::int64_t>{0});
}

TEST_CASE("random: split gives another stream") {
  Rng rng{8};
  Rng other = rng.split();
  CHECK(other.uniform({4}).to_vector<float>() != rng.uniform({4}).to_vector<float>());
}

TEST_CASE("random: every thread has a default generator of its own, and seed starts it afresh") {
  seed(11);
  const auto here = default_rng().uniform({3}).to_vector<float>();
  std::thread([] { default_rng().uniform({100}); }).join();
  seed(11);
  CHECK(default_rng().uniform({3}).to_vector<float>() == here);
  seed(0);
}

TEST_CASE("random: impossible bounds and dtypes are errors that name the caller's line") {
  Rng rng;
  CHECK_THROWS_AS(rng.uniform({2}, 1, 0), ValueError);
  CHECK_THROWS_AS(rng.normal({2}, 0, -1), ValueError);
  CHECK_THROWS_AS(rng.integers({2}, 3, 3), ValueError);
  CHECK_THROWS_AS(rng.bernoulli({2}, 1.5), ValueError);
  CHECK_THROWS_AS(rng.permutation(-1), ValueError);
  CHECK_THROWS_AS(rng.normal({2}, 0, 1, int64), TypeError);
  try {
    rng.normal({2}, 0, -1);
  } catch (const Error& e) {
    CHECK(std::string_view(e.what()).find("random.cpp") != std::string_view::npos);
  }
}
