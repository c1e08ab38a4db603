#include "support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"
#include "wengert/nn/nn.h"

#include <cmath>

using namespace wengert;
using test::check_rule;
using test::contains;
using test::message;
using test::random;

namespace {

std::vector<double> values(const Tensor& x) { return to(x.detach(), float64).to_vector<double>(); }

}  // namespace

TEST_CASE("dropout: keeps a share of 1 - p, multiplied by 1 / (1 - p)") {
  Rng rng{1};
  const auto y = values(nn::dropout(ones({100000}), 0.3, nn::training(rng)));
  std::size_t kept = 0;
  for (double v : y) {
    if (v == 0) continue;
    CHECK(v == doctest::Approx(1 / 0.7));
    ++kept;
  }
  CHECK(double(kept) == doctest::Approx(70000).epsilon(0.01));  // three standard deviations are 0.6 %
}

TEST_CASE("dropout: nothing happens outside of training or at p = 0; at p = 1 all is zero") {
  Rng rng{1};
  const Tensor x = random({4, 5});
  CHECK(values(nn::dropout(x, 0.5, nn::eval)) == values(x));
  CHECK(values(nn::dropout(x, 0, nn::training())) == values(x));
  CHECK(values(nn::dropout(x, 1, nn::training(rng))) == std::vector<double>(20, 0));
  CHECK(rng.counter == 1);
}

TEST_CASE("dropout: the mask is that of Rng's words, in float and in double, with any strides") {
  Rng rng{5}, same = rng;
  const std::uint64_t seed = same.bits();
  const Tensor x = ones({3, 1000}, float64);
  const auto y = values(nn::dropout(x, 0.25, nn::training(rng)));
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const auto words = detail::philox({i / 4, 0, 0, 0}, {std::uint32_t(seed), std::uint32_t(seed >> 32)});
    CHECK((y[i] != 0) == (words[i % 4] < 0.75 * 0x1p32));
  }
  for (const Tensor& other : {ones({3, 1000}), transpose(ones({1000, 3}, float64))}) {
    Rng again{5};
    const auto z = values(nn::dropout(other, 0.25, nn::training(again)));
    for (std::size_t i = 0; i < y.size(); ++i) CHECK((z[i] != 0) == (y[i] != 0));
  }
}

TEST_CASE("dropout: a NaN that is dropped is gone") {
  Rng rng{1};
  const auto y = values(nn::dropout(full({64}, std::nan("")), 0.5, nn::training(rng)));
  bool gone = false;
  for (double v : y) gone |= v == 0;
  CHECK(gone);
}

TEST_CASE("dropout: derivatives of all orders see the same mask") {
  for (const Shape& s : {Shape{7, 3}, Shape{0, 3}, Shape{1, 3}, Shape{1}}) {
    check_rule(
        [](const std::vector<Tensor>& x) {
          Rng rng{3};
          return nn::dropout(square(x[0]), 0.4, nn::training(rng));
        },
        {random(s)});
  }
  check_rule(
      [](const std::vector<Tensor>& x) {
        Rng rng{3};
        return nn::channel_dropout(square(x[0]), 0.4, nn::training(rng));
      },
      {random({3, 4, 2})});
}

TEST_CASE("channel_dropout: decides for whole channels") {
  Rng rng{2};
  const auto y = values(nn::Dropout2d{0.5}(ones({8, 6, 3, 3}), nn::training(rng)));
  std::size_t dropped = 0;
  for (std::size_t channel = 0; channel < 48; ++channel) {
    for (std::size_t i = 1; i < 9; ++i) CHECK(y[channel * 9 + i] == y[channel * 9]);
    dropped += y[channel * 9] == 0;
  }
  CHECK(dropped > 10);
  CHECK(dropped < 38);
}

TEST_CASE("dropout: a checkpoint draws the same mask again, and the generator moves on once") {
  Rng rng{1}, same = rng;
  const Tensor x = random({50});
  auto f = [](const Tensor& t, nn::Mode mode) { return sum(square(nn::dropout(tanh(t), 0.5, mode))); };
  const Tensor plain = grad([&](const Tensor& t) { return f(t, nn::training(rng)); }, x);
  const Tensor thrifty = grad([&](const Tensor& t) { return checkpoint(f, t, nn::training(same)); }, x);
  CHECK(values(plain) == values(thrifty));
  CHECK(rng == same);
}

TEST_CASE("dropout: results have the same bits for any number of threads") {
  const int before = threads();
  auto run = [](int n) {
    set_threads(n);
    Rng rng{9};
    return values(nn::dropout(ones({100, 1001}), 0.5, nn::training(rng)));
  };
  const auto one = run(1), three = run(3);
  set_threads(before);
  CHECK(one == three);
}

TEST_CASE("Dropout: mistakes name the layer and the line") {
  const auto what = message<ValueError>([] { nn::Dropout{0.5}(ones({3}), nn::training()); });
  CHECK(contains(what, "Dropout: needs a generator of random numbers in training"));
  CHECK(contains(what, "tests/nn/dropout.cpp"));
  CHECK(contains(message<ValueError>([] { nn::Dropout{1.5}(ones({3}), nn::eval); }), "p must be in [0, 1], got 1.5"));
  CHECK(contains(message<ShapeError>([] { nn::Dropout1d{}(ones({3}), nn::eval); }), "Dropout1d: needs [n, channels]"));
  Rng rng{1};
  CHECK(contains(message<TypeError>([&] { nn::Dropout{}(arange(3), nn::training(rng)); }), "Dropout"));
}
