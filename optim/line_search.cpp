#include "wengert/optim/line_search.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/optim/in_place.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace wengert::optim {

namespace detail {

using wengert::detail::Access;

void overwrite(Tensor& w, const Tensor& v) {
  const Tensor from = contiguous(v.detach());
  if (void* to = own(w, Where()); w.numel())
    std::memcpy(to, Access::body(from)->data(), w.numel() * size_of(w.dtype()));
}

double inner(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }
double length(const Tensor& a) { return std::sqrt(inner(a, a)); }
double largest(const Tensor& a) { return a.numel() ? amax(abs(a)).item() : 0; }

Tensor LineFunction::point(double t) const { return x_ + t * d_; }
double LineFunction::value(double t) { return f_.value(point(t)); }
LinePoint LineFunction::at(double t) {
  LinePoint p{.t = t};
  p.value = f_.value(point(t), p.gradient);
  p.slope = inner(p.gradient, d_);
  return p;
}
double LineFunction::curvature(double t) { return inner(d_, f_.curvature(point(t), d_)); }

}  // namespace detail

namespace {

LinePoint downhill(detail::LineFunction& line, const char* who, Where where) {
  LinePoint origin = line.at(0);
  if (!(origin.slope <= 0)) fail<ValueError>(where, "{}: the line goes uphill, its slope is {}", who, origin.slope);
  return origin;
}

}  // namespace

LineResult backtracking(detail::LineFunction& line, BacktrackingOptions o, Where where) {
  const detail::Check check{"backtracking", where};
  check.above_0("start", o.start), check.above_0("shrink", o.shrink), check.above_0("sufficient", o.sufficient);
  check.fraction("shrink", o.shrink), check.fraction("sufficient", o.sufficient);
  const LinePoint origin = downhill(line, "backtracking", where);
  double t = o.start, value = 0;
  for (std::int64_t n = 1; n <= o.max_eval; ++n, t *= o.shrink) {
    value = line.value(t);
    if (value <= origin.value + o.sufficient * t * origin.slope) return {t, value, n + 1, true};
  }
  return {0, origin.value, o.max_eval + 1, false};
}

LineResult exact_quadratic(detail::LineFunction& line, Where where) {
  const LinePoint origin = line.at(0);
  const double curvature = line.curvature(0);
  if (origin.slope == 0) return {0, origin.value, 1, true};
  if (!(curvature > 0))
    fail<ValueError>(where, "exact_quadratic: the curvature along the line must be > 0, got {}; exact() needs none",
                     curvature);
  const double t = -origin.slope / curvature;
  return {t, origin.value + t * origin.slope / 2, 1, true};
}

// Brent's method between a < b < c with phi(b) below both ends.
LineResult exact(detail::LineFunction& line, ExactOptions o, Where where) {
  const detail::Check check{"exact", where};
  check.above_0("start", o.start), check.above_0("tolerance", o.tolerance);
  constexpr double golden = 1.618033988749895, section = 2 - golden;
  std::int64_t n = 1;
  auto phi = [&](double t) { return ++n, line.value(t); };
  double a = 0, fa = downhill(line, "exact", where).value, b = o.start, fb = phi(b);
  while (!(fb < fa) && n < o.max_eval && b > 1e-300) b /= golden * golden, fb = phi(b);  // back towards 0
  if (!(fb < fa)) return {0, fa, n, true};
  double c = b * (1 + golden), fc = phi(c);
  while (fc < fb && n < o.max_eval) a = b, fa = fb, b = c, fb = fc, c = b + golden * (b - a), fc = phi(c);
  if (fc < fb) return {c, fc, n, false};  // phi has no minimum up to c

  double x = b, w = b, v = b, fx = fb, fw = fb, fv = fb, step = 0, before = 0;
  for (; n < o.max_eval;) {
    const double middle = (a + c) / 2, tolerance = o.tolerance * std::abs(x) + 1e-300;
    if (std::abs(x - middle) <= 2 * tolerance - (c - a) / 2) return {x, fx, n, true};
    // Take the parabola through x, w, v unless it leaves the bracket or does not halve the step before the last.
    double p = 0, q = 0;
    if (std::abs(before) > tolerance) {
      const double r = (x - w) * (fx - fv), s = (x - v) * (fx - fw);
      q = 2 * (s - r), p = (x - v) * s - (x - w) * r;
      if (q > 0) p = -p;
      q = std::abs(q);
    }
    const bool parabola = q != 0 && std::abs(p) < std::abs(q * before / 2) && p > q * (a - x) && p < q * (c - x);
    before = parabola ? step : (x < middle ? c : a) - x;
    step = parabola ? p / q : section * before;
    const double u = x + (std::abs(step) >= tolerance ? step : std::copysign(tolerance, step)), fu = phi(u);
    if (fu <= fx) {
      (u < x ? c : a) = x;
      v = w, fv = fw, w = x, fw = fx, x = u, fx = fu;
    } else {
      (u < x ? a : c) = u;
      if (fu <= fw || w == x) v = w, fv = fw, w = u, fw = fu;
      else if (fu <= fv || v == x || v == w) v = u, fv = fu;
    }
  }
  return {x, fx, n, false};
}

namespace {

// The minimum, between low and high, of the cubic through two points and their slopes.
double cubic(const LinePoint& a, const LinePoint& b, double low, double high) {
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  const double t = a.t <= b.t ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
                              : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2));
  return std::min(std::max(t, low), high);
}

}  // namespace

detail::WolfePoint detail::strong_wolfe_from(LineFunction& line, const LinePoint& origin, const StrongWolfeOptions& o) {
  std::int64_t evaluations = 0, tries = 0;
  auto evaluate = [&](double t) { return ++evaluations, line.at(t); };
  auto too_high = [&](const LinePoint& p) { return p.value > origin.value + o.sufficient * p.t * origin.slope; };
  auto flat = [&](const LinePoint& p) { return std::abs(p.slope) <= -o.curvature * origin.slope; };
  auto done = [&](const LinePoint& p, bool found) { return WolfePoint{p, evaluations, found}; };
  // Close to a minimum the values differ by rounding only. There slopes alone decide, by the approximate
  // condition of Hager and Zhang (2005), equation 4.1: the same as sufficient decrease for a parabola.
  const double epsilon = line.direction().dtype() == float64 ? 0x1p-52 : 0x1p-23,
               noise = 4 * epsilon * std::abs(origin.value);
  auto level = [&](const LinePoint& p) {
    return std::abs(p.value - origin.value) <= noise && flat(p) && p.slope <= (2 * o.sufficient - 1) * origin.slope;
  };

  // Increase the step until a point satisfies the conditions or the last two points bracket such a point.
  LinePoint last = origin, now = evaluate(o.start), bracket[2];
  for (;; ++tries) {
    if (tries == o.max_eval) {
      bracket[0] = origin, bracket[1] = now;
      break;
    }
    if (level(now)) return done(now, true);
    if (too_high(now) || (tries > 1 && now.value >= last.value) || (!flat(now) && now.slope >= 0)) {
      bracket[0] = last, bracket[1] = now;
      break;
    }
    if (flat(now)) return done(now, true);
    const double t = cubic(last, now, now.t + 0.01 * (now.t - last.t), 10 * now.t);
    last = std::exchange(now, LinePoint());
    now = evaluate(t);
  }

  // Shrink the bracket around such a point; `low` is the index of its lower end.
  const double size = largest(line.direction());
  bool poor = false;
  int low = bracket[0].value <= bracket[1].value ? 0 : 1;
  for (; tries < o.max_eval; ++tries) {
    if (std::abs(bracket[1].t - bracket[0].t) * size < o.tolerance) break;
    const auto [from, to] = std::minmax(bracket[0].t, bracket[1].t);
    double t = cubic(bracket[0], bracket[1], from, to);
    const double margin = 0.1 * (to - from);
    const bool near_end = std::min(to - t, t - from) < margin;
    if (near_end && (poor || t >= to || t <= from)) {
      t = std::abs(t - to) < std::abs(t - from) ? to - margin : from + margin;
      poor = false;
    } else {
      poor = near_end;
    }
    now = evaluate(t);
    if (level(now)) return done(now, true);
    if (too_high(now) || now.value >= bracket[low].value) {
      bracket[1 - low] = now;
      low = bracket[0].value <= bracket[1].value ? 0 : 1;
      continue;
    }
    if (flat(now)) return done(now, true);
    if (now.slope * (bracket[1 - low].t - bracket[low].t) >= 0) bracket[1 - low] = bracket[low];
    bracket[low] = now;
  }
  return done(bracket[low], false);
}

LineResult strong_wolfe(detail::LineFunction& line, StrongWolfeOptions o, Where where) {
  const detail::Check check{"strong_wolfe", where};
  check.above_0("start", o.start);
  check.that(0 < o.sufficient && o.sufficient < o.curvature && o.curvature < 1,
             "0 < sufficient < curvature < 1 must hold");
  const auto p = detail::strong_wolfe_from(line, downhill(line, "strong_wolfe", where), o);
  return {p.t, p.value, p.evaluations + 1, p.found};
}

}  // namespace wengert::optim
