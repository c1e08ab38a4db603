#include "wengert/optim/schedule.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim {
namespace {

constexpr double pi = 3.14159265358979323846;

void at_least(std::string_view who, const char* field, std::int64_t least, std::int64_t n, Where where) {
  if (n < least) fail<ValueError>(where, "{}: {} must be at least {}, got {}", who, field, least, n);
}
void positive(std::string_view who, const char* field, double x, Where where) {
  if (!(x > 0) || std::isinf(x)) fail<ValueError>(where, "{}: {} must be above 0, got {}", who, field, x);
}

double along(double from, double to, double part) { return from + (to - from) * part; }
double along_cosine(double from, double to, double part) { return to + (from - to) * (1 + std::cos(pi * part)) / 2; }

}  // namespace

double StepDecay::operator()(std::int64_t step, Where where) const {
  at_least("step decay", "every", 1, every, where), positive("step decay", "factor", factor, where);
  return base * std::pow(factor, static_cast<double>(step / every));
}

double MultiStep::operator()(std::int64_t step, Where where) const {
  positive("multi step", "factor", factor, where);
  return base *
         std::pow(factor, static_cast<double>(std::ranges::count_if(milestones, [=](auto m) { return m <= step; })));
}

double Exponential::operator()(std::int64_t step, Where where) const {
  positive("exponential", "factor", factor, where);
  return base * std::pow(factor, static_cast<double>(step));
}

double Polynomial::operator()(std::int64_t step, Where where) const {
  at_least("polynomial", "steps", 1, steps, where), positive("polynomial", "power", power, where);
  const double left = 1 - static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
  return last + (base - last) * std::pow(left, power);
}

double Linear::operator()(std::int64_t step, Where where) const {
  at_least("linear", "steps", 1, steps, where);
  return along(from, to, static_cast<double>(std::min(step, steps)) / static_cast<double>(steps));
}

double WarmUp::operator()(std::int64_t step, Where where) const {
  at_least("warm up", "steps", 1, steps, where);
  return step + 1 >= steps ? 1 : static_cast<double>(step + 1) / static_cast<double>(steps);
}

double Cosine::operator()(std::int64_t step, Where where) const {
  at_least("cosine", "steps", 1, steps, where);
  return along_cosine(base, min,
                      static_cast<double>(clamp ? std::min(step, steps) : step) / static_cast<double>(steps));
}

double CosineRestarts::operator()(std::int64_t step, Where where) const {
  at_least("cosine restarts", "steps", 1, steps, where), at_least("cosine restarts", "times", 1, times, where);
  std::int64_t length = steps;
  if (times == 1) step %= steps;
  for (; step >= length; length *= times) step -= length;
  return along_cosine(base, min, static_cast<double>(step) / static_cast<double>(length));
}

namespace {

// The value of a cycle that is at low, high, low and last at the ends of its phases.
double cycle(const OneCycle& c, std::int64_t step, double low, double high, double last, Where where) {
  at_least("one cycle", "steps", 2, c.steps, where);
  if (!(c.rise * static_cast<double>(c.steps) > 1 && c.rise < (c.three_phases ? 0.5 : 1)))
    fail<ValueError>(where, "one cycle: rise must be above 1 / steps and below {}, got {}", c.three_phases ? 0.5 : 1,
                     c.rise);
  positive("one cycle", "div", c.div, where), positive("one cycle", "final_div", c.final_div, where);
  const double at = static_cast<double>(std::min(step, c.steps - 1)), end = static_cast<double>(c.steps - 1);
  const double top = c.rise * static_cast<double>(c.steps) - 1;
  const double back = c.three_phases ? 2 * c.rise * static_cast<double>(c.steps) - 2 : end;
  auto between = c.linear ? along : along_cosine;
  if (at <= top) return between(low, high, at / top);
  if (!c.three_phases) return between(high, last, (at - top) / (end - top));
  if (at <= back) return between(high, low, (at - top) / (back - top));
  return between(low, last, (at - back) / (end - back));
}

}  // namespace

double OneCycle::operator()(std::int64_t step, Where where) const {
  return cycle(*this, step, max / div, max, max / div / final_div, where);
}

double OneCycle::momentum(std::int64_t step, Where where) const {
  return cycle(*this, step, momentum_high, momentum_low, momentum_high, where);
}

double Cyclic::height(std::int64_t step, Where where) const {
  at_least("cyclic", "up", 1, up, where), at_least("cyclic", "down", 0, down, where);
  const std::int64_t length = up + (down ? down : up), cycles = step / length, at = step % length;
  const double part = at <= up ? static_cast<double>(at) / static_cast<double>(up)
                               : static_cast<double>(length - at) / static_cast<double>(length - up);
  if (shape == halving) return part * std::pow(0.5, static_cast<double>(cycles));
  return shape == decaying ? part * std::pow(gamma, static_cast<double>(step)) : part;
}

double Cyclic::operator()(std::int64_t step, Where where) const { return along(low, high, height(step, where)); }
double Cyclic::momentum(std::int64_t step, Where where) const {
  return along(momentum_high, momentum_low, height(step, where));
}

Schedule operator*(Schedule a, Schedule b) {
  return [=](std::int64_t step) { return a(step) * b(step); };
}

Schedule in_turn(std::vector<Phase> phases, Where where) {
  if (phases.empty()) fail<ValueError>(where, "in_turn: needs at least one schedule");
  for (const Phase& p : phases) at_least("in_turn", "steps", 0, p.steps, where);
  return [phases = std::move(phases)](std::int64_t step) {
    std::size_t i = 0;
    for (; i + 1 < phases.size() && step >= phases[i].steps; ++i) step -= phases[i].steps;
    return phases[i].schedule(step);
  };
}

Plateau::Plateau(double rate, PlateauOptions options, Where where)
    : PlateauOptions(options), lr(rate), best(maximize ? -HUGE_VAL : HUGE_VAL) {
  if (!(factor > 0 && factor < 1)) fail<ValueError>(where, "plateau: factor must be in (0, 1), got {}", factor);
  at_least("plateau", "patience", 0, patience, where), at_least("plateau", "cooldown", 0, cooldown, where);
  positive("plateau", "lr", lr, where);
}

double Plateau::operator()(double value, Where) {
  const double sign = maximize ? -1 : 1, old = lr;
  const double margin = !relative ? threshold : std::isinf(best) ? 0 : threshold * std::abs(best);
  if (sign * value < sign * best - margin) best = value, bad = 0;
  else bad = bad + 1;
  if (cooling > 0) cooling = cooling - 1, bad = 0;
  if (bad > patience) {
    cooling = cooldown, bad = 0;
    if (const double next = std::max(old * factor, min); old - next > eps) lr = next;
  }
  return lr;
}

}  // namespace wengert::optim
