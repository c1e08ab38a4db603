#include "wengert/autodiff/inspect/check.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/sweep.h"

#include <cxxabi.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace wengert {

std::string CheckReport::text() const { return fmt::format("{}", fmt::join(problems, "\n")); }

namespace detail {
namespace {

using Tensors = std::vector<Tensor>;

// splitmix64 (Steele, Lea & Flood 2014): directions need no better.
struct Directions {
  std::uint64_t state;
  double next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9, z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
  }
  Tensor like(const Tensor& x) {
    Tensor d = empty(x.shape(), float64);
    for (std::int64_t i = 0; i < d.numel(); ++i) fresh<double>(d)[i] = next();
    return to(d, x.dtype());
  }
};

double dot(const Tensors& a, const Tensors& b) {
  double s = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const auto x = to(a[k].detach(), float64).to_vector<double>(), y = to(b[k].detach(), float64).to_vector<double>();
    for (std::size_t i = 0; i < x.size(); ++i) s += x[i] * y[i];
  }
  return s;
}
double size(const Tensors& a) { return std::sqrt(dot(a, a)); }

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = contiguous(a.detach()), y = contiguous(b.detach());
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         (!x.numel() || !std::memcmp(Access::body(x)->data(), Access::body(y)->data(),
                                     static_cast<std::size_t>(x.numel()) * size_of(x.dtype())));
}

// The same numbers with a stride of two along the last axis, and with the axes the other way round in memory.
Tensor strided(const Tensor& x) { return select(stack({x, x}, x.rank()), -1, 0); }
Tensor reversed(const Tensor& x) {
  Shape order;
  for (int i = x.rank(); i-- > 0;) order.push_back(i);
  return permute(clone(permute(x, order)), order);
}

class Checker {
 public:
  Checker(CheckFunction f, const Tensors& x, const CheckOptions& o, Where where)
      : f_(f), x_(x), o_(o), where_(where), random_{o.seed} {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i].dtype() == float64) variables_.push_back(i);
    if (variables_.empty())
      fail<TypeError>(where, "check: no operand is float64, so there is nothing to differentiate");
  }

  CheckReport run() {
    const Tensors y = f_(x_);
    for (const Tensor& t : y) y_bar_.push_back(is_float(t.dtype()) ? random_.like(t) : Tensor());
    for (std::size_t i : variables_) u_.push_back(random_.like(x_[i])), w_.push_back(random_.like(x_[i]));
    y0_ = y;
    first_order();
    if (o_.second_order) second_order();
    if (o_.second_order && o_.third_order) third_order();
    subsets();
    strides();
    determinism();
    if (o_.float32 > 0) single_precision();
    return std::move(report_);
  }

 private:
  template <class... A>
  void problem(fmt::format_string<A...> text, A&&... a) {
    report_.problems.push_back(fmt::format(text, std::forward<A>(a)...));
  }
  void compare(std::string_view what, double got, double want, double tolerance) {
    if (!(std::abs(got - want) <= tolerance))
      problem("{}: {:.12g}, expected {:.12g} within {:.2g}", what, got, want, tolerance);
  }

  // x with the variables (or some of them) on the tape; `leaves` receives them.
  Tensors tracked(const Tensors& x, Tensors& leaves, std::uint32_t which = ~0u) const {
    Tensors t = x;
    for (std::size_t k = 0; k < variables_.size(); ++k)
      if (which >> k & 1) leaves.push_back(t[variables_[k]] = t[variables_[k]].track());
    return t;
  }
  Tensors moved(double by, const Tensors& direction) const {
    Tensors t = x_;
    for (std::size_t k = 0; k < variables_.size(); ++k) t[variables_[k]] = add(t[variables_[k]], mul(direction[k], by));
    return t;
  }
  static Tensor mul(const Tensor& x, double by) { return affine(x, by, 0); }
  double step() const {
    double largest = 1;
    for (std::size_t i : variables_)
      for (double v : x_[i].to_vector<double>()) largest = std::max(largest, std::abs(v));
    return o_.step * largest;
  }
  // Only results on the tape have derivatives.
  Tensors float_results(const Tensors& y, Tensors& y_bar) const {
    Tensors r;
    for (std::size_t k = 0; k < y.size(); ++k)
      if (y_bar_[k].defined()) r.push_back(y[k]), y_bar.push_back(to(y_bar_[k], y[k].dtype()));
    return r;
  }
  Tensors vjp(const Tensors& x, std::uint32_t which = ~0u) const {
    Tensors leaves, y_bar;
    const Tensors y = float_results(f_(tracked(x, leaves, which)), y_bar);
    return grad(y, leaves, y_bar, {}, where_);
  }
  // Along the tangents of some variables; the others have none.
  Tensors jvp(const Tensors& x, const Tensors& u, std::uint32_t which = ~0u) const {
    Tensors leaves, y_bar, x_dot;
    const Tensors y = float_results(f_(tracked(x, leaves, which)), y_bar);
    for (std::size_t k = 0, at = 0; k < variables_.size(); ++k)
      if (which >> k & 1) x_dot.push_back(to(u[k], leaves[at++].dtype()));
    return push_forward(y, leaves, x_dot, false, where_);
  }

  void first_order() {
    Tensors leaves, y_bar;
    const Tensors y = float_results(f_(tracked(x_, leaves)), y_bar);
    note_rules(y);
    const Tensors y_dot = y_dot_ = push_forward(y, leaves, u_, false, where_);
    x_bar_ = grad(y, leaves, y_bar, {}, where_);

    const double h = step();
    Tensors none;
    const Tensors up = float_results(f_(moved(h, u_)), none), down = float_results(f_(moved(-h, u_)), none);
    for (std::size_t k = 0; k < y.size(); ++k) {
      const auto a = up[k].to_vector<double>(), b = down[k].to_vector<double>(), got = y_dot[k].to_vector<double>();
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double want = (a[i] - b[i]) / (2 * h);
        compare(fmt::format("jvp, result {} element {}", k, i), got[i], want,
                o_.absolute + o_.relative * std::abs(want));
      }
    }
    const double left = dot(y_bar, y_dot), right = dot(x_bar_, u_);
    compare("adjoint identity <y_bar, J u> = <J^T y_bar, u>", right, left,
            o_.identity * (1 + size(y_bar) * size(y_dot) + size(x_bar_) * size(u_)));
  }

  // <J(x)^T v, u>, on the tape.
  Tensor slope(const Tensors& x, const Tensors& u, Tensors& leaves, Tensors& y_bar) const {
    const Tensors y = float_results(f_(tracked(x, leaves)), y_bar);
    for (Tensor& v : y_bar) v = v.track();
    return inner(grad(y, leaves, y_bar, {.create_graph = true}, where_), u);
  }
  static Tensor inner(const Tensors& a, const Tensors& b) {
    Tensor s = scalar(0, float64);
    for (std::size_t k = 0; k < a.size(); ++k) s = add(s, sum(wengert::mul(a[k], b[k])));
    return s;
  }
  // The slope of `slope` along w; in_v receives its gradient by v.
  double curvature(const Tensors& x, const Tensors& u, const Tensors& w, Tensors* in_v = nullptr) {
    Tensors leaves, y_bar;
    const Tensor s = slope(x, u, leaves, y_bar);
    if (!s.tracked()) return 0.0;
    if (in_v) note_rules({s});  // those that only derivatives are made of
    Tensors all = leaves;
    all.insert(all.end(), y_bar.begin(), y_bar.end());
    const Tensors h = grad({&s, 1}, all, {}, {}, where_);
    if (in_v) in_v->assign(h.begin() + std::ptrdiff_t(leaves.size()), h.end());
    return dot(Tensors(h.begin(), h.begin() + std::ptrdiff_t(leaves.size())), w);
  }

  // The slope of s(x, v) = <J(x)^T v, u> in x along w by differences and through the jvp, its slope in v as J u, and
  // symmetry.
  void second_order() {
    Tensors in_v;
    const double uw = curvature(x_, u_, w_, &in_v), wu = curvature(x_, w_, u_);
    const double scale = 1 + std::abs(uw) + size(x_bar_);
    curvature_ = uw;
    compare("symmetry of the second derivative", uw, wu, 1e-10 * scale);

    const double h = 10 * step();  // differences of a derivative: the error of a single one is larger
    const double want = (dot(vjp(moved(h, w_)), u_) - dot(vjp(moved(-h, w_)), u_)) / (2 * h);
    compare("second order", uw, want, o_.absolute * scale + o_.relative * std::abs(want));

    // The same number the other way round: <J(x) u, v>, with the jvp on the tape.
    Tensors leaves, y_bar;
    const Tensors y = float_results(f_(tracked(x_, leaves)), y_bar);
    Tensors u = u_;
    for (Tensor& t : u) t = t.track();
    const Tensors y_dot = push_forward(y, leaves, u, true, where_);
    const Tensor t = inner(y_dot, y_bar);
    if (t.tracked()) {
      note_rules({t});
      Tensors all = leaves;
      all.insert(all.end(), u.begin(), u.end());
      const Tensors h = grad({&t, 1}, all, {}, {}, where_);
      const auto middle = h.begin() + std::ptrdiff_t(leaves.size());
      compare("vjp of the jvp against jvp of the vjp", dot(Tensors(h.begin(), middle), w_), uw, 1e-10 * scale);
      near("vjp by the jvp's slope in its tangent", Tensors(middle, h.end()), x_bar_, 1e-10);
    }
    if (!in_v.empty()) {
      Tensors difference;
      for (std::size_t k = 0; k < y_dot.size(); ++k) difference.push_back(sub(in_v[k], y_dot[k]));
      compare("jvp by two vjps", size(difference), 0, 1e-10 * (1 + size(y_dot)));
    }
  }

  // The slope of the second derivative along u, by differences.
  void third_order() {
    Tensors leaves, y_bar;
    const Tensor s = slope(x_, u_, leaves, y_bar);
    double got = 0;
    if (s.tracked()) {
      const Tensor t = inner(grad({&s, 1}, leaves, {}, {.create_graph = true}, where_), w_);
      if (t.tracked()) got = dot(grad({&t, 1}, leaves, {}, {}, where_), u_);
    }
    const double h = 10 * step(), scale = 1 + std::abs(got) + std::abs(curvature_) + size(x_bar_);
    const double want = (curvature(moved(h, u_), u_, w_) - curvature(moved(-h, u_), u_, w_)) / (2 * h);
    compare("third order", got, want, o_.absolute * scale + o_.relative * std::abs(want));
  }

  void subsets() {
    if (variables_.size() < 2 || variables_.size() > 5) return;
    Tensors total;
    for (std::size_t k = 0; k < variables_.size(); ++k) {
      const Tensors part = jvp(x_, u_, 1u << k);
      for (std::size_t i = 0; i < part.size(); ++i)
        if (total.size() <= i) total.push_back(part[i]);
        else total[i] = add(total[i], part[i]);
    }
    near("jvp as the sum over single operands", total, y_dot_, 1e-11);
    for (std::uint32_t which = 1; which + 1 < (1u << variables_.size()); ++which) {
      const Tensors part = vjp(x_, which);
      for (std::size_t k = 0, at = 0; k < variables_.size(); ++k)
        if (which >> k & 1 && !same_bits(part[at++], x_bar_[k]))
          problem("gradient of operand {} changes when only operands {:#b} are tracked", k, which);
    }
  }

  void near(std::string_view what, const Tensors& got, const Tensors& want, double tolerance) {
    for (std::size_t k = 0; k < want.size(); ++k) {
      const auto a = to(got[k].detach(), float64).to_vector<double>(),
                 b = to(want[k].detach(), float64).to_vector<double>();
      double largest = 1e-3;
      for (double v : b)
        if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
      for (std::size_t i = 0; i < b.size(); ++i)
        if (!(std::abs(a[i] - b[i]) <= tolerance * (std::abs(b[i]) + largest)) &&
            !(std::isnan(a[i]) && std::isnan(b[i])) && a[i] != b[i])
          return problem("{}: tensor {} element {} is {:.12g}, expected {:.12g}", what, k, i, a[i], b[i]);
    }
  }

  // Operands in other layouts, then cotangents and tangents.
  void strides() {
    for (auto layout : {strided, reversed}) {
      Tensors x = x_, u = u_;
      for (std::size_t i : variables_) x[i] = layout(x[i]);
      near("value of strided operands", f_(x), y0_, 1e-12);
      near("gradient of strided operands", vjp(x), x_bar_, 1e-12);

      const Tensors before = y_bar_;
      for (Tensor& v : y_bar_)
        if (v.defined()) v = layout(v);
      for (Tensor& t : u) t = layout(t);
      near("gradient from a strided cotangent", vjp(x_), x_bar_, 1e-12);
      near("jvp along a strided tangent", jvp(x_, u), y_dot_, 1e-12);
      y_bar_ = before;
    }
    // One number for all entries, as the derivative of a sum sends it, and the same with memory of its own.
    const Tensors before = y_bar_;
    for (Tensor& v : y_bar_)
      if (v.defined()) v = expand(scalar(0.75, v.dtype()), v.shape());
    const Tensors repeated = vjp(x_);
    for (Tensor& v : y_bar_)
      if (v.defined()) v = clone(v);
    near("gradient from a repeated cotangent", repeated, vjp(x_), 1e-12);
    y_bar_ = before;
  }

  void determinism() {
    const int before = threads();
    for (int n : {1, 2, 3}) {
      set_threads(n);
      const Tensors y = f_(x_), g = vjp(x_);
      for (std::size_t k = 0; k < y.size(); ++k)
        if (!same_bits(y[k], y0_[k])) problem("result {} has other bits with {} threads", k, n);
      for (std::size_t k = 0; k < g.size(); ++k)
        if (!same_bits(g[k], x_bar_[k])) problem("gradient {} has other bits with {} threads", k, n);
    }
    set_threads(before);
  }

  void single_precision() {
    Tensors x = x_, rounded = x_;
    for (std::size_t i : variables_) x[i] = to(x[i], float32), rounded[i] = to(x[i], float64);
    near("float32 value", f_(x), f_(rounded), o_.float32);
    near("float32 gradient", vjp(x), vjp(rounded), o_.float32);
    near("float32 jvp", jvp(x, u_), jvp(rounded, u_), o_.float32);
  }

  void note_rules(const Tensors& y) {
    std::set<std::string> names(report_.rules.begin(), report_.rules.end());
    const Sweep sweep(y);
    for (const Node* n : sweep.nodes()) {
      int status = 0;
      char* name = abi::__cxa_demangle(typeid(*n).name(), nullptr, nullptr, &status);
      if (name) names.insert(name);
      std::free(name);
    }
    report_.rules.assign(names.begin(), names.end());
  }

  CheckFunction f_;
  Tensors x_;
  CheckOptions o_;
  Where where_;
  Directions random_;
  std::vector<std::size_t> variables_;
  Tensors y0_, y_bar_, u_, w_, x_bar_, y_dot_;
  double curvature_ = 0;  // the second derivative along u and w
  CheckReport report_;
};

}  // namespace

CheckReport check(CheckFunction f, const std::vector<Tensor>& x, const CheckOptions& options, Where where) {
  return Checker(f, x, options, where).run();
}

}  // namespace detail
}  // namespace wengert
