#include "support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/nn/nn.h"

#include <cmath>

using namespace wengert;
using test::contains;
using test::message;

namespace {

double largest(const Tensor& x) { return amax(abs(x)).item(); }
double spread(const Tensor& x) { return std::sqrt(mean(square(x)).item()); }
std::vector<double> values(const Tensor& x) { return to(x, float64).to_vector<double>(); }

}  // namespace

TEST_CASE("init: LeCun's bounds and spreads") {
  Rng rng{3};
  const Shape shape{200, 50, 3, 2};  // fan_in 300
  CHECK(largest(nn::init::lecun_uniform(shape, rng)) == doctest::Approx(std::sqrt(3.0 / 300)).epsilon(0.001));
  CHECK(spread(nn::init::lecun_normal(shape, rng)) == doctest::Approx(1 / std::sqrt(300.0)).epsilon(0.02));
}

TEST_CASE("orthogonal: rows or columns are orthonormal, times the gain") {
  Rng rng{1};
  const Tensor wide = reshape(nn::init::orthogonal({6, 4, 3}, rng, 2, float64), {6, 12});
  CHECK(largest(matmul(wide, transpose(wide)) - 4 * eye(6, float64)) < 1e-13);
  const Tensor tall = nn::init::orthogonal({12, 5}, rng, 1, float64);
  CHECK(largest(matmul(transpose(tall), tall) - eye(5, float64)) < 1e-13);
  CHECK(nn::init::orthogonal({3, 3}, rng).dtype() == float32);
  CHECK_THROWS_AS(nn::init::orthogonal({3}, rng), ShapeError);
}

TEST_CASE("orthogonal: is spread evenly: either sign of the determinant, diagonals of mean zero") {
  Rng rng{1};
  int positive = 0;
  double diagonal = 0;
  for (int i = 0; i < 400; ++i) {
    const Tensor q = nn::init::orthogonal({2, 2}, rng, 1, float64);
    positive += det(q).item() > 0, diagonal += trace(q).item();
  }
  CHECK(positive > 160);  // four standard deviations are 40
  CHECK(positive < 240);
  CHECK(std::abs(diagonal / 400) < 0.2);
}

TEST_CASE("truncated_normal: lies between the bounds with the moments of the cut density") {
  Rng rng{1};
  const Tensor x = nn::init::truncated_normal({200000}, rng, {}, float64);
  CHECK(largest(x) <= 2);
  CHECK(largest(x) > 1.99);
  CHECK(spread(x) == doctest::Approx(0.87962566).epsilon(0.01));  // of N(0, 1) between -2 and 2
  CHECK(std::abs(mean(x).item()) < 0.01);
  const Tensor tail =
      nn::init::truncated_normal({1000}, rng, {.mean = 1, .std = 0.1, .low = 1.2, .high = 1.3}, float64);
  CHECK(amin(tail).item() >= 1.2);
  CHECK(amax(tail).item() <= 1.3);
  CHECK(spread(nn::init::truncated_normal({100000}, rng, {.std = 0.02})) == doctest::Approx(0.02).epsilon(0.01));
}

TEST_CASE("truncated_normal: a uniform number goes to the quantile that erf says") {
  Rng rng{7}, same = rng;
  const Tensor x = nn::init::truncated_normal({500}, rng, {.low = -5, .high = 5}, float64);
  const double edge = std::erf(5 / std::sqrt(2.0));
  const auto u = values(same.uniform({500}, -edge, edge, float64)), got = values(x);
  for (std::size_t i = 0; i < u.size(); ++i)
    CHECK(std::erf(got[i] / std::sqrt(2.0)) == doctest::Approx(u[i]).epsilon(1e-12));
}

TEST_CASE("init: the same numbers for any number of threads") {
  const int before = threads();
  auto draw = [](int n) {
    set_threads(n);
    Rng rng{3};
    auto all = values(nn::init::orthogonal({150, 70}, rng));
    for (const Tensor& t : {nn::init::truncated_normal({30000}, rng), nn::init::kaiming_normal({200, 150}, rng)})
      for (double v : values(t)) all.push_back(v);
    return all;
  };
  const auto one = draw(1), three = draw(3);
  set_threads(before);
  CHECK(one == three);
}

TEST_CASE("init: mistakes are told") {
  Rng rng{1};
  CHECK(contains(message<ValueError>([&] { nn::init::truncated_normal({3}, rng, {.low = 2, .high = 2}); }), "low < high"));
  CHECK(contains(message<ValueError>([&] { nn::init::truncated_normal({3}, rng, {.std = 0}); }), "std"));
}
