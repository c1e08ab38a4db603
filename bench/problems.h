#pragma once

// Data of four problems whose gradients are measured, made by a small generator, so that every program that measures
// them has the same.

#include <cstdint>
#include <vector>

namespace bench::problems {

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : state_(seed) {}
  double operator()() {  // in [0, 1)
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<double>(state_ >> 8) / static_cast<double>(1u << 24);
  }

 private:
  std::uint32_t state_;
};

/// Where each begins: n numbers around zero.
inline std::vector<double> start(std::int64_t n) {
  Generator random(3);
  std::vector<double> x;
  for (std::int64_t i = 0; i < n; ++i) x.push_back(0.2 * (random() - 0.5));
  return x;
}

struct Rosenbrock {
  static constexpr std::int64_t n = 100000;
};

struct Logistic {  // labels are -1 and 1
  static constexpr std::int64_t n = 50, rows = 2000;
  std::vector<double> x, y;
  Logistic() {
    Generator random(7);
    for (std::int64_t i = 0; i < rows * n; ++i) x.push_back(random() - 0.5);
    for (std::int64_t i = 0; i < rows; ++i) y.push_back(random() > 0.5 ? 1 : -1);
  }
};

struct Regression {  // a network with one hidden layer of tanh
  static constexpr std::int64_t in = 64, hidden = 32, out = 10, batch = 32;
  static constexpr std::int64_t n = in * hidden + hidden + hidden * out + out;
  std::vector<double> x, y;
  Regression() {
    Generator random(9);
    for (std::int64_t i = 0; i < batch * in; ++i) x.push_back(random() - 0.5);
    for (std::int64_t i = 0; i < batch * out; ++i) y.push_back(random() - 0.5);
  }
};

struct Poisson {  // each observation sees three of the coefficients
  static constexpr std::int64_t n = 10000, observations = 100000;
  std::vector<std::int64_t> index;
  std::vector<double> y;
  Poisson() {
    Generator random(11);
    for (std::int64_t i = 0; i < 3 * observations; ++i) index.push_back(static_cast<std::int64_t>(random() * n) % n);
    for (std::int64_t i = 0; i < observations; ++i) y.push_back(static_cast<double>(static_cast<int>(random() * 4)));
  }
};

}  // namespace bench::problems
