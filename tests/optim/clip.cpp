#include "models.h"
#include "support.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/parallel.h"
#include "wengert/optim/optim.h"

#include <limits>

using namespace wengert;
using test::contains;
using test::make_pair;
using test::message;
using test::Pair;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Pair gradients(DType dtype = float64) {
  Pair g = zeros_like(make_pair(dtype));
  g.a = make_pair(dtype, 3).a.detach(), g.b = make_pair(dtype, 3).b.detach();
  return g;
}
double norm(const std::vector<double>& x, double p) {
  double sum = 0, most = 0;
  for (double v : x) sum += std::pow(std::abs(v), p), most = std::max(most, std::abs(v));
  return p == infinity ? most : std::pow(sum, 1 / p);
}

}  // namespace

TEST_CASE("clip_norm: returns the norm before, and scales all by one factor") {
  for (double p : {1.0, 2.0, 3.0, infinity}) {
    Pair g = gradients();
    const auto before = test::numbers(g);
    const double n = norm(before, p);
    CHECK(optim::clip_norm(g, 0.5, {.norm_type = p}) == doctest::Approx(n).epsilon(1e-13));
    const auto after = test::numbers(g);
    for (std::size_t i = 0; i < before.size(); ++i)
      CHECK(after[i] == doctest::Approx(before[i] * 0.5 / (n + 1e-6)).epsilon(1e-13));
  }
}

TEST_CASE("clip_norm: leaves small gradients as they are") {
  Pair g = gradients();
  const auto before = test::numbers(g);
  optim::clip_norm(g, 1e3);
  CHECK(test::numbers(g) == before);
}

TEST_CASE("clip_norm: one tensor that is the gradient of two parameters is scaled once") {
  struct Two {
    Param u = ones({2}, float64), v = ones({2}, float64);
  };
  Two g = zeros_like(Two());
  const Tensor shared = full({2}, 2, float64);
  g.u = shared, g.v = shared;
  CHECK(optim::clip_norm(g, 2) == doctest::Approx(4));
  CHECK(g.u.to_vector<double>()[0] == doctest::Approx(1));
  CHECK(g.v.to_vector<double>()[0] == doctest::Approx(1));
  CHECK(shared.to_vector<double>()[0] == 2);
}

TEST_CASE("clip_norm: clips what backward left in a model, for the next step") {
  Pair model = make_pair(float64);
  const auto before = model.a.to_vector<double>();
  backward(sum(model.a) * 3.0);
  CHECK(optim::clip_norm(model, 1.0) == doctest::Approx(3 * std::sqrt(15.0)));
  CHECK(model.a.to_vector<double>() == before);
  CHECK(norm(model.a.grad().to_vector<double>(), 2) == doctest::Approx(1).epsilon(1e-6));
  optim::Sgd sgd{model, {.lr = 1}};
  sgd.step(model);
  CHECK(model.a.to_vector<double>()[0] == doctest::Approx(before[0] - 1 / std::sqrt(15.0)).epsilon(1e-6));
  CHECK(optim::clip_norm(model, 1.0) == 0);  // used up
}

TEST_CASE("clip_norm: neither overflows nor underflows") {
  std::vector<Tensor> g{full({4}, 1e300, float64), full({5}, -1e300, float64)};
  CHECK(optim::clip_norm(g, 1.0) == doctest::Approx(3e300));
  CHECK(g[0].to_vector<double>()[0] == doctest::Approx(1.0 / 3));
  std::vector<Tensor> tiny{full({4}, 3e-200, float64)};
  CHECK(optim::clip_norm(tiny, 1.0) == doctest::Approx(6e-200));
  std::vector<Tensor> single{full({4}, 3e38)};
  CHECK(optim::clip_norm(single, 1.0) == doctest::Approx(6e38).epsilon(1e-6));
}

TEST_CASE("clip_norm: no gradients have norm zero; infinite and NaN norms do as torch does, or are errors when asked") {
  std::vector<Tensor> none;
  CHECK(optim::clip_norm(none, 1.0) == 0);
  std::vector<Tensor> empty{zeros({0})};
  CHECK(optim::clip_norm(empty, 1.0) == 0);
  std::vector<Tensor> g{tensor({1, infinity}), tensor({2})};
  CHECK(std::isinf(optim::clip_norm(g, 1.0)));
  CHECK(g[0].to_vector<float>()[0] == 0);
  CHECK(std::isnan(g[0].to_vector<float>()[1]));
  CHECK(g[1].item() == 0);
  CHECK(std::isnan(optim::clip_norm(g, 1.0)));
  CHECK(std::isnan(g[1].item()));
  CHECK(
      contains(message<ValueError>([&] { optim::clip_norm(g, 1.0, {.nonfinite = optim::NonFinite::error}); }), "nan"));
}

TEST_CASE("clip_norm: is the same bits for 1, 2, 3 and 8 threads") {
  const int before = threads();
  Rng rng{1};
  const Tensor x = rng.normal({100, 5003});
  auto run = [&](int n) {
    set_threads(n);
    std::vector<Tensor> g{x};
    return optim::clip_norm(g, 1.0);
  };
  const double one = run(1);
  for (int n : {2, 3, 8}) CHECK(run(n) == one);
  set_threads(before);
}

TEST_CASE("clip_value: limits every entry, NaN stays") {
  std::vector<Tensor> g{tensor({-3, 0.5, 2, std::nan("")})};
  optim::clip_value(g, 1.0);
  const auto x = g[0].to_vector<float>();
  CHECK(x[0] == -1);
  CHECK(x[1] == 0.5f);
  CHECK(x[2] == 1);
  CHECK(std::isnan(x[3]));
}

TEST_CASE("clip: a negative limit is a ValueError") {
  std::vector<Tensor> g{ones({1})};
  CHECK(contains(message<ValueError>([&] { optim::clip_norm(g, -1.0); }), "max_norm"));
  CHECK(contains(message<ValueError>([&] { optim::clip_norm(g, 1.0, {.norm_type = 0}); }), "norm_type"));
  CHECK(contains(message<ValueError>([&] { optim::clip_value(g, std::nan("")); }), "limit"));
}
