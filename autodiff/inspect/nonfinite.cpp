#include "wengert/autodiff/inspect/nonfinite.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/inspect/frames.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace wengert {

using detail::Access;
using detail::Act;
using detail::Frame;

namespace {

template <class T>
bool all_finite(const T* x, std::int64_t n, bool infinities) {
  bool good = true;  // without a way out of the loop, so that it runs on vectors
  if (infinities)
    for (std::int64_t i = 0; i < n; ++i) good &= std::abs(x[i]) <= std::numeric_limits<T>::max();
  else
    for (std::int64_t i = 0; i < n; ++i) good &= x[i] == x[i];
  return good;
}

bool good(const Tensor& t, bool infinities) {
  if (!t.defined() || !is_float(t.dtype())) return true;
  const Tensor x = contiguous(t.detach());
  return x.dtype() == float32 ? all_finite(detail::data<float>(x), x.numel(), infinities)
                              : all_finite(detail::data<double>(x), x.numel(), infinities);
}

std::vector<std::int64_t> indices(std::int64_t at, const Shape& shape) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(shape.rank()));
  for (int i = shape.rank() - 1; i >= 0; --i) all[static_cast<std::size_t>(i)] = at % shape[i], at /= shape[i];
  return all;
}

}  // namespace

Statistics statistics(const Tensor& t) {
  Statistics s{t.shape(), t.dtype()};
  const Tensor x = to(contiguous(t.detach()), float64);
  const double* v = detail::data<double>(x);
  double sum = 0, lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
  std::int64_t finite = 0, first = -1;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (std::isfinite(v[i])) {
      lowest = std::min(lowest, v[i]), highest = std::max(highest, v[i]);
      sum += v[i], ++finite;
      continue;
    }
    ++(std::isnan(v[i]) ? s.nans : s.infinities);
    if (first < 0) first = i;
  }
  if (finite) s.min = lowest, s.max = highest, s.mean = sum / static_cast<double>(finite);
  if (first >= 0) s.first = indices(first, x.shape());
  return s;
}

std::string to_string(const Statistics& s) {
  std::string text = fmt::format("{} {}", s.dtype, s.shape);
  if (const auto n = s.shape.numel(); n == 1 && s.finite()) text += fmt::format(", {:.6g}", s.mean);
  else if (n > s.nans + s.infinities) text += fmt::format(", {:.6g} to {:.6g}, mean {:.6g}", s.min, s.max, s.mean);
  if (s.nans) text += fmt::format(", {} NaN", s.nans);
  if (s.infinities) text += fmt::format(", {} Inf", s.infinities);
  if (!s.finite() && s.shape.rank()) text += fmt::format(", the first at [{}]", fmt::join(s.first, ", "));
  return text;
}

namespace {

std::string description(const NonFiniteFinding& f) {
  const auto nans = f.made.statistics.nans, infinities = f.made.statistics.infinities;
  std::string text = fmt::format("{}: {} made ", f.name, name(f.pass));
  if (nans) text += fmt::format("{} NaN{}", nans, infinities ? " and " : "");
  if (infinities) text += fmt::format("{} Inf", infinities);
  text += f.operand >= 0 ? fmt::format(" in the cotangent of operand {}, from finite values", f.operand)
                         : std::string(" from finite values");
  for (const auto& g : f.given) text += fmt::format("\n  {}: {}", g.what, to_string(g.statistics));
  text += fmt::format("\n  {}: {}", f.made.what, to_string(f.made.statistics));
  if (!f.inside.empty()) text += "\n  inside it: " + f.inside;
  if (f.derivative.line()) text += "\n  differentiated at " + short_place(f.derivative);
  return text;
}

}  // namespace

std::string to_string(const NonFiniteFinding& f) {
  std::string text = description(f);
  if (f.where.line()) text += fmt::format("\n  at {}:{}", f.where.file_name(), f.where.line());
  return text;
}

NonFiniteError::NonFiniteError(NonFiniteFinding f) : Error(description(f), f.where), finding(std::move(f)) {}

struct NonFinite::Finder final : detail::Observer {
  struct Given {
    std::string what;
    Tensor value;
  };
  // What a rule that runs was given. The handles keep the values as they were.
  struct Values {
    std::vector<Given> given{};
    int operand = -1;  // whose cotangent is bad
    Tensor bad{};
    std::string inside{};
  };

  NonFiniteOptions options;
  std::optional<NonFiniteFinding> found;
  detail::FrameStack<Values> open;  // without the sweeps

  explicit Finder(NonFiniteOptions o) : Observer(Threads::mine), options(o) { begin(); }
  ~Finder() override { end(); }

  bool idle() const { return found && !options.throws; }
  bool good(const Tensor& t) const { return wengert::good(t, options.infinities); }

  void enter(const Frame& f) override {
    if (idle() || f.is_sweep()) return;
    Values& v = open.enter(f);
    for (std::size_t i = 0; i < f.x.size(); ++i)
      if (f.x[i]->defined()) v.given.push_back({what(f, i), f.x[i]->detach()});
  }

  static std::string what(const Frame& f, std::size_t i) {
    switch (f.act) {
      case Act::vjp: return f.x.size() == 1 ? "cotangent" : fmt::format("cotangent of result {}", i);
      case Act::jvp: return fmt::format("tangent of operand {}", i);
      case Act::accumulate: return i ? "addend" : "sum so far";
      default: return fmt::format("operand {}", i);
    }
  }

  void sent(const Frame& f, int operand, const Tensor& x_bar) override {
    Values* o = open.entry(f);
    if (o && !o->bad.defined() && !good(x_bar)) o->operand = operand, o->bad = x_bar.detach();
  }

  void read(const Frame& f, const Tensor& saved) override {
    Values* o = open.entry(f);
    if (!o) return;
    const void* identity = Access::body(saved);
    for (const Given& g : o->given)
      if (Access::body(g.value) == identity) return;
    o->given.push_back({role(*f.node, identity), saved.detach()});
  }

  static std::string role(detail::Node& n, const void* identity) {
    for (std::size_t i = 0; i < n.operands().size(); ++i)
      if (n.edges[i].value == identity) return fmt::format("operand {}", i);
    for (std::uint32_t k = 0; k < n.result_count; ++k)
      if (n.result(k).value == identity) return n.result_count == 1 ? "result" : fmt::format("result {}", k);
    return "saved value";
  }

  void abandon(const Frame& f) noexcept override { open.leave(f); }

  void leave(const Frame& f) override {
    auto closed = open.leave(f);
    if (!closed) return;
    Values& o = *closed;
    std::string made = f.act == Act::vjp ? fmt::format("cotangent of operand {}", o.operand) : "";
    for (std::size_t k = 0; k < f.y.size() && !o.bad.defined(); ++k)
      if (!good(f.y[k])) {
        o.bad = f.y[k].detach();
        made = f.act == Act::jvp ? "tangent" : f.act == Act::accumulate ? "sum" : "result";
        if (f.y.size() > 1) made += fmt::format(" {}", k);
      }
    if (!o.bad.defined() || !std::all_of(o.given.begin(), o.given.end(), [&](auto& g) { return good(g.value); }))
      return;
    // A sum is made while the vjp is open that sends to it, but is none of its doing.
    const bool own =
        open.empty() || (f.act == Act::accumulate && open.size() == 1 && open.begin()->frame->act == Act::vjp);
    if (own) return report(f, o, made);
    if (auto& outermost = open.begin()->entry; outermost.inside.empty()) outermost.inside = inner(f);
  }

  static std::string inner(const Frame& f) {
    std::string text(f.name);
    if (f.act == Act::vjp) text += ", backward";
    if (f.call.line()) text += fmt::format(" (at {})", short_place(f.call));
    return text;
  }

  void report(const Frame& f, const Values& o, const std::string& made) {
    NonFiniteFinding finding{std::string(f.name), f.pass(), f.where};
    if (finding.pass != Pass::forward) finding.derivative = sweep_of(f);
    finding.operand = o.operand;
    for (const Given& g : o.given) finding.given.push_back({g.what, statistics(g.value)});
    finding.made = {made, statistics(o.bad)};
    finding.inside = o.inside;
    if (!found) found = finding;
    if (options.throws) throw NonFiniteError(std::move(finding));
  }

  static Where sweep_of(const Frame& f) {
    const Frame* sweep = f.outer;
    while (sweep && !sweep->is_sweep()) sweep = sweep->outer;
    return sweep ? sweep->call : Where();
  }
};

NonFinite::NonFinite(NonFiniteOptions options) : finder_(new Finder(options)) {}
NonFinite::~NonFinite() = default;
const std::optional<NonFiniteFinding>& NonFinite::found() const { return finder_->found; }

}  // namespace wengert
