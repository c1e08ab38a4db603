#include "golden.h"

#include <cmath>

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }
#define SAME(name) ROW(name, name(a.input()))

void add_unary(Table& t) {
  SAME(abs);
  SAME(sign);
  SAME(neg);
  SAME(square);
  SAME(reciprocal);
  SAME(exp);
  SAME(exp2);
  SAME(expm1);
  SAME(log);
  SAME(log1p);
  SAME(log2);
  SAME(log10);
  SAME(sqrt);
  SAME(rsqrt);
  SAME(sin);
  SAME(cos);
  SAME(tan);
  SAME(asin);
  SAME(acos);
  SAME(atan);
  SAME(sinh);
  SAME(cosh);
  SAME(tanh);
  SAME(asinh);
  SAME(acosh);
  SAME(atanh);
  SAME(sigmoid);
  SAME(erf);
  SAME(erfc);
  SAME(lgamma);
  SAME(digamma);
  SAME(floor);
  SAME(ceil);
  SAME(round);
  SAME(trunc);
  SAME(relu);
  SAME(relu6);
  SAME(selu);
  SAME(silu);
  SAME(mish);
  SAME(softsign);
  SAME(hardsigmoid);
  SAME(hardswish);
  SAME(tanhshrink);
  ROW(leaky_relu, leaky_relu(a.input(), a.number("negative_slope")));
  ROW(elu, elu(a.input(), a.number("alpha")));
  ROW(logsigmoid, log_sigmoid(a.input()));
  ROW(gelu, a.text("approximate") == "tanh" ? gelu_tanh(a.input()) : gelu(a.input()));
  ROW(celu, celu(a.input(), a.number("alpha")));
  ROW(softplus, softplus(a.input(), a.number("beta"), a.number("threshold")));
  ROW(hardtanh, hardtanh(a.input(), a.number("min_val"), a.number("max_val")));
  ROW(softshrink, softshrink(a.input(), a.number("lambd")));
  ROW(hardshrink, hardshrink(a.input(), a.number("lambd")));
  ROW(clamp, clamp(a.input(), a.number("min", -HUGE_VAL), a.number("max", HUGE_VAL)));
  ROW(rpow_scalar, pow(a.number("scalar"), a.input()));
  ROW(pow_scalar, pow(a.input(), a.number("exponent")));
  ROW(add_scalar, a.input() + a.number("scalar"));
  ROW(sub_scalar, a.input() - a.number("scalar"));
  ROW(rsub_scalar, a.number("scalar") - a.input());
  ROW(mul_scalar, a.input() * a.number("scalar"));
  ROW(div_scalar, a.input() / a.number("scalar"));
  ROW(rdiv_scalar, a.number("scalar") / a.input());
}

}  // namespace golden
