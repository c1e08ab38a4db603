// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/kernels/optimizers.h"
#include "wengert/autodiff/simd.h"

#include <cmath>
#include <limits>

namespace wengert::kernels {
namespace {

// f(i, load, store) for every register from begin to end; the last may be partial.
template <class L, class F>
void registers(std::int64_t begin, std::int64_t end, F&& f) {
  using T = typename L::Scalar;
  std::int64_t i = begin;
  for (; i + L::width <= end; i += L::width)
    f([i](const T* p) { return L::load(p + i); }, [i](L x, T* p) { x.store(p + i); });
  if (const std::int64_t n = end - i; n > 0)
    f([i, n](const T* p) { return L::load_some(p + i, n); }, [i, n](L x, T* p) { x.store_some(p + i, n); });
}

template <class L, bool with_velocity>
void sgd_as(const SgdStep& s, std::int64_t begin, std::int64_t end, void* to, const void* from, void* velocity) {
  using T = typename L::Scalar;
  T *const w = static_cast<T*>(to), *const b = static_cast<T*>(velocity);
  const T* const g = static_cast<const T*>(from);
  const L lr = s.lr, momentum = s.momentum, fresh = 1 - s.dampening, decay = s.weight_decay;
  const bool decays = s.weight_decay != 0, maximize = s.maximize, first = s.first, nesterov = s.nesterov;
  registers<L>(begin, end, [&](auto load, auto store) {
    const L x = load(w);
    L d = maximize ? -load(g) : load(g);
    if (decays) d = d + decay * x;
    if constexpr (with_velocity) {
      const L speed = first ? d : momentum * load(b) + fresh * d;
      store(speed, b);
      d = nesterov ? d + momentum * speed : speed;
    }
    store(x - lr * d, w);
  });
}
template <class L>
void sgd_loop(const SgdStep& s, std::int64_t begin, std::int64_t end, void* w, const void* g, void* velocity) {
  if (velocity) sgd_as<L, true>(s, begin, end, w, g, velocity);
  else sgd_as<L, false>(s, begin, end, w, g, nullptr);
}

template <class L, bool with_max>
void adam_as(const AdamStep& s, std::int64_t begin, std::int64_t end, void* to, const void* from, void* first,
             void* second, void* largest) {
  using T = typename L::Scalar;
  T *const w = static_cast<T*>(to), *const m = static_cast<T*>(first), *const v = static_cast<T*>(second),
           *const most = static_cast<T*>(largest);
  const T* const g = static_cast<const T*>(from);
  const L beta1 = s.beta1, rest1 = 1 - s.beta1, beta2 = s.beta2, rest2 = 1 - s.beta2, eps = s.eps, rate = s.rate,
          root_factor = s.root_factor, decay = s.weight_decay;
  const bool decays = s.weight_decay != 0, maximize = s.maximize;
  registers<L>(begin, end, [&](auto load, auto store) {
    const L x = load(w);
    L d = maximize ? -load(g) : load(g);
    if (decays) d = d + decay * x;
    const L mean = beta1 * load(m) + rest1 * d;
    L square = beta2 * load(v) + rest2 * d * d;
    store(mean, m), store(square, v);
    if constexpr (with_max) {
      square = maximum(load(most), square);
      store(square, most);
    }
    store(x - rate * mean / (sqrt(square) * root_factor + eps), w);
  });
}
template <class L>
void adam_loop(const AdamStep& s, std::int64_t begin, std::int64_t end, void* w, const void* g, void* m, void* v,
               void* v_max) {
  if (v_max) adam_as<L, true>(s, begin, end, w, g, m, v, v_max);
  else adam_as<L, false>(s, begin, end, w, g, m, v, nullptr);
}

// Sixteen running values, joined by halves.
template <class T, class Term, class Join>
double fold(const T* x, std::int64_t n, Term&& term, Join&& join) {
  double lane[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 16; ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i + k])));
  for (int k = 0; i < n; ++i, ++k) lane[k] = join(lane[k], term(static_cast<double>(x[i])));
  for (int width = 8; width; width /= 2)
    for (int k = 0; k < width; ++k) lane[k] = join(lane[k], lane[k + width]);
  return lane[0];
}

template <class L>
double sum_of_powers_loop(std::int64_t begin, std::int64_t end, const void* from, double p, double scale) {
  const auto* x = static_cast<const typename L::Scalar*>(from) + begin;
  const std::int64_t n = end - begin;
  const auto add = [](double a, double b) { return a + b; };
  const auto size = [](double t) { return t < 0 ? -t : t; };
  if (p == 2 && scale == 1) return fold(x, n, [](double t) { return t * t; }, add);
  if (p == 2) return fold(x, n, [=](double t) { return t / scale * (t / scale); }, add);
  if (p == 1) return fold(x, n, [=](double t) { return size(t / scale); }, add);
  if (p == std::numeric_limits<double>::infinity())
    return fold(
        x, n, [=](double t) { return size(t / scale); }, [](double a, double b) { return a > b || a != a ? a : b; });
  return fold(x, n, [=](double t) { return std::pow(size(t / scale), p); }, add);
}

}  // namespace

template <class Arch>
const OptimizerLoops* optimizer_loops() {
  using F = Lanes<float>;
  using D = Lanes<double>;
  static constexpr OptimizerLoops loops = {
      {sgd_loop<F>, sgd_loop<D>}, {adam_loop<F>, adam_loop<D>}, {sum_of_powers_loop<F>, sum_of_powers_loop<D>}};
  return &loops;
}
template const OptimizerLoops* optimizer_loops<Current>();

}  // namespace wengert::kernels
