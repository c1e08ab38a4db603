#include "primals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace bench::primals {
namespace {

using problems::Logistic, problems::Poisson, problems::Regression, problems::Rosenbrock;

// log(1 + exp(t)): the products are small, so nothing overflows.
double softplus(double t) { return std::log(1 + std::exp(t)); }

double score(const Logistic& p, const std::vector<double>& w, std::int64_t row) {
  double z = 0;
  for (std::int64_t j = 0; j < p.n; ++j) z += p.x[row * p.n + j] * w[j];
  return -p.y[row] * z;
}

// Where each part of the weights begins.
constexpr std::int64_t bias1 = Regression::in * Regression::hidden, weight2 = bias1 + Regression::hidden,
                       bias2 = weight2 + Regression::hidden * Regression::out;

// One example: what is hidden, and how far off the outputs are.
struct Pass {
  std::array<double, Regression::hidden> h;
  std::array<double, Regression::out> error;

  Pass(const Regression& p, const std::vector<double>& w, std::int64_t row) {
    for (std::int64_t j = 0; j < p.hidden; ++j) {
      double a = w[bias1 + j];
      for (std::int64_t i = 0; i < p.in; ++i) a += p.x[row * p.in + i] * w[j * p.in + i];
      h[j] = std::tanh(a);
    }
    for (std::int64_t k = 0; k < p.out; ++k) {
      double a = w[bias2 + k];
      for (std::int64_t j = 0; j < p.hidden; ++j) a += h[j] * w[weight2 + k * p.hidden + j];
      error[k] = a - p.y[row * p.out + k];
    }
  }
  double loss() const {
    double sum = 0;
    for (const double e : error) sum += e * e;
    return sum;
  }
};

double eta(const Poisson& p, const std::vector<double>& w, std::int64_t i) {
  return w[p.index[3 * i]] + w[p.index[3 * i + 1]] + w[p.index[3 * i + 2]];
}

}  // namespace

double rosenbrock(const std::vector<double>& x) {
  double sum = 0;
  for (std::int64_t i = 0; i + 1 < Rosenbrock::n; ++i) {
    const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    sum += 100 * a * a + b * b;
  }
  return sum;
}

double rosenbrock(const std::vector<double>& x, std::vector<double>& g) {
  double sum = 0;
  g[0] = 0;
  for (std::int64_t i = 0; i + 1 < Rosenbrock::n; ++i) {
    const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    sum += 100 * a * a + b * b;
    g[i] -= 400 * a * x[i] + 2 * b;
    g[i + 1] = 200 * a;
  }
  return sum;
}

double logistic(const Logistic& p, const std::vector<double>& w) {
  double sum = 0;
  for (std::int64_t i = 0; i < p.rows; ++i) sum += softplus(score(p, w, i));
  return sum;
}

double logistic(const Logistic& p, const std::vector<double>& w, std::vector<double>& g) {
  double sum = 0;
  std::fill(g.begin(), g.end(), 0);
  for (std::int64_t i = 0; i < p.rows; ++i) {
    const double e = std::exp(score(p, w, i)), slope = -p.y[i] * e / (1 + e);
    sum += std::log(1 + e);
    for (std::int64_t j = 0; j < p.n; ++j) g[j] += slope * p.x[i * p.n + j];
  }
  return sum;
}

double regression(const Regression& p, const std::vector<double>& w) {
  double sum = 0;
  for (std::int64_t row = 0; row < p.batch; ++row) sum += Pass(p, w, row).loss();
  return sum;
}

double regression(const Regression& p, const std::vector<double>& w, std::vector<double>& g) {
  double sum = 0;
  std::fill(g.begin(), g.end(), 0);
  for (std::int64_t row = 0; row < p.batch; ++row) {
    const Pass pass(p, w, row);
    sum += pass.loss();
    std::array<double, Regression::hidden> h_bar{};
    for (std::int64_t k = 0; k < p.out; ++k) {
      const double slope = 2 * pass.error[k];
      g[bias2 + k] += slope;
      for (std::int64_t j = 0; j < p.hidden; ++j) {
        g[weight2 + k * p.hidden + j] += slope * pass.h[j];
        h_bar[j] += slope * w[weight2 + k * p.hidden + j];
      }
    }
    for (std::int64_t j = 0; j < p.hidden; ++j) {
      const double slope = h_bar[j] * (1 - pass.h[j] * pass.h[j]);
      g[bias1 + j] += slope;
      for (std::int64_t i = 0; i < p.in; ++i) g[j * p.in + i] += slope * p.x[row * p.in + i];
    }
  }
  return sum;
}

double poisson(const Poisson& p, const std::vector<double>& w) {
  double sum = 0;
  for (std::int64_t i = 0; i < p.observations; ++i) {
    const double e = eta(p, w, i);
    sum += std::exp(e) - p.y[i] * e;
  }
  return sum;
}

double poisson(const Poisson& p, const std::vector<double>& w, std::vector<double>& g) {
  double sum = 0;
  std::fill(g.begin(), g.end(), 0);
  for (std::int64_t i = 0; i < p.observations; ++i) {
    const double e = eta(p, w, i), mean = std::exp(e), slope = mean - p.y[i];
    sum += mean - p.y[i] * e;
    for (std::int64_t k = 0; k < 3; ++k) g[p.index[3 * i + k]] += slope;
  }
  return sum;
}

}  // namespace bench::primals
