#include "wengert/autodiff/base/pattern.h"

#include "wengert/autodiff/base/fail.h"

#include <fmt/ranges.h>

namespace wengert::detail {

bool fits(std::string_view path, std::string_view pattern) {
  if (const auto bar = pattern.find('|'); bar != pattern.npos)
    return fits(path, pattern.substr(0, bar)) || fits(path, pattern.substr(bar + 1));
  // Where to go on after the last *, should the rest not fit.
  std::size_t i = 0, k = 0, star = pattern.npos, from = 0;
  while (i < path.size()) {
    if (k < pattern.size() && pattern[k] == '*') star = k++, from = i;
    else if (k < pattern.size() && (pattern[k] == '?' || pattern[k] == path[i])) ++i, ++k;
    else if (star != pattern.npos) k = star + 1, i = ++from;
    else return false;
  }
  while (k < pattern.size() && pattern[k] == '*') ++k;
  return k == pattern.size();
}

void none_fits(std::string_view who, std::string_view pattern, const std::vector<std::string>& paths, Where where) {
  fail<ValueError>(where, "{}: no parameter fits '{}'; there are {}", who, pattern, fmt::join(paths, ", "));
}

}  // namespace wengert::detail
