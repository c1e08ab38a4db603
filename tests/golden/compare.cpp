#include "golden.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace golden {
namespace {

std::vector<double> numbers(const Tensor& t) { return to(t.detach(), float64).to_vector<double>(); }

}  // namespace

std::string difference(const Tensor& got, const Tensor& want, const Rule& rule) {
  if (!(got.shape() == want.shape()))
    return fmt::format("shape {}, wanted {}", to_string(got.shape()), to_string(want.shape()));
  const std::vector<double> g = numbers(got), w = numbers(want);
  double largest = 1e-3;
  for (double x : w)
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  std::size_t wrong = 0, worst = 0;
  double worst_excess = -1;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (std::isnan(w[i]) ? std::isnan(g[i]) || (rule.zero_for_nan && g[i] == 0) : g[i] == w[i]) continue;
    const double allowed = rule.relative ? rule.rtol * std::abs(w[i]) + 1e-290 : rule.rtol * (std::abs(w[i]) + largest);
    const bool finite = std::isfinite(w[i]) && std::isfinite(g[i]);
    if (finite && std::abs(g[i] - w[i]) <= allowed) continue;
    ++wrong;
    const double excess = finite ? std::abs(g[i] - w[i]) / allowed : HUGE_VAL;
    if (excess > worst_excess) worst_excess = excess, worst = i;
  }
  if (!wrong) return {};
  return fmt::format("{} of {} differ; worst at {}: {:.17g}, wanted {:.17g} ({:.3g} times the tolerance)", wrong,
                     w.size(), worst, g[worst], w[worst], worst_excess);
}

const Tensor& find(const Data& data, const Json& name) { return data.at(name.get<std::string>()); }

namespace {

// Where the reference is less exact than its own tolerance. PyTorch's trigamma ends its series too early (found with 50
// digits), and its second derivative of binary_cross_entropy adds 1e-12 to (p (1 - p))^2; where p is 0 or 1 its vjp
// divides by the float32 number 1e-12f.
double reference_error(const Json& one, const std::string& what) {
  const std::string op = one.value("op", "");
  if (op == "digamma" || op == "lgamma") return 3e-9;
  const bool kink = one.contains("tags") && std::ranges::count(one["tags"], "kink");
  if (op == "binary_cross_entropy" && (kink || what.starts_with("g2"))) return 1e-7;
  return 0;
}

// logsumexp of nothing but -inf: the weights of the entries are 0 / 0, which we call 0 (docs/numerics.md, "Kinks").
bool zero_at_kinks(const Json& one) { return one.value("op", "") == "logsumexp"; }

// Keeps the sentences about what differed.
class Report {
 public:
  explicit Report(const Json& one) : one_(one), rule_{one.at("rtol").get<double>(), false, false} {
    if (!one.contains("tags")) return;
    for (const std::string tag : one["tags"]) {
      rule_.relative |= tag == "relative";
      rule_.zero_for_nan |= tag == "kink" && zero_at_kinks(one);
    }
  }
  void compare(const std::string& what, const Tensor& got, const Tensor& want) {
    const double rtol = std::max(rule_.rtol, reference_error(one_, what));
    const std::string wrong = difference(got, want, {rtol, rule_.relative, rule_.zero_for_nan});
    if (!wrong.empty()) say(what + ": " + wrong);
  }
  /// Runs a part of the case; what it throws is a sentence, too.
  template <class F>
  void attempt(const std::string& what, F&& f) {
    try {
      f();
    } catch (const Unsupported&) {
      throw;
    } catch (const std::exception& e) {
      std::string text = e.what();
      std::replace(text.begin(), text.end(), '\n', ' ');
      say(what + ": throws: " + text);
    }
  }
  void say(std::string sentence) { sentences_.push_back(std::move(sentence)); }
  std::vector<std::string> take() { return std::move(sentences_); }

 private:
  const Json& one_;
  Rule rule_;
  std::vector<std::string> sentences_;
};

Tensor inner(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  Tensor total;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor s = sum(a[i] * b[i]);
    total = total.defined() ? total + s : s;
  }
  return total;
}

constexpr BackwardOptions keep{.create_graph = false, .keep_graph = true},
    record{.create_graph = true, .keep_graph = true};

// A case with its tensors at hand, and the comparisons of every mode.
struct Case {
  Report report;
  const Json& one;
  const Data& data;
  std::vector<Tensor> x, y, u, v;    // differentiable operands and results, tangents, cotangents
  std::vector<const Json*> in, out;  // their entries
  bool symmetric = false, tangents = true;

  // The results of one mode against the tensors named `key` in the entries.
  void compare(const std::string& what, const char* key, const std::vector<const Json*>& entries,
               const std::vector<Tensor>& got) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!entries[i]->contains(key)) continue;
      Tensor g = got[i], w = find(data, (*entries[i])[key]);
      if (symmetric && &entries == &in && g.rank() >= 2) g = 0.5 * (g + transpose(g)), w = 0.5 * (w + transpose(w));
      report.compare(
          fmt::format("{} {}", what,
                      entries[i]->contains("arg") ? (*entries[i])["arg"].get<std::string>() : std::to_string(i)),
          g, w);
    }
  }
  bool has(const char* key, const std::vector<const Json*>& entries) const {
    return std::any_of(entries.begin(), entries.end(), [key](const Json* e) { return e->contains(key); });
  }
};

// Second order three ways: reverse over reverse, forward over reverse, reverse over forward.
void check_second_order(Case& c, const std::vector<Tensor>& x_bar, const std::vector<Tensor>& y_dot) {
  c.report.attempt("g2 (reverse over reverse)", [&] {
    const Tensor s = inner(x_bar, c.u);
    c.compare("g2 (reverse over reverse)", "g2", c.in, grad(std::span(&s, 1), c.x, {}, keep));
  });
  if (!c.symmetric)
    c.report.attempt("g2 (forward over reverse)",
                     [&] { c.compare("g2 (forward over reverse)", "g2", c.in, push_forward(x_bar, c.x, c.u)); });
  c.report.attempt("g2 (reverse over forward)", [&] {
    const Tensor s = inner(y_dot, c.v);
    c.compare("g2 (reverse over forward)", "g2", c.in, grad(std::span(&s, 1), c.x, {}, keep));
  });
}

void check_derivatives(Case& c) {
  std::vector<Tensor> x_bar(c.x), y_dot;
  c.report.attempt("vjp", [&] { c.compare("vjp", "vjp", c.in, grad(c.y, c.x, c.v, keep)); });
  c.report.attempt("vjp (recorded)",
                   [&] { c.compare("vjp (recorded)", "vjp", c.in, x_bar = grad(c.y, c.x, c.v, record)); });
  if (!c.tangents) return;
  if (c.has("jvp", c.out)) {
    c.report.attempt("jvp", [&] { c.compare("jvp", "jvp", c.out, push_forward(c.y, c.x, c.u)); });
    c.report.attempt("jvp (recorded)",
                     [&] { c.compare("jvp (recorded)", "jvp", c.out, y_dot = push_forward(c.y, c.x, c.u, true)); });
  }
  if (c.has("g2", c.in)) {
    if (y_dot.empty()) c.report.attempt("jvp (recorded)", [&] { y_dot = push_forward(c.y, c.x, c.u, true); });
    if (!y_dot.empty()) check_second_order(c, x_bar, y_dot);
  }
}

}  // namespace

std::vector<std::string> run_operator(const Json& one, const Data& data, Call call) {
  Case c{Report(one), one, data, {}, {}, {}, {}, {}, {}};
  for (const std::string tag : one.at("tags")) c.symmetric |= tag == "symmetric_input";
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Json& entry : one.at("inputs")) {
    Tensor t = find(data, entry.at("tensor"));
    if (entry.value("bool", false)) t = to(t, boolean);
    if (entry.value("diff", false)) {
      t = t.track();
      c.x.push_back(t), c.in.push_back(&entry);
      c.tangents = c.tangents && entry.contains("u");
      if (entry.contains("u")) c.u.push_back(find(data, entry["u"]));
    }
    tensors.emplace_back(entry.at("arg").get<std::string>(), t);
  }
  const Args args(one.at("attrs"), std::move(tensors));
  c.report.attempt("value", [&] {
    const Results y = call(args);
    const Json& outputs = one.at("outputs");
    if (y.size() != outputs.size())
      return c.report.say(fmt::format("value: {} results, wanted {}", y.size(), outputs.size()));
    for (std::size_t k = 0; k < y.size(); ++k) {
      c.report.compare(fmt::format("value {}", k), y[k], find(data, outputs[k].at("tensor")));
      if (!outputs[k].value("diff", false)) continue;
      // A result that depends on no operand, as the norm of order 0, has derivatives as well: they are zero.
      c.y.push_back(y[k].tracked() ? y[k] : y[k].track()), c.v.push_back(find(data, outputs[k].at("v"))),
          c.out.push_back(&outputs[k]);
    }
    if (!c.x.empty() && !c.y.empty()) check_derivatives(c);
  });
  auto wrong = c.report.take();
  if (!wrong.empty() && !args.unread().empty())
    wrong.push_back(fmt::format("(nothing was done with: {})", fmt::join(args.unread(), ", ")));
  return wrong;
}

namespace {

Tensor flat(const std::vector<Tensor>& parts) {
  std::vector<Tensor> rows;
  for (const Tensor& p : parts) rows.push_back(reshape(p, {-1}));
  return cat(rows);
}

// Rows of the derivative of a vector y by all of x.
Tensor jacobian_by_rows(const Tensor& y, const std::vector<Tensor>& x) {
  const Tensor units = eye(y.numel(), float64);
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    const Tensor y_bar = reshape(select(units, 0, i), y.shape());
    rows.push_back(flat(grad(std::span(&y, 1), x, std::span(&y_bar, 1), keep)));
  }
  return stack(rows);
}

// The parts of a vector, in the shapes of x.
std::vector<Tensor> unflat(const Tensor& all, const std::vector<Tensor>& x) {
  std::vector<Tensor> parts;
  std::int64_t at = 0;
  for (const Tensor& t : x) {
    parts.push_back(reshape(narrow(all, 0, at, t.numel()), t.shape()));
    at += t.numel();
  }
  return parts;
}

Tensor jacobian_by_columns(const Tensor& y, const std::vector<Tensor>& x) {
  const std::int64_t n = flat(x).numel();
  const Tensor units = eye(n, float64);
  std::vector<Tensor> columns;
  for (std::int64_t j = 0; j < n; ++j)
    columns.push_back(reshape(push_forward(std::span(&y, 1), x, unflat(select(units, 0, j), x))[0], {-1}));
  return stack(columns, 1);
}

}  // namespace

std::vector<std::string> run_function(const Json& one, const Data& data, Call call) {
  Report report(one);
  std::vector<Tensor> x;
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Json& entry : one.at("inputs")) {
    x.push_back(find(data, entry.at("tensor")).track());
    tensors.emplace_back(entry.at("arg").get<std::string>(), x.back());
  }
  for (const Json& entry : one.at("const"))
    tensors.emplace_back(entry.at("arg").get<std::string>(), find(data, entry.at("tensor")));
  const Json none = Json::object();
  const Args args(none, std::move(tensors));
  auto want = [&](const char* key) { return find(data, one.at(key)); };
  report.attempt("value", [&] {
    const Tensor y = call(args).at(0);
    report.compare("value", y, want("value"));
    if (one.contains("jacobian")) {
      report.attempt("jacobian by vjp",
                     [&] { report.compare("jacobian by vjp", jacobian_by_rows(y, x), want("jacobian")); });
      report.attempt("jacobian by jvp",
                     [&] { report.compare("jacobian by jvp", jacobian_by_columns(y, x), want("jacobian")); });
      return;
    }
    const Tensor gradient = flat(grad(std::span(&y, 1), x, {}, record)), u = reshape(want("u"), {-1});
    report.compare("grad", gradient, reshape(want("grad"), {-1}));
    report.attempt("hessian by vjp",
                   [&] { report.compare("hessian by vjp", jacobian_by_rows(gradient, x), want("hessian")); });
    report.attempt("hessian by jvp",
                   [&] { report.compare("hessian by jvp", jacobian_by_columns(gradient, x), want("hessian")); });
    report.attempt("third", [&] {
      const Tensor slope = sum(gradient * u);
      const Tensor curvature = sum(flat(grad(std::span(&slope, 1), x, {}, record)) * u);
      report.compare("third", flat(grad(std::span(&curvature, 1), x, {}, keep)), reshape(want("third"), {-1}));
    });
  });
  return report.take();
}

}  // namespace golden
