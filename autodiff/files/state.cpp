#include "wengert/autodiff/files/state.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/files/npy.h"
#include "wengert/autodiff/ops.h"

#include <algorithm>
#include <optional>

namespace wengert {

using detail::in_quotes;

namespace {

void check_patterns(const StateOptions& options, Where where) {
  for (auto& [from, to] : options.rename) {
    const auto stars = std::count(from.begin(), from.end(), '*'), more = std::count(to.begin(), to.end(), '*');
    if (stars > 1 || more > stars)
      fail<ValueError>(where,
                       "load_state: rename {{{}, {}}}: a pattern has at most one *, and its new name none without it",
                       in_quotes(from), in_quotes(to));
  }
}

// What the pattern makes of the name, if it fits.
std::optional<std::string> renamed(std::string_view name, const std::pair<std::string, std::string>& pattern) {
  const std::string_view from = pattern.first;
  const auto star = from.find('*');
  if (star == from.npos) return name == from ? std::optional(pattern.second) : std::nullopt;
  const auto before = from.substr(0, star), after = from.substr(star + 1);
  if (name.size() < before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return {};
  std::string to = pattern.second;
  if (const auto at = to.find('*'); at != to.npos)
    to.replace(at, 1, name.substr(before.size(), name.size() - before.size() - after.size()));
  return to;
}

std::string renamed(const std::string& name, const StateOptions& options) {
  for (auto& pattern : options.rename)
    if (auto to = renamed(name, pattern)) return *to;
  return name;
}

struct Found {
  const NamedTensor* tensor;
  bool used = false;
};
using ByName = std::map<std::string, Found, std::less<>>;

ByName by_new_name(const TensorFile& file, const StateOptions& options, Where where) {
  ByName found;
  for (auto& t : file.tensors) {
    const std::string name = renamed(t.name, options);
    if (name.empty()) continue;
    if (const auto [at, is_new] = found.emplace(name, Found{&t}); !is_new)
      fail<ValueError>(where, "load_state: {} and {} of the file are both given the name {}; make the pattern narrower",
                       in_quotes(at->second.tensor->name), in_quotes(t.name), in_quotes(name));
  }
  return found;
}

// "as in the file", or with the name it has there.
std::string shown(const std::string& name, const NamedTensor& t) {
  return name == t.name ? in_quotes(name) : fmt::format("{} ({} in the file)", in_quotes(name), in_quotes(t.name));
}

std::string misfit(const std::string& name, const Tensor& t, const NamedTensor& found) {
  const Tensor& v = found.tensor;
  const bool convertible = t.shape() == v.shape() && is_float(t.dtype()) && is_float(v.dtype());
  return fmt::format("{}: the model has {} {}, the file {} {}{}", shown(name, found), t.dtype(), t.shape(), v.dtype(),
                     v.shape(), convertible ? "; {.convert = true} converts" : "");
}

}  // namespace

std::string LoadReport::text() const {
  std::string text = fmt::format("{} loaded, {} missing, {} unexpected, {} of another shape or dtype", loaded.size(),
                                 missing.size(), unexpected.size(), misfits.size());
  for (auto& name : missing) text += fmt::format("\n  missing     {}", name);
  for (auto& name : unexpected) text += fmt::format("\n  unexpected  {}", name);
  for (auto& line : misfits) text += fmt::format("\n  misfit      {}", line);
  return text;
}

namespace detail {

StateMatch match_state(const TensorFile& file, std::string path, const std::vector<NamedTensor>& model,
                       const StateOptions& options, Where where) {
  check_patterns(options, where);
  ByName found = by_new_name(file, options, where);
  StateMatch match;
  for (auto& [name, t] : model) {
    Tensor& value = match.values.emplace_back();
    const auto at = found.find(name);
    if (at == found.end()) {
      match.report.missing.push_back(in_quotes(name));
      continue;
    }
    at->second.used = true;
    const NamedTensor& v = *at->second.tensor;
    const bool dtype_fits =
        t.dtype() == v.tensor.dtype() || (options.convert && is_float(t.dtype()) && is_float(v.tensor.dtype()));
    if (!dtype_fits || !(t.shape() == v.tensor.shape())) {
      match.report.misfits.push_back(misfit(name, t, v));
      continue;
    }
    value = to(v.tensor, t.dtype());
    match.report.loaded.push_back(name);
  }
  for (auto& t : file.tensors)
    if (const auto at = found.find(renamed(t.name, options)); at != found.end() && !at->second.used)
      match.report.unexpected.push_back(shown(at->first, t));

  if (options.strict && !match.report.complete()) {
    if (path.empty()) path = "the given tensors";
    FileTask{"load_state", path, where}.fail(
        "{}\nthe model is as it was; .rename maps names, and {{.strict = false}} "
        "loads what fits",
        match.report.text());
  }
  return match;
}

TensorFile read_state(const std::string& path, Where where) {
  char start[2] = {0, 0};
  {
    const FileTask task{"load_state", path, where};
    File(task).read_some(0, start, sizeof start);
  }
  return start[0] == 'P' && start[1] == 'K' ? load_npz(path, where) : load_tensors(path, where);
}

}  // namespace detail
}  // namespace wengert
