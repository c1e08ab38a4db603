#pragma once

// How an optimizer walks a model: what all of them share. Users include optim.h.

#include "wengert/autodiff/model.h"

namespace wengert::optim {

struct SgdOptions;
struct AdamOptions;

}  // namespace wengert::optim

namespace wengert::optim::detail {

using wengert::detail::Path;
using wengert::detail::Walk;

WENGERT_API void check(const SgdOptions&, Where);
WENGERT_API void check(const AdamOptions&, Where);

/// The gradient that an optimizer has not used yet: what backward() left in a leaf, or the number itself in a model of
/// gradients.
WENGERT_API Tensor fresh_gradient(const Tensor&);
WENGERT_API void mark_used(const Tensor&);
WENGERT_API void replace_gradient(Tensor&, Tensor gradient);
[[noreturn]] WENGERT_API void nothing_to_do(Where);
/// ShapeError, TypeError, GraphError unless w can be changed by g and what is remembered has w's shape.
WENGERT_API void check_fit(std::string_view name, const Tensor& w, const Tensor& g,
                           std::span<const Tensor* const> memory, Where);

/// Updates of one parameter, in place.
class WENGERT_API SgdUpdate {
 public:
  SgdUpdate(const SgdOptions&, std::vector<bool>& moving, Where);
  void operator()(std::size_t index, Tensor& w, const Tensor& g);
  void operator()(std::size_t index, Tensor& w, const Tensor& g, Tensor& velocity);

 private:
  const SgdOptions& options_;
  std::vector<bool>& moving_;
  Where where_;
};
class WENGERT_API AdamUpdate {
 public:
  AdamUpdate(const AdamOptions&, std::int64_t t, Where);
  void operator()(std::size_t index, Tensor& w, const Tensor& g, Tensor& m, Tensor& v);
  void operator()(std::size_t index, Tensor& w, const Tensor& g, Tensor& m, Tensor& v, Tensor& v_max);

 private:
  void run(Tensor& w, const Tensor& g, Tensor& m, Tensor& v, Tensor* v_max);
  const AdamOptions& options_;
  double rate_, root_factor_;
  Where where_;
};

// Every parameter is checked before the first is changed.
struct CheckAlong {
  Where where;
  template <class T, class G, class... Memory>
  void param(const Path& path, T& w, G& g, Memory&... memory) {
    if (!w.defined() || !g.defined()) return;
    const std::array<const Tensor*, sizeof...(Memory)> all{&memory...};
    check_fit(path.view(), w, g, all, where);
  }
  template <class... T>
  void variable(const Path& path, T&... t) {
    param(path, t...);
  }
  template <class... T>
  void buffer(const Path&, T&...) {}
};
template <class Update>
struct UpdateAlong {
  Update& update;
  std::size_t index = 0;
  template <class T, class G, class... Memory>
  void param(const Path&, T& w, G& g, Memory&... memory) {
    if (!w.defined()) return;
    const std::size_t i = index++;
    if (g.defined()) update(i, w, g, memory...);
  }
  template <class... T>
  void variable(const Path& path, T&... t) {
    param(path, t...);
  }
  template <class... T>
  void buffer(const Path&, T&...) {}
};
template <class Update, class Model, class... Memory>
void step_along(Update& update, Where where, Model& model, const Model& grads, Memory&... memory) {
  Walk<true, CheckAlong> check{{where}, where};
  check.template part<true>(model, grads, memory...);
  Walk<false, UpdateAlong<Update>> walk{{update}, where};
  walk.template part<true>(model, grads, memory...);
}

struct CheckLeaves {
  Where where;
  bool found = false;
  template <class T, class... Memory>
  void param(const Path& path, T& w, Memory&... memory) {
    if (!w.defined()) return;
    const Tensor g = fresh_gradient(w);
    if (!g.defined()) return;
    found = true;
    const std::array<const Tensor*, sizeof...(Memory)> all{&memory...};
    check_fit(path.view(), w, g, all, where);
  }
  template <class... T>
  void variable(const Path& path, T&... t) {
    param(path, t...);
  }
  template <class... T>
  void buffer(const Path&, T&...) {}
};
template <class Update>
struct UpdateLeaves {
  Update& update;
  std::size_t index = 0;
  template <class T, class... Memory>
  void param(const Path&, T& w, Memory&... memory) {
    if (!w.defined()) return;
    const std::size_t i = index++;
    const Tensor g = fresh_gradient(w);
    if (!g.defined()) return;
    update(i, w, g, memory...);
    mark_used(w);
  }
  template <class... T>
  void variable(const Path& path, T&... t) {
    param(path, t...);
  }
  template <class... T>
  void buffer(const Path&, T&...) {}
};
template <class Update, class Model, class... Memory>
void step_along_leaves(Update& update, Where where, Model& model, Memory&... memory) {
  Walk<true, CheckLeaves> check{{where}, where};
  check.template part<true>(model, memory...);
  if (!check.visit.found) nothing_to_do(where);
  Walk<false, UpdateLeaves<Update>> walk{{update}, where};
  walk.template part<true>(model, memory...);
}

// Clipping sees gradients wherever they are.
template <class F>
struct VisitGradients {
  F& f;
  template <class T>
  void param(const Path&, T& t) {
    if (!t.defined()) return;
    bool leaf = false;
    if constexpr (std::is_same_v<T, Param>) leaf = t.is_trained();
    Tensor g = leaf ? fresh_gradient(t) : Tensor(t);
    if (g.defined()) f(static_cast<Tensor&>(t), g, leaf);
  }
  template <class T>
  void variable(const Path& path, T& t) {
    param(path, t);
  }
  template <class T>
  void buffer(const Path&, T&) {}
};
template <class X, class F>
void for_each_gradient(X& x, F&& f) {
  auto visit = [&](Tensor&, Tensor& g, bool) { f(g); };
  Walk<false, VisitGradients<decltype(visit)>> walk{{visit}};
  walk.template part<true>(x);
}
template <class X, class F>
void change_gradients(X& x, F&& f) {
  auto visit = [&](Tensor& t, Tensor& g, bool leaf) {
    if (leaf) replace_gradient(t, f(g));
    else t = f(g);
  };
  Walk<false, VisitGradients<decltype(visit)>> walk{{visit}};
  walk.template part<true>(x);
}

/// The norm of many tensors together. A second pass, with the largest entry divided out, follows if the sum of the
/// first left the range of double.
class WENGERT_API GradNorm {
 public:
  GradNorm(double max_norm, double p, bool error_if_nonfinite, Where);
  void add(const Tensor&);
  /// After a pass: is another one needed?
  bool again();
  double value() const { return norm_; }
  bool factor_matters() const;
  Tensor scaled(const Tensor&) const;

 private:
  double max_norm_, p_;
  bool error_if_nonfinite_;
  Where where_;
  int pass_ = 0;
  double sum_ = 0, largest_ = 0, scale_ = 1, norm_ = 0;
};
WENGERT_API void check_limit(double limit, Where);
WENGERT_API Tensor limited(const Tensor&, double limit);

}  // namespace wengert::optim::detail
