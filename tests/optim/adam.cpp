#include "models.h"
#include "support.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/optim/optim.h"

using namespace wengert;
using test::contains;
using test::make_pair;
using test::message;
using test::Pair;

namespace {

// Algorithm 1 of the paper, in plain numbers.
void check_adam(const optim::AdamOptions& o, DType dtype = float64, double tolerance = 1e-11) {
  Pair model = make_pair(dtype);
  optim::Adam adam{model, o};
  std::vector<double> m(48), v(48), v_max(48);
  test::follow(adam, model, 100, tolerance, [&](std::size_t i, int t, double& w, double g) {
    if (o.maximize) g = -g;
    g += o.weight_decay * w;
    m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
    v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
    v_max[i] = std::max(v_max[i], v[i]);
    const double m_hat = m[i] / (1 - std::pow(o.beta1, t)),
                 v_hat = (o.amsgrad ? v_max[i] : v[i]) / (1 - std::pow(o.beta2, t));
    w -= o.lr * m_hat / (std::sqrt(v_hat) + o.eps);
  });
  CHECK(adam.t == 100);
}

}  // namespace

TEST_CASE("adam: follows Algorithm 1 for 100 steps, with every option") {
  check_adam({.lr = 0.02});
  check_adam({.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.05});
  check_adam({.lr = 0.05, .amsgrad = true});
  check_adam({.lr = 0.01, .beta1 = 0, .eps = 1e-3, .maximize = true});
}

TEST_CASE("adam: in float32 stays within rounding of plain numbers for 100 steps") {
  check_adam({.lr = 0.01}, float32, 1e-4);
}

TEST_CASE("adam: its moments have the model's type and can be looked at before the first step") {
  Pair model = make_pair(float32);
  optim::Adam adam{model, {.lr = 1e-3}};
  CHECK(adam.m.a.shape() == Shape{3, 5});
  CHECK(sum(abs(adam.v.b)).item() == 0);
  CHECK_FALSE(adam.m.a.tracked());
  CHECK_FALSE(adam.m.absent.defined());
  CHECK_FALSE(adam.v_max.has_value());
}

TEST_CASE("adam: skips parameters without a fresh gradient and leaves their moments alone") {
  Pair model = make_pair(float32);
  optim::Adam adam{model};
  backward(sum(model.a));
  adam.step(model);
  CHECK(adam.t == 1);
  CHECK(sum(abs(adam.m.b)).item() == 0);
  CHECK(sum(adam.m.a).item() == doctest::Approx(1.5));
  CHECK_THROWS_AS(adam.step(model), GraphError);
  CHECK(adam.t == 1);
}

TEST_CASE("adam: both forms of a step agree") {
  Pair model = make_pair(float32), other = model;
  optim::Adam adam{model}, twin{other};
  for (int i = 0; i < 3; ++i) {
    backward(sum(model.a * model.a) + sum(tanh(model.b)));
    Pair grads = zeros_like(other);
    grads.a = other.a.detach() * 2.0, grads.b = 1.0 - square(tanh(other.b.detach()));
    adam.step(model), twin.step(other, grads);
  }
  const auto a = test::numbers(model), b = test::numbers(other);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-6));
}

TEST_CASE("adam: options may change between steps") {
  Pair model = make_pair(float64);
  Pair grads = zeros_like(model);
  grads.a = ones({3, 5}, float64), grads.b = ones({33}, float64);
  optim::Adam adam{model, {.lr = 0.1}};
  const double w0 = model.b.to_vector<double>()[0];
  adam.step(model, grads);
  adam.lr = 0.01;
  adam.step(model, grads);
  CHECK(model.b.to_vector<double>()[0] == doctest::Approx(w0 - 0.11).epsilon(1e-6));  // a constant gradient moves by lr
  adam.amsgrad = true;
  adam.step(model, grads);
  CHECK(adam.v_max.has_value());
}

TEST_CASE("adam: steps are the same bits for 1, 2, 3 and 8 threads") {
  struct Large {
    Param w = ones({300, 401});
  };
  const int before = threads();
  auto run = [](int n) {
    set_threads(n);
    Large model, grads = zeros_like(model);
    Rng rng{1};
    grads.w = rng.normal({300, 401});
    optim::Adam adam{model, {.lr = 0.1}};
    for (int i = 0; i < 3; ++i) adam.step(model, grads);
    return model.w.to_vector<float>();
  };
  const auto one = run(1);
  for (int n : {2, 3, 8}) CHECK(run(n) == one);
  set_threads(before);
}

TEST_CASE("adam: options outside their range are ValueErrors that name them") {
  Pair model = make_pair(float32);
  CHECK(contains(message<ValueError>([&] { optim::Adam(model, {.beta2 = 1.2}); }),
                 "adam: beta2 must be in [0, 1), got 1.2"));
  CHECK(contains(message<ValueError>([&] { optim::Adam(model, {.beta1 = -0.1}); }), "beta1"));
  CHECK(contains(message<ValueError>([&] { optim::Adam(model, {.lr = -1e-3}); }), "lr"));
  CHECK(contains(message<ValueError>([&] { optim::Adam(model, {.eps = -1}); }), "eps"));
  CHECK(contains(message<ValueError>([&] { optim::Adam(model, {.weight_decay = std::nan("")}); }), "weight_decay"));
  optim::Adam adam{model};
  adam.beta1 = 2;
  CHECK(contains(message<ValueError>([&] { adam.step(model, zeros_like(model)); }), "adam.cpp"));
}
