// The composite functions of autograd.json, as their formulas say.

#include "golden.h"
#include "wengert/nn/nn.h"

#include <cmath>

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

Tensor rosenbrock(const Tensor& x) {
  const std::int64_t n = x.size(0);
  const Tensor here = narrow(x, 0, 0, n - 1), next = narrow(x, 0, 1, n - 1);
  return sum(100 * square(next - square(here)) + square(1 - here));
}

Tensor diamond(const Tensor& x) {
  const Tensor y = x * x, z = y + x;
  return sum(z * y) + sum(y) * sum(x);
}

Tensor deep_chain(const Tensor& x) {
  Tensor z = x;
  for (int i = 0; i < 60; ++i) z = sin(z) + 0.1 * x;
  return sum(z);
}

Tensor logistic_map(const Tensor& x) {
  Tensor z = sigmoid(x);
  for (int i = 0; i < 8; ++i) z = 3.2 * z * (1 - z);
  return sum(z);
}

Tensor logistic_regression(const Args& a) {
  return mean(softplus(-a["s"] * (matmul(a["X"], a["w"]) + a["b"]))) + 0.05 * sum(square(a["w"]));
}

Tensor mlp_scalar(const Args& a) {
  return sum(square(tanh(linear(tanh(linear(a["X"], a["W1"], a["b1"])), a["W2"], Tensor()))));
}

Tensor logdet_spd(const Tensor& b) { return logdet(matmul(b, transpose(b)) + eye(b.size(0), float64)); }

Tensor gp_likelihood(const Args& a) {
  const Tensor t = a["t"], y = reshape(a["y"], {-1, 1}), apart = square(unsqueeze(t, 1) - t);
  const Tensor k = exp(2 * a["a"] - 0.5 * apart * exp(-2 * a["l"])) + exp(2 * a["s"]) * eye(t.size(0), float64);
  const Tensor l = cholesky(k);
  return 0.5 * sum(square(solve_triangular(l, y))) + sum(log(diagonal(l)));
}

Tensor attention_scalar(const Args& a) { return sum(attention(a["Q"], a["K"], a["V"]).output * a["M"]); }

Tensor gather_reuse(const Args& a) {
  const Tensor e = take(a["W"], 0, a["ix"]);
  const std::int64_t n = e.size(0);
  return sum(exp(0.3 * narrow(e, 0, 1, n - 1) * narrow(e, 0, 0, n - 1)));
}

Tensor views(const Tensor& x) {
  const Tensor y = transpose(x), z = slice(slice(y, 0, 1, y.size(0)), 1, 0, y.size(1), 2);
  return sum(z * flip(z, {0})) + prod(select(x, 0, 0)) + sum(pow(slice(reshape(x, {-1}), 0, 1, 4), 3));
}

Tensor normalised(const Args& a) { return sum(pow(abs(layer_norm(matmul(a["X"], a["W"]), Tensor(), Tensor())), 3)); }

Tensor polar(const Args& a) {
  const Tensor r = a["r"], t = a["t"];
  return reshape(stack({r * cos(t), r * sin(t), atan2(r, t)}), {-1});
}

Tensor rnn(const Args& a) {
  const Tensor w = a["W"], x = a["x"];
  Tensor h = zeros({w.size(0)}, float64);
  for (std::int64_t t = 0; t < x.size(0); ++t) h = tanh(matmul(w, h) + select(x, 0, t));
  return h;
}

}  // namespace

void add_functions(Table& t) {
  ROW(rosenbrock, rosenbrock(a["x"]));
  ROW(diamond, diamond(a["x"]));
  ROW(deep_chain, deep_chain(a["x"]));
  ROW(logistic_map, logistic_map(a["x"]));
  ROW(scalar_third, sum(tanh(a["x"]) * exp(-square(a["x"]))));
  ROW(logistic_regression, logistic_regression(a));
  ROW(softmax_regression, nn::cross_entropy(matmul(a["X"], a["W"]) + a["b"], a["y"]));
  ROW(mlp_scalar, mlp_scalar(a));
  ROW(logdet_spd, logdet_spd(a["B"]));
  ROW(gp_likelihood, gp_likelihood(a));
  ROW(attention_scalar, attention_scalar(a));
  ROW(gather_reuse, gather_reuse(a));
  ROW(views, views(a["x"]));
  ROW(normalised, normalised(a));
  ROW(conv_scalar, sum(square(tanh(conv(a["x"], a["w"], a["b"], {.padding = {1}})))));
  ROW(vec_softmax, softmax(matmul(a["W"], a["x"])));
  ROW(vec_polar, polar(a));
  ROW(vec_solve, solve(a["A"], a["b"]));
  ROW(vec_cumulative, cumsum(a["x"], 0) * cumprod(1 + 0.1 * a["x"], 0) + flip(a["x"]));
  ROW(vec_rnn, rnn(a));
}

}  // namespace golden
