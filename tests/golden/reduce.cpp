#include "golden.h"

namespace golden {

#define ROW(name, call) \
  t[#name] = [](const Args& a) -> Results { return call; }
// `dim` is a list, or null for all axes.
#define AXES(name) ROW(name, name(a.input(), a.axes(), a.flag("keepdim")))

void add_reduce(Table& t) {
  AXES(sum);
  AXES(mean);
  AXES(amax);
  AXES(amin);
  ROW(max_all, amax(a.input()));
  ROW(min_all, amin(a.input()));
}

}  // namespace golden
