// Whole gradients of the four problems, float64, beside the function alone and the gradient by hand in loops over
// doubles.

#include "primals.h"
#include "problems.h"
#include "steps.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/fuse.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"

using namespace wengert;

namespace bench {
namespace {

// `name` is the problem's, `size` how large it is. `primal` maps weights to the value, `by_hand` writes the gradient.
void gradient_case(const Options& o, const std::string& name, const std::string& size, std::int64_t n, auto f,
                   auto primal, auto by_hand) {
  const std::vector<double> start = problems::start(n);
  const Tensor x = from(start, {n});
  Tensor gradient;
  std::vector<double> expected(start.size());
  volatile double value = 0;
  const std::vector<Stat> stats = measure_in_turns(o, {
                                                          [&] { gradient = grad(f, x); },
                                                          [&] { value = primal(start); },
                                                          [&] { value = by_hand(start, expected); },
                                                      });
  (void)value;
  double norm2 = 0;
  for (const double g : expected) norm2 += g * g;
  emit(o, "grad_" + name + "_" + size, stats[0],
       fmt::format("\"grad_norm2\":{:.10g},{}", sum(square(gradient)).item(), peak_rss()));
  emit(o, "grad_" + name + "_primal", stats[1]);
  emit(o, "grad_" + name + "_by_hand", stats[2], fmt::format("\"grad_norm2\":{:.10g}", norm2));
}

void rosenbrock_case(const Options& o) {
  constexpr std::int64_t n = problems::Rosenbrock::n;
  gradient_case(
      o, "rosenbrock", "1e5", n,
      [](const Tensor& x) {
        const Tensor head = slice(x, 0, 0, n - 1), tail = slice(x, 0, 1, n);
        return fuse_sum([](auto a, auto b) { return square(b - a * a) * 100 + square(1 - a); }, head, tail);
      },
      [](auto& w) { return primals::rosenbrock(w); }, [](auto& w, auto& g) { return primals::rosenbrock(w, g); });
}

void logistic_case(const Options& o) {
  const problems::Logistic p;
  const Tensor x = from(p.x, {p.rows, p.n}), y = from(p.y, {p.rows});
  gradient_case(
      o, "logistic", "2000x50", p.n, [&](const Tensor& w) { return sum(softplus(-y * matmul(x, w))); },
      [&](auto& w) { return primals::logistic(p, w); }, [&](auto& w, auto& g) { return primals::logistic(p, w, g); });
}

void regression_case(const Options& o) {
  using P = problems::Regression;
  const P p;
  const Tensor x = from(p.x, {p.batch, p.in}), y = from(p.y, {p.batch, p.out});
  gradient_case(
      o, "mlp", "64_32_10_b32", p.n,
      [&](const Tensor& w) {
        constexpr std::int64_t a = P::in * P::hidden, b = a + P::hidden, c = b + P::hidden * P::out;
        const Tensor h = tanh(linear(x, reshape(slice(w, 0, 0, a), {P::hidden, P::in}), slice(w, 0, a, b)));
        const Tensor z = linear(h, reshape(slice(w, 0, b, c), {P::out, P::hidden}), slice(w, 0, c, P::n));
        return sum(square(z - y));
      },
      [&](auto& w) { return primals::regression(p, w); },
      [&](auto& w, auto& g) { return primals::regression(p, w, g); });
}

void poisson_case(const Options& o) {
  const problems::Poisson p;
  const Tensor index = from(p.index, {3 * p.observations}), y = from(p.y, {p.observations});
  gradient_case(
      o, "sparse", "poisson_1e5", p.n,
      [&](const Tensor& w) {
        const Tensor eta = sum(reshape(index_select(w, 0, index), {p.observations, 3}), {1});
        return fuse_sum([](auto e, auto count) { return exp(e) - count * e; }, eta, y);
      },
      [&](auto& w) { return primals::poisson(p, w); }, [&](auto& w, auto& g) { return primals::poisson(p, w, g); });
}

}  // namespace

std::vector<Case> gradient_cases() {
  return {{"grad_rosenbrock", rosenbrock_case},
          {"grad_logistic", logistic_case},
          {"grad_mlp", regression_case},
          {"grad_sparse", poisson_case}};
}

}  // namespace bench
