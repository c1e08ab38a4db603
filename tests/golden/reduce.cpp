#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }
// `dim` is a list, or null for all axes.
#define AXES(name) ROW(name, name(a.input(), a.axes(), a.flag("keepdim")))

namespace {

Results both(const Indexed& y, const Tensor& x) { return {lowered(y.values, x), lowered(y.indices, x)}; }

Tensor along_or_flat(Tensor (*f)(Operand, int, bool), const Args& a) {
  if (a.given("dim")) return f(a.input(), a.integer("dim"), a.flag("keepdim"));
  const Tensor y = f(reshape(a.input(), {-1}), 0, false);
  Shape ones;
  for (int i = 0; a.flag("keepdim") && i < a.input().rank(); ++i) ones.push_back(1);
  return reshape(y, ones);
}

}  // namespace

// A running function of the lines along `dim`.
#define ALONG(name, call)                   \
  t[#name] = [](const Args& a) -> Results { \
    const Tensor x = lifted(a.input());     \
    const int dim = a.integer("dim");       \
    return call;                            \
  }

void add_reduce(Table& t) {
  AXES(sum);
  AXES(mean);
  AXES(amax);
  AXES(amin);
  ROW(max_all, amax(a.input()));
  ROW(min_all, amin(a.input()));
  AXES(logsumexp);
  ROW(var, var(a.input(), a.axes(), a.number("correction"), a.flag("keepdim")));
  ROW(std, stddev(a.input(), a.axes(), a.number("correction"), a.flag("keepdim")));
  ROW(prod, prod(a.input(), a.axes(), a.flag("keepdim")));
  ROW(norm, norm(a.input(), a.number("p"), a.axes(), a.flag("keepdim")));
  ROW(argmax, along_or_flat(argmax, a));
  ROW(argmin, along_or_flat(argmin, a));
  ALONG(max_dim, both(max_along(x, dim, a.flag("keepdim") && a.input().rank()), a.input()));
  ALONG(min_dim, both(min_along(x, dim, a.flag("keepdim") && a.input().rank()), a.input()));
  ALONG(cumsum, lowered(cumsum(x, dim), a.input()));
  ALONG(cumprod, lowered(cumprod(x, dim), a.input()));
  ALONG(logcumsumexp, lowered(logcumsumexp(x, dim), a.input()));
  ALONG(cummax, both(cummax(x, dim), a.input()));
  ALONG(cummin, both(cummin(x, dim), a.input()));
  ROW(diff, diff(a.input(), a.integer("n"), a.integer("dim")));
}

}  // namespace golden
