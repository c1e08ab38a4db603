#include "wengert/optim/schedule.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <cmath>

namespace wengert::optim::schedule {
namespace {

constexpr double pi = 3.14159265358979323846;

void at_least(std::string_view who, const char* field, std::int64_t least, std::int64_t n, Where where) {
  if (n < least) fail<ValueError>(where, "{}: {} must be >= {}, got {}", who, field, least, n);
}
void positive(std::string_view who, const char* field, double x, Where where) {
  if (!(x > 0) || std::isinf(x)) fail<ValueError>(where, "{}: {} must be > 0, got {}", who, field, x);
}

double along(double from, double to, double part) { return from + (to - from) * part; }
double along_cosine(double from, double to, double part) { return to + (from - to) * (1 + std::cos(pi * part)) / 2; }

}  // namespace

double StepDecay::operator()(std::int64_t step, Where where) const {
  at_least("StepDecay", "step_size", 1, step_size, where), positive("StepDecay", "gamma", gamma, where);
  return base * std::pow(gamma, static_cast<double>(step / step_size));
}

double MultiStep::operator()(std::int64_t step, Where where) const {
  positive("MultiStep", "gamma", gamma, where);
  return base *
         std::pow(gamma, static_cast<double>(std::ranges::count_if(milestones, [=](auto m) { return m <= step; })));
}

double Exponential::operator()(std::int64_t step, Where where) const {
  positive("Exponential", "gamma", gamma, where);
  return base * std::pow(gamma, static_cast<double>(step));
}

double Polynomial::operator()(std::int64_t step, Where where) const {
  at_least("Polynomial", "steps", 1, steps, where), positive("Polynomial", "power", power, where);
  const double left = 1 - static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
  return last + (base - last) * std::pow(left, power);
}

double Linear::operator()(std::int64_t step, Where where) const {
  at_least("Linear", "steps", 1, steps, where);
  return along(from, to, static_cast<double>(std::min(step, steps)) / static_cast<double>(steps));
}

double WarmUp::operator()(std::int64_t step, Where where) const {
  at_least("WarmUp", "steps", 1, steps, where);
  return step + 1 >= steps ? 1 : static_cast<double>(step + 1) / static_cast<double>(steps);
}

double Cosine::operator()(std::int64_t step, Where where) const {
  at_least("Cosine", "steps", 1, steps, where);
  return along_cosine(base, min,
                      static_cast<double>(clamp ? std::min(step, steps) : step) / static_cast<double>(steps));
}

double CosineRestarts::operator()(std::int64_t step, Where where) const {
  at_least("CosineRestarts", "steps", 1, steps, where), at_least("CosineRestarts", "t_mult", 1, t_mult, where);
  std::int64_t length = steps;
  if (t_mult == 1) step %= steps;
  for (; step >= length; length *= t_mult) step -= length;
  return along_cosine(base, min, static_cast<double>(step) / static_cast<double>(length));
}

namespace {

// The value of a cycle whose phases end at low, high, low and last.
double cycle(const OneCycle& c, std::int64_t step, double low, double high, double last, Where where) {
  at_least("OneCycle", "steps", 2, c.steps, where);
  if (!(c.pct_start * static_cast<double>(c.steps) > 1 && c.pct_start < (c.three_phase ? 0.5 : 1)))
    fail<ValueError>(where, "OneCycle: pct_start must be > 1 / steps and < {}, got {}", c.three_phase ? 0.5 : 1,
                     c.pct_start);
  positive("OneCycle", "div_factor", c.div_factor, where),
      positive("OneCycle", "final_div_factor", c.final_div_factor, where);
  const double at = static_cast<double>(std::min(step, c.steps - 1)), end = static_cast<double>(c.steps - 1);
  const double top = c.pct_start * static_cast<double>(c.steps) - 1;
  const double back = c.three_phase ? 2 * c.pct_start * static_cast<double>(c.steps) - 2 : end;
  auto between = c.linear ? along : along_cosine;
  if (at <= top) return between(low, high, at / top);
  if (!c.three_phase) return between(high, last, (at - top) / (end - top));
  if (at <= back) return between(high, low, (at - top) / (back - top));
  return between(low, last, (at - back) / (end - back));
}

}  // namespace

double OneCycle::operator()(std::int64_t step, Where where) const {
  return cycle(*this, step, max_lr / div_factor, max_lr, max_lr / div_factor / final_div_factor, where);
}

double OneCycle::momentum(std::int64_t step, Where where) const {
  return cycle(*this, step, max_momentum, base_momentum, max_momentum, where);
}

double Cyclic::height(std::int64_t step, Where where) const {
  at_least("Cyclic", "step_size_up", 1, step_size_up, where),
      at_least("Cyclic", "step_size_down", 0, step_size_down, where);
  const std::int64_t length = step_size_up + (step_size_down ? step_size_down : step_size_up), cycles = step / length,
                     at = step % length;
  const double part = at <= step_size_up
                          ? static_cast<double>(at) / static_cast<double>(step_size_up)
                          : static_cast<double>(length - at) / static_cast<double>(length - step_size_up);
  if (mode == triangular2) return part * std::pow(0.5, static_cast<double>(cycles));
  return mode == exp_range ? part * std::pow(gamma, static_cast<double>(step)) : part;
}

double Cyclic::operator()(std::int64_t step, Where where) const { return along(base_lr, max_lr, height(step, where)); }
double Cyclic::momentum(std::int64_t step, Where where) const {
  return along(max_momentum, base_momentum, height(step, where));
}

Schedule operator*(Schedule a, Schedule b) {
  return [=](std::int64_t step) { return a(step) * b(step); };
}

Schedule in_turn(std::vector<Phase> phases, Where where) {
  if (phases.empty()) fail<ValueError>(where, "in_turn: needs at least one phase, got none");
  for (const Phase& p : phases) at_least("in_turn", "steps", 0, p.steps, where);
  return [phases = std::move(phases)](std::int64_t step) {
    std::size_t i = 0;
    for (; i + 1 < phases.size() && step >= phases[i].steps; ++i) step -= phases[i].steps;
    return phases[i].schedule(step);
  };
}

Plateau::Plateau(double rate, PlateauOptions options, Where where)
    : PlateauOptions(options), lr(rate), best(maximize ? -HUGE_VAL : HUGE_VAL) {
  if (!(factor > 0 && factor < 1)) fail<ValueError>(where, "Plateau: factor must be in (0, 1), got {}", factor);
  at_least("Plateau", "patience", 0, patience, where), at_least("Plateau", "cooldown", 0, cooldown, where);
  positive("Plateau", "lr", lr, where);
}

double Plateau::operator()(double value, Where) {
  const double sign = maximize ? -1 : 1, old = lr;
  const double margin = !relative ? threshold : std::isinf(best) ? 0 : threshold * std::abs(best);
  if (sign * value < sign * best - margin) best = value, num_bad = 0;
  else num_bad = num_bad + 1;
  if (cooldown_left > 0) cooldown_left = cooldown_left - 1, num_bad = 0;
  if (num_bad > patience) {
    cooldown_left = cooldown, num_bad = 0;
    if (const double next = std::max(old * factor, min_lr); old - next > eps) lr = next;
  }
  return lr;
}

}  // namespace wengert::optim::schedule
