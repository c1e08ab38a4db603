#include "wengert/optim/schedule.h"

#include "support.h"

#include <cmath>

using namespace wengert;
using namespace wengert::optim::schedule;
using test::contains;
using test::message;

TEST_CASE("schedules: begin, middle and end are what the formulas say") {
  CHECK(Constant{0.3}(77) == 0.3);
  const StepDecay steps{1, 10, 0.5};
  CHECK(steps(9) == 1);
  CHECK(steps(10) == 0.5);
  CHECK(steps(29) == 0.25);
  const MultiStep many{1, {3, 5, 5}, 0.1};
  CHECK(many(2) == 1);
  CHECK(many(3) == doctest::Approx(0.1));
  CHECK(many(5) == doctest::Approx(0.001));  // a milestone given twice counts twice
  CHECK(Exponential{2, 0.5}(3) == 0.25);
  const Polynomial cubic{1, 0.1, 10, 3};
  CHECK(cubic(0) == 1);
  CHECK(cubic(5) == doctest::Approx(0.1 + 0.9 / 8));
  CHECK(cubic(99) == 0.1);
  const Linear line{0, 1, 4};
  CHECK(line(1) == 0.25);
  CHECK(line(9) == 1);
  const WarmUp up{4};
  CHECK(up(0) == 0.25);  // not 0: the first update counts
  CHECK(up(3) == 1);
  CHECK(up(1000) == 1);
  const Cosine cosine{1, 0.2, 10};
  CHECK(cosine(0) == 1);
  CHECK(cosine(5) == doctest::Approx(0.6));
  CHECK(cosine(10) == doctest::Approx(0.2));
  CHECK(cosine(1000) == doctest::Approx(0.2));
}

TEST_CASE("schedules: warm restarts begin anew, each time longer") {
  const CosineRestarts restarts{1, 0, 10, 2};
  for (std::int64_t begin : {0, 10, 30, 70}) CHECK(restarts(begin) == 1);
  CHECK(restarts(20) == doctest::Approx(0.5));  // the middle of 10 to 30
  CHECK(restarts(9) == doctest::Approx((1 + std::cos(0.9 * M_PI)) / 2));
}

TEST_CASE("schedules: one cycle rises, falls, and turns the momentum the other way") {
  const OneCycle cycle{.max_lr = 1, .steps = 101};
  CHECK(cycle(0) == doctest::Approx(1.0 / 25));
  CHECK(cycle.momentum(0) == doctest::Approx(0.95));
  double most = 0, least = 1;
  for (int t = 0; t <= 100; ++t) most = std::max(most, cycle(t)), least = std::min(least, cycle.momentum(t));
  CHECK(most == doctest::Approx(1).epsilon(1e-3));
  CHECK(least == doctest::Approx(0.85).epsilon(1e-3));
  CHECK(cycle(100) == doctest::Approx(1.0 / 25 / 1e4));
  CHECK(cycle(5000) == cycle(100));
}

TEST_CASE("schedules: multiply, follow each other, and are made of any function") {
  const Schedule product = WarmUp{4} * Exponential{2, 0.5};
  CHECK(product(1) == doctest::Approx(0.5));
  const Schedule chain = in_turn({{Linear{0, 1, 2}, 2}, {Constant{5}, 3}, {[](std::int64_t t) { return 10.0 * t; }}});
  const std::vector<double> want{0, 0.5, 5, 5, 5, 0, 10, 20};
  for (std::size_t t = 0; t < want.size(); ++t) CHECK(chain(std::int64_t(t)) == want[t]);
}

TEST_CASE("plateau: reduces after more than `patience` evaluations without improvement; NaN is none") {
  Plateau plateau{1, {.factor = 0.5, .patience = 2, .cooldown = 2, .min_lr = 0.2}};
  CHECK(plateau(10) == 1);
  CHECK(plateau(9) == 1);
  CHECK(plateau(9) == 1);
  CHECK(plateau(std::nan("")) == 1);
  CHECK(plateau(8.9999) == 0.5);  // within the threshold of 1e-4, so the third bad one
  for (double rate : {0.5, 0.5, 0.5, 0.5}) CHECK(plateau(9) == rate);  // two of them cool down
  CHECK(plateau(9) == 0.25);
  for (int i = 0; i < 20; ++i) plateau(9);
  CHECK(plateau.lr == 0.2);
  Plateau upwards{1, {.factor = 0.5, .patience = 0, .maximize = true}};
  CHECK(upwards(-5) == 1);
  CHECK(upwards(-4) == 1);
  CHECK(upwards(-4) == 0.5);
}

TEST_CASE("schedules: fields without sense are ValueErrors that name them") {
  auto error = [](auto schedule, std::int64_t t = 1) { return message<ValueError>([&] { schedule(t); }); };
  CHECK(contains(error(StepDecay{1, 0}), "StepDecay: step_size must be >= 1, got 0"));
  CHECK(contains(error(Exponential{1, -1}), "gamma"));
  CHECK(contains(error(Cosine{.steps = 0}), "steps"));
  CHECK(contains(error(CosineRestarts{.t_mult = 0}), "t_mult"));
  CHECK(contains(error(OneCycle{.pct_start = 1}), "pct_start"));
  CHECK(contains(error(Cyclic{.step_size_up = 0}), "step_size_up"));
  CHECK(contains(error(WarmUp{0}), "schedule.cpp"));  // the place of the call
  CHECK(contains(message<ValueError>([] { in_turn({}); }), "in_turn"));
  CHECK(contains(message<ValueError>([] { Plateau(1, {.factor = 1}); }), "factor"));
}
