// Every update rule against the lines of its paper in plain doubles, for 100 steps.

#include "models.h"
#include "support.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/optim/optim.h"

using namespace wengert;
using test::contains;
using test::make_pair;
using test::message;
using test::Pair;

namespace {

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

/// What plain numbers remember of each of the 48 parameters.
struct State {
  double a = 0, b = 0, c = 0;
};

// `reference(s, t, w, g)` does to one number what the optimizer does to all.
template <class Optimizer, class Reference>
void check(Optimizer&& optimizer, Pair& model, Reference&& reference, double tolerance = 1e-11) {
  std::vector<State> state(48);
  test::follow(optimizer, model, 100, tolerance,
               [&](std::size_t i, int t, double& w, double g) { reference(state[i], t, w, g); });
}

}  // namespace

TEST_CASE("nesterov: the textbook's look-ahead point, and Sgd's rewritten form visits the same points") {
  Pair model = make_pair(float64);
  optim::Nesterov nesterov{model, {.lr = 0.02, .momentum = 0.8}};
  Pair rewritten = model, inside = model;
  optim::Sgd sgd{rewritten, {.lr = 0.02, .momentum = 0.8, .nesterov = true}};
  optim::Sgd keras{inside, {.lr = 0.02, .momentum = 0.8, .nesterov = true, .rate_in_velocity = true}};
  auto slope = [](const Pair& p) {
    Pair g = zeros_like(p);
    g.a = sin(3.0 * p.a.detach()), g.b = sin(3.0 * p.b.detach());
    return g;
  };
  std::vector<double> w = test::numbers(model), v(w.size());
  double worst = 0, apart = 0;
  for (int t = 0; t < 100; ++t) {
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double y = w[i] + 0.8 * v[i];
      v[i] = 0.8 * v[i] - 0.02 * std::sin(3 * y);
      w[i] += v[i];
    }
    nesterov.look_ahead(model);
    const auto y = test::numbers(model), at = test::numbers(rewritten), also = test::numbers(inside);
    for (std::size_t i = 0; i < w.size(); ++i)
      apart = std::max({apart, std::abs(y[i] - at[i]), std::abs(y[i] - also[i])});
    nesterov.step(model, slope(model)), sgd.step(rewritten, slope(rewritten)), keras.step(inside, slope(inside));
    const auto got = test::numbers(model);
    for (std::size_t i = 0; i < w.size(); ++i) worst = std::max(worst, std::abs(got[i] - w[i]));
  }
  CHECK(worst < 1e-13);
  CHECK(apart < 1e-13);
  CHECK(contains(message<ValueError>([&] { nesterov.step(model, slope(model)); }), "look_ahead"));
}

TEST_CASE("sgd: the rate inside the velocity, as papers have it, keeps the old rate's momentum") {
  Pair model = make_pair(float64);
  optim::Sgd sgd{model, {.lr = 0.05, .momentum = 0.9, .rate_in_velocity = true}};
  std::vector<double> v(48);
  test::follow(sgd, model, 100, 1e-12, [&](std::size_t i, int t, double& w, double g) {
    const double lr = t > 40 ? 0.005 : 0.05;
    v[i] = 0.9 * v[i] - lr * g;
    w += v[i];
    if (t == 41) sgd.lr = 0.005;  // its step comes after the reference
  });
}

TEST_CASE("sgd: decoupled weight decay shrinks the parameters and stays out of the velocity") {
  Pair model = make_pair(float64);
  check(optim::Sgd{model, {.lr = 0.02, .momentum = 0.9, .weight_decay = 0.3, .decoupled_weight_decay = true}}, model,
        [](State& s, int, double& w, double g) {
          s.a = 0.9 * s.a + g;
          w = w * (1 - 0.02 * 0.3) - 0.02 * s.a;
        });
}

TEST_CASE("adagrad: eps beside the root as torch has it, inside as textbooks do, and none at all") {
  Pair model = make_pair(float64), other = model, bare = model;
  check(optim::Adagrad{model, {.lr = 0.1, .lr_decay = 0.02, .initial_accumulator_value = 0.1, .weight_decay = 0.01}},
        model, [](State& s, int t, double& w, double g) {
          g += 0.01 * w;
          if (t == 1) s.a = 0.1;
          s.a += g * g;
          w -= 0.1 / (1 + (t - 1) * 0.02) * g / (std::sqrt(s.a) + 1e-10);
        });
  auto textbook = optim::AdagradOptions::textbook();
  textbook.lr = 0.1;
  check(optim::Adagrad{other, textbook}, other, [](State& s, int, double& w, double g) {
    s.a += g * g;
    w -= 0.1 / std::sqrt(s.a + 1e-8) * g;
  });
  optim::Adagrad adagrad{bare, {.eps = 0}};
  const auto before = test::numbers(bare);
  adagrad.step(bare, zeros_like(bare));
  CHECK(test::numbers(bare) == before);  // 0 / 0 is no step
}

TEST_CASE("rmsprop: every mixture of momentum, centring and the place of eps and rate") {
  for (bool centered : {false, true})
    for (double momentum : {0.0, 0.7})
      for (bool inside : {false, true})
        for (bool keras : {false, true}) {
          Pair model = make_pair(float64);
          check(optim::RmsProp{model,
                               {.lr = 0.01,
                                .alpha = 0.9,
                                .eps = 1e-3,
                                .eps_inside_sqrt = inside,
                                .momentum = momentum,
                                .rate_in_velocity = keras,
                                .centered = centered}},
                model, [=](State& s, int, double& w, double g) {
                  s.a = 0.9 * s.a + 0.1 * g * g;
                  s.b = 0.9 * s.b + 0.1 * g;
                  const double spread = centered ? std::max(s.a - s.b * s.b, 0.0) : s.a;
                  const double d = g / (inside ? std::sqrt(spread + 1e-3) : std::sqrt(spread) + 1e-3);
                  s.c = momentum * s.c + (keras ? 0.01 * d : d);
                  w -= keras ? s.c : 0.01 * s.c;
                });
        }
}

TEST_CASE("adadelta: follows Algorithm 1") {
  Pair model = make_pair(float64);
  check(optim::Adadelta{model, optim::AdadeltaOptions::paper()}, model, [](State& s, int, double& w, double g) {
    s.a = 0.95 * s.a + 0.05 * g * g;
    const double d = std::sqrt(s.b + 1e-6) / std::sqrt(s.a + 1e-6) * g;
    s.b = 0.95 * s.b + 0.05 * d * d;
    w -= d;
  });
}

TEST_CASE("adam: eps hat, eps inside the root, no correction") {
  Pair hat = make_pair(float64), root = hat, plain = hat;
  auto moments = [](State& s, double g) {
    s.a = 0.9 * s.a + (1 - 0.9) * g;
    s.b = 0.999 * s.b + (1 - 0.999) * g * g;
  };
  check(optim::Adam{hat, {.lr = 0.02, .eps = 1e-3, .eps_hat = true}}, hat, [&](State& s, int t, double& w, double g) {
    moments(s, g);
    w -= 0.02 * std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t)) * s.a / (std::sqrt(s.b) + 1e-3);
  });
  check(optim::Adam{root, {.lr = 0.02, .eps = 0, .eps_root = 1e-4}}, root, [&](State& s, int t, double& w, double g) {
    moments(s, g);
    w -= 0.02 * s.a / (1 - std::pow(0.9, t)) / std::sqrt(s.b / (1 - std::pow(0.999, t)) + 1e-4);
  });
  check(optim::Adam{plain, {.lr = 0.002, .eps = 1e-3, .bias_correction = false}}, plain,
        [&](State& s, int, double& w, double g) {
          moments(s, g);
          w -= 0.002 * s.a / (std::sqrt(s.b) + 1e-3);
        });
}

TEST_CASE("adamw: the decay times the rate as torch has it, or times the schedule as the paper does") {
  for (bool torch : {true, false}) {
    Pair model = make_pair(float64);
    check(optim::AdamW{model, {.lr = 0.02, .weight_decay = 0.1, .schedule = 0.5, .decay_times_lr = torch}}, model,
          [=](State& s, int t, double& w, double g) {
            s.a = 0.9 * s.a + (1 - 0.9) * g;
            s.b = 0.999 * s.b + (1 - 0.999) * g * g;
            const double m = s.a / (1 - std::pow(0.9, t)), v = s.b / (1 - std::pow(0.999, t));
            w -= 0.5 * (0.02 * m / (std::sqrt(v) + 1e-8) + (torch ? 0.02 : 1) * 0.1 * w);
          });
  }
}

TEST_CASE("adamax: eps inside the maximum, and none as in the paper") {
  for (bool paper : {false, true}) {
    Pair model = make_pair(float64);
    const optim::AdamaxOptions o = paper ? optim::AdamaxOptions::paper() : optim::AdamaxOptions{.eps = 1e-3};
    check(optim::Adamax{model, o}, model, [=](State& s, int t, double& w, double g) {
      s.a = 0.9 * s.a + (1 - 0.9) * g;
      s.b = std::max(0.999 * s.b, std::abs(g) + (paper ? 0 : 1e-3));
      w -= 2e-3 / (1 - std::pow(0.9, t)) * s.a / s.b;
    });
  }
}

TEST_CASE("nadam: the documented algorithm with its schedule of momentum") {
  Pair model = make_pair(float64);
  check(optim::Nadam{model, {.lr = 0.02, .weight_decay = 0.1, .decoupled_weight_decay = true}}, model,
        [](State& s, int t, double& w, double g) {
          auto mu = [](int k) { return 0.9 * (1 - 0.5 * std::pow(0.96, k * 4e-3)); };
          w *= 1 - 0.02 * 0.1;
          s.a = 0.9 * s.a + (1 - 0.9) * g;
          s.b = 0.999 * s.b + (1 - 0.999) * g * g;
          s.c = t == 1 ? mu(1) : s.c * mu(t);
          const double m = mu(t + 1) * s.a / (1 - s.c * mu(t + 1)) + (1 - mu(t)) * g / (1 - s.c);
          w -= 0.02 * m / (std::sqrt(s.b / (1 - std::pow(0.999, t))) + 1e-8);
        });
}

TEST_CASE("radam: the paper's threshold of 4 and torch's of 5 differ in the fifth step only") {
  auto run = [](const optim::RadamOptions& o) {
    Pair model = make_pair(float64);
    check(optim::Radam{model, o}, model, [=](State& s, int t, double& w, double g) {
      s.a = 0.9 * s.a + (1 - 0.9) * g;
      s.b = 0.999 * s.b + (1 - 0.999) * g * g;
      const double m = s.a / (1 - std::pow(0.9, t)), v = std::sqrt(s.b / (1 - std::pow(0.999, t)));
      const double most = 2 / (1 - 0.999) - 1, rho = most - 2 * t * std::pow(0.999, t) / (1 - std::pow(0.999, t));
      const double r = std::sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
      w -= rho > o.threshold ? 1e-3 * r * m / (v + o.eps) : 1e-3 * m;
    });
  };
  run(optim::RadamOptions::paper());
  run({.eps = 1e-3, .eps_hat = false});
  const optim::RadamOptions paper = optim::RadamOptions::paper(), torch;
  for (std::int64_t t = 1; t <= 8; ++t) CHECK((paper.at(t).adaptive != torch.at(t).adaptive) == (t == 5));
  Pair model = make_pair(float64);
  CHECK(contains(message<ValueError>([&] { optim::Radam(model, {.beta2 = 0.6}); }), "beta2"));
}

TEST_CASE("rprop: sizes grow while the sign stays, and after a change of sign it waits") {
  Pair model = make_pair(float64);
  check(optim::Rprop{model, {.lr = 0.02, .max_step_size = 0.3}}, model, [](State& s, int t, double& w, double g) {
    if (t == 1) s.b = 0.02;
    const double agree = sign(g * s.a);
    s.b = std::min(std::max(s.b * (agree > 0 ? 1.2 : agree < 0 ? 0.5 : 1), 1e-6), 0.3);
    if (agree < 0) g = 0;
    w -= sign(g) * s.b;
    s.a = g;
  });
}

TEST_CASE("lion: follows Algorithm 2") {
  Pair model = make_pair(float64);
  check(optim::Lion{model, {.lr = 0.002, .weight_decay = 0.1}}, model, [](State& s, int, double& w, double g) {
    w -= 0.002 * (sign(0.9 * s.a + (1 - 0.9) * g) + 0.1 * w);
    s.a = 0.99 * s.a + (1 - 0.99) * g;
  });
}

TEST_CASE("all rules: float32 follows float64 for 20 steps, and maximize turns the gradient round") {
  auto check_rule = [](auto make, double tolerance) {
    Pair wide = make_pair(float64), narrow = make_pair(float32), up = wide;
    narrow.a = to(wide.a.detach(), float32), narrow.b = to(wide.b.detach(), float32);
    auto o64 = make(wide, false), o32 = make(narrow, false), uphill = make(up, true);
    for (int t = 0; t < 20; ++t) {
      auto slope = [t](const Pair& p, double s) {
        Pair g = zeros_like(p);
        g.a = s * (p.a.detach() + std::cos(t)), g.b = s * (p.b.detach() - std::sin(t));
        return g;
      };
      o64.step(wide, slope(wide, 1)), o32.step(narrow, slope(narrow, 1)), uphill.step(up, slope(up, -1));
    }
    const auto w = test::numbers(wide), n = test::numbers(narrow);
    CHECK(test::numbers(up) == w);
    for (std::size_t i = 0; i < w.size(); ++i) CHECK(std::abs(w[i] - n[i]) <= tolerance * (1 + std::abs(w[i])));
  };
  check_rule([](Pair& p, bool up) { return optim::Sgd(p, {.momentum = 0.9, .maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Adagrad(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::RmsProp(p, {.momentum = 0.5, .maximize = up}); }, 1e-4);
  check_rule([](Pair& p, bool up) { return optim::Adadelta(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Adam(p, {.amsgrad = true, .maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::AdamW(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Adamax(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Nadam(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Radam(p, {.maximize = up}); }, 1e-5);
  check_rule([](Pair& p, bool up) { return optim::Lion(p, {.maximize = up}); }, 1e-3);  // a sign may tip
}
