// The logarithm of the gamma function and its derivatives, one number at a time, in double.

#include "wengert/autodiff/base/simd.h"

#include <math.h>

#include <limits>

namespace wengert::detail {
namespace {

constexpr double pi = 3.14159265358979323846;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// B_2, B_4, ...: Bernoulli numbers of the asymptotic series.
constexpr double bernoulli[] = {1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
                                -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};

// (-1)^n n! times sum over k >= 0 of 1 / (x + k)^(n + 1), by Euler-Maclaurin from x + k >= 10 + n on.  x > 0, n >= 1.
// Abramowitz & Stegun 6.4.10, 23.1.30.
double minus_polygamma(int n, double x) {
  const double s = n + 1;
  double sum = 0;
  for (; x < 10 + n; ++x) sum += std::pow(x, -s);
  const double power = std::pow(x, -s);
  sum += power * x / (s - 1) + power / 2;
  double term = s * power / x;  // s (s + 1) ... (s + 2 j - 2) x^(1 - s - 2 j), j = 1
  double factorial = 2;         // (2 j)!
  for (int j = 1; j <= 10; ++j) {
    sum += bernoulli[j - 1] * term / factorial;
    term *= (s + 2 * j - 1) * (s + 2 * j) / (x * x);
    factorial *= (2 * j + 1) * (2 * j + 2);
  }
  double scale = n % 2 ? -1 : 1;
  for (int k = 2; k <= n; ++k) scale *= k;
  return scale * sum;
}

// The n-th derivative of pi cot(pi x): pi^(n + 1) times a polynomial in the cotangent c, with d/dx p(c) = -pi (1 + c^2)
// p'(c).
double cotangent_derivative(int n, double x) {
  constexpr int most = 30;
  if (n > most) return nan;
  double p[most + 3] = {0, 1}, scale = pi;
  for (int k = 0; k < n; ++k) {
    double q[most + 3] = {};
    for (int i = 1; i <= k + 1; ++i) q[i - 1] -= i * p[i], q[i + 1] -= i * p[i];
    for (int i = 0; i <= k + 2; ++i) p[i] = q[i];
    scale *= pi;
  }
  const double c = 1 / std::tan(pi * (x - std::round(x)));
  double value = 0;
  for (int i = n + 1; i >= 0; --i) value = value * c + p[i];
  return scale * value;
}

}  // namespace

double lgamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

// Shifted to x >= 10 by psi(x) = psi(x + 1) - 1 / x, then Abramowitz & Stegun 6.3.18; mirrored by 6.3.7.
double digamma(double x) {
  if (x <= 0) {
    if (x == std::floor(x)) return x == 0 ? std::copysign(std::numeric_limits<double>::infinity(), -x) : nan;
    return digamma(1 - x) - cotangent_derivative(0, x);
  }
  double sum = 0;
  for (; x < 10; ++x) sum -= 1 / x;
  const double r = 1 / (x * x);
  double power = r;
  double series = 0;
  for (int j = 1; j <= 8; ++j, power *= r) series += bernoulli[j - 1] / (2 * j) * power;
  return sum + std::log(x) - 0.5 / x - series;
}

// psi_n(x) = (-1)^n psi_n(1 - x) - d^n/dx^n pi cot(pi x) for x < 0.
double polygamma(int n, double x) {
  if (n == 0) return digamma(x);
  if (x > 0) return -minus_polygamma(n, x);
  if (x == std::floor(x)) return n % 2 ? std::numeric_limits<double>::infinity() : nan;
  const double mirrored = -minus_polygamma(n, 1 - x);
  return (n % 2 ? -mirrored : mirrored) - cotangent_derivative(n, x);
}

}  // namespace wengert::detail
