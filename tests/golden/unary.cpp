#include "golden.h"

namespace golden {

#define ROW(name, call) \
  t[#name] = [](const Args& a) -> Results { return call; }
#define SAME(name) ROW(name, name(a.input()))

void add_unary(Table& t) {
  SAME(abs);
  SAME(neg);
  SAME(square);
  SAME(reciprocal);
  SAME(exp);
  SAME(expm1);
  SAME(log);
  SAME(log1p);
  SAME(sqrt);
  SAME(sin);
  SAME(cos);
  SAME(tanh);
  SAME(sigmoid);
  SAME(erf);
  SAME(relu);
  SAME(silu);
  ROW(leaky_relu, leaky_relu(a.input(), a.number("negative_slope")));
  ROW(elu, elu(a.input(), a.number("alpha")));
  ROW(pow_scalar, pow(a.input(), a.number("exponent")));
  ROW(add_scalar, a.input() + a.number("scalar"));
  ROW(sub_scalar, a.input() - a.number("scalar"));
  ROW(rsub_scalar, a.number("scalar") - a.input());
  ROW(mul_scalar, a.input() * a.number("scalar"));
  ROW(div_scalar, a.input() / a.number("scalar"));
  ROW(rdiv_scalar, a.number("scalar") / a.input());
}

}  // namespace golden
