#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }
#define SAME(name) ROW(name, name(a.input(), a.other()))

void add_binary(Table& t) {
  ROW(add, a.number("alpha") == 1 ? a.input() + a.other() : a.input() + a.number("alpha") * a.other());
  ROW(sub, a.number("alpha") == 1 ? a.input() - a.other() : a.input() - a.number("alpha") * a.other());
  ROW(mul, a.input() * a.other());
  ROW(div, a.input() / a.other());
  SAME(pow);
  SAME(atan2);
  SAME(hypot);
  SAME(logaddexp);
  SAME(xlogy);
  SAME(fmod);
  SAME(remainder);
  ROW(clamp_tensor, clamp(a.input(), a.maybe("min"), a.maybe("max")));
  ROW(lerp, lerp(a.input(), a["end"], a["weight"]));
  SAME(maximum);
  SAME(minimum);
  ROW(eq, equal(a.input(), a.other()));
  ROW(ne, not_equal(a.input(), a.other()));
  ROW(lt, a.input() < a.other());
  ROW(le, a.input() <= a.other());
  ROW(gt, a.input() > a.other());
  ROW(ge, a.input() >= a.other());
  ROW(where, where(a["condition"], a.input(), a.other()));
  ROW(addcmul, a.input() + a.number("value") * (a["tensor1"] * a["tensor2"]));
  ROW(addcdiv, a.input() + a.number("value") * (a["tensor1"] / a["tensor2"]));
}

}  // namespace golden
