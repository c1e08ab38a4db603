#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }
// `dim` is a list, or null for all axes.
#define AXES(name) ROW(name, name(a.input(), {.axes = a.axes(), .keep_dims = a.flag("keepdim")}))

namespace {

Results both(const Indexed& y, const Tensor& x) { return {lowered(y.values, x), lowered(y.indices, x)}; }

Tensor along_or_flat(Tensor (*f)(Operand, const ReduceAxis&), const Args& a) {
  if (a.given("dim")) return f(a.input(), {.axis = a.integer("dim"), .keep_dims = a.flag("keepdim")});
  const Tensor y = f(reshape(a.input(), {-1}), {});
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
  ROW(var, var(a.input(), {.axes = a.axes(), .correction = a.number("correction"), .keep_dims = a.flag("keepdim")}));
  ROW(std, stddev(a.input(), {.axes = a.axes(), .correction = a.number("correction"), .keep_dims = a.flag("keepdim")}));
  ROW(prod, prod(a.input(), {.axes = a.axes(), .keep_dims = a.flag("keepdim")}));
  ROW(norm, norm(a.input(), {.axes = a.axes(), .p = a.number("p"), .keep_dims = a.flag("keepdim")}));
  ROW(argmax, along_or_flat(argmax, a));
  ROW(argmin, along_or_flat(argmin, a));
  ALONG(max_dim, both(max_with_index(x, {.axis = dim, .keep_dims = a.flag("keepdim") && a.input().rank()}), a.input()));
  ALONG(min_dim, both(min_with_index(x, {.axis = dim, .keep_dims = a.flag("keepdim") && a.input().rank()}), a.input()));
  ALONG(cumsum, lowered(cumsum(x, dim), a.input()));
  ALONG(cumprod, lowered(cumprod(x, dim), a.input()));
  ALONG(logcumsumexp, lowered(logcumsumexp(x, dim), a.input()));
  ALONG(cummax, both(cummax(x, dim), a.input()));
  ALONG(cummin, both(cummin(x, dim), a.input()));
  ROW(diff, diff(a.input(), a.integer("dim"), a.integer("n")));
}

}  // namespace golden
