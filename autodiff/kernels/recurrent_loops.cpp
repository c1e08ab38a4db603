// Compiled once for each instruction set: nothing here may be shared by name with the objects of the others.

#include "wengert/autodiff/base/simd.h"
#include "wengert/autodiff/kernels/recurrent.h"

namespace wengert::kernels {

using detail::Lanes;
namespace {

// Whole registers, or the first numbers of one.
template <class L, class T = typename L::Scalar>
struct Whole {
  L load(const T* p) const { return L::load(p); }
  void store(T* p, L x) const { x.store(p); }
};
template <class L, class T = typename L::Scalar>
struct Some {
  std::int64_t n;
  L load(const T* p) const { return L::load_some(p, n); }
  void store(T* p, L x) const { x.store_some(p, n); }
};

template <class L, class F>
void each(std::int64_t n, F&& f) {
  std::int64_t j = 0;
  for (; j + L::width <= n; j += L::width) f(Whole<L>(), j);
  if (j < n) f(Some<L>{n - j}, j);
}

template <class L>
L sigmoid(L x) {  // as functions.h has it
  const L e = exp_below(-abs(x));
  return select(x >= L(0), L(1), e) / (L(1) + e);
}
template <class L>
L sigmoid_slope(L y) {
  return y * (L(1) - y);
}
template <class L>
L tanh_slope(L y) {
  return L(1) - y * y;
}

// h = tanh(W x + U h), or relu.
template <class L, bool bent, class T = typename L::Scalar>
void plain_forward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const L a = at.load(s.gates + j) + at.load(s.product + j);
    at.store(s.h + j, bent ? maximum(a, L(0)) : tanh(a));
  });
}
template <class L, bool bent, class T = typename L::Scalar>
void plain_backward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const L h = at.load(s.h + j), h_bar = at.load(s.h_bar + j) + at.load(s.y_bar + j);
    at.store(s.gates_bar + j, bent ? select(h > L(0), h_bar, L(0)) : h_bar * tanh_slope(h));
    at.store(s.h_bar + j, L(0));
  });
}

template <class L, class T = typename L::Scalar>
void lstm_forward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const auto sum = [&](int k) { return at.load(s.gates + k * n + j) + at.load(s.product + k * n + j); };
    const L i = sigmoid(sum(0)), f = sigmoid(sum(1)), g = tanh(sum(2)), o = sigmoid(sum(3));
    const L c = f * at.load(s.c_before + j) + i * g, bent = tanh(c);
    at.store(s.gates + j, i), at.store(s.gates + n + j, f);
    at.store(s.gates + 2 * n + j, g), at.store(s.gates + 3 * n + j, o);
    at.store(s.c + j, c), at.store(s.kept + j, bent), at.store(s.h + j, o * bent);
  });
}
template <class L, class T = typename L::Scalar>
void lstm_backward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const L i = at.load(s.gates + j), f = at.load(s.gates + n + j), g = at.load(s.gates + 2 * n + j),
            o = at.load(s.gates + 3 * n + j), bent = at.load(s.kept + j);
    const L h_bar = at.load(s.h_bar + j) + at.load(s.y_bar + j);
    const L c_bar = at.load(s.c_bar + j) + h_bar * o * tanh_slope(bent);
    at.store(s.gates_bar + j, c_bar * g * sigmoid_slope(i));
    at.store(s.gates_bar + n + j, c_bar * at.load(s.c_before + j) * sigmoid_slope(f));
    at.store(s.gates_bar + 2 * n + j, c_bar * i * tanh_slope(g));
    at.store(s.gates_bar + 3 * n + j, h_bar * bent * sigmoid_slope(o));
    at.store(s.c_bar + j, c_bar * f), at.store(s.h_bar + j, L(0));
  });
}

template <class L, class T = typename L::Scalar>
void gru_forward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const auto sum = [&](int k) { return at.load(s.gates + k * n + j) + at.load(s.product + k * n + j); };
    const L r = sigmoid(sum(0)), z = sigmoid(sum(1)), q = at.load(s.product + 2 * n + j);
    const L m = tanh(at.load(s.gates + 2 * n + j) + r * q);
    at.store(s.gates + j, r), at.store(s.gates + n + j, z), at.store(s.gates + 2 * n + j, m), at.store(s.kept + j, q);
    at.store(s.h + j, (L(1) - z) * m + z * at.load(s.h_before + j));
  });
}
template <class L, class T = typename L::Scalar>
void gru_backward(std::int64_t n, const RecurrentStep<T>& s) {
  each<L>(n, [&](auto at, std::int64_t j) {
    const L r = at.load(s.gates + j), z = at.load(s.gates + n + j), m = at.load(s.gates + 2 * n + j),
            q = at.load(s.kept + j);
    const L h_bar = at.load(s.h_bar + j) + at.load(s.y_bar + j);
    const L m_bar = h_bar * (L(1) - z) * tanh_slope(m), r_bar = m_bar * q * sigmoid_slope(r);
    const L z_bar = h_bar * (at.load(s.h_before + j) - m) * sigmoid_slope(z);
    at.store(s.gates_bar + j, r_bar), at.store(s.gates_bar + n + j, z_bar), at.store(s.gates_bar + 2 * n + j, m_bar);
    at.store(s.product_bar + j, r_bar), at.store(s.product_bar + n + j, z_bar);
    at.store(s.product_bar + 2 * n + j, m_bar * r);
    at.store(s.h_bar + j, h_bar * z);
  });
}

}  // namespace

template <class T, class Arch>
constinit const RecurrentLoops<T> RecurrentLoopsOf<T, Arch>::table = {
    {plain_forward<Lanes<T>, false>, plain_forward<Lanes<T>, true>, gru_forward<Lanes<T>>, lstm_forward<Lanes<T>>},
    {plain_backward<Lanes<T>, false>, plain_backward<Lanes<T>, true>, gru_backward<Lanes<T>>, lstm_backward<Lanes<T>>}};

template struct RecurrentLoopsOf<float, Current>;
template struct RecurrentLoopsOf<double, Current>;

}  // namespace wengert::kernels
