#include "models.h"
#include "support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/tape/gradient.h"
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
  CHECK(contains(message<ValueError>([&] { optim::clip_norm(g, 1.0, {.nonfinite = optim::NonFiniteNorm::error}); }),
                 "nan"));
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

TEST_CASE("clip: what to do with a norm that is not finite, and how often it was") {
  Pair model = make_pair(float64);
  auto spoil = [&] { backward(sum(model.a) * infinity + sum(model.b)); };
  const auto before = test::numbers(model);
  optim::ClipNorm skip{1.0, {.nonfinite = optim::NonFiniteNorm::skip}},
      zero{1.0, {.nonfinite = optim::NonFiniteNorm::zero}};
  optim::Sgd sgd{model, {.lr = 1}};
  spoil();
  CHECK_FALSE(skip(model));
  CHECK_THROWS_AS(sgd.step(model), GraphError);  // they are forgotten, and do not spoil the next ones
  spoil();
  CHECK(zero(model));
  sgd.step(model);
  CHECK(test::numbers(model) == before);
  spoil();
  optim::ClipNorm strict{1.0, {.nonfinite = optim::NonFiniteNorm::error}};
  CHECK(contains(message<ValueError>([&] { strict(model); }), "inf"));
  Pair g = gradients();
  CHECK(skip(g));
  CHECK(skip.nonfinite_norms == 1);
  CHECK(skip.clipped == 1);
  CHECK(zero.nonfinite_norms == 1);
  std::vector<Tensor> bad{tensor({1, std::nan("")}), tensor({2})};
  CHECK_FALSE(skip(bad));
  CHECK(bad[1].item() == 2);  // left alone
  CHECK(zero(bad));
  CHECK(bad[0].to_vector<float>() == std::vector<float>{0, 0});
}

TEST_CASE("clip_each: limits each gradient by its own norm") {
  std::vector<Tensor> g{tensor({3, 4}, float64), tensor({0.3, 0.4}, float64)};
  CHECK(optim::clip_each(g, 1.0) == doctest::Approx(5));
  CHECK(norm(g[0].to_vector<double>(), 2) == doctest::Approx(1).epsilon(1e-6));
  CHECK(g[1].to_vector<double>() == std::vector<double>{0.3, 0.4});
}

TEST_CASE("clip_adaptive: limits rows by the rows of the parameters, however large they are") {
  struct One {
    Param w = tensor({{3, 4}, {0, 0}, {1e200, 0}}, float64), b = tensor({6, 8}, float64);
  };
  One model, g = zeros_like(model);
  g.w = tensor({{30, 40}, {1, 0}, {1e250, 1e250}}, float64), g.b = tensor({0.03, 0.04}, float64);
  optim::clip_adaptive(g, model, {.clip = 0.1, .eps = 1e-3});
  const auto w = g.w.to_vector<double>();
  CHECK(w[0] == doctest::Approx(0.3));
  CHECK(w[1] == doctest::Approx(0.4));
  CHECK(w[2] == doctest::Approx(1e-4));  // eps stands for a row of zeros
  CHECK(w[4] == doctest::Approx(1e199 / std::sqrt(2.0)));
  CHECK(g.b.to_vector<double>() == std::vector<double>{0.03, 0.04});
  backward(sum(model.b) * 100.0);
  optim::clip_adaptive(model, {.clip = 0.1});
  CHECK(norm(model.b.grad().to_vector<double>(), 2) == doctest::Approx(1));
}
