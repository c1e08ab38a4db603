#include "wengert/optim/step.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/rows.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/optim/in_place.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace wengert::optim::detail {

using wengert::detail::Access;
using wengert::detail::Kind;
using wengert::detail::Node;
using wengert::detail::Role;
using wengert::detail::Rows;

namespace {

Node* leaf_of(const Tensor& t) {
  Node* n = Access::node(t);
  return n && n->kind == Kind::leaf ? n : nullptr;
}

}  // namespace

void Check::at_least_0(const char* option, double x) const {
  if (!(x >= 0) || std::isinf(x)) fail<ValueError>(where, "{}: {} must be >= 0, got {}", rule, option, x);
}
void Check::above_0(const char* option, double x) const {
  if (!(x > 0) || std::isinf(x)) fail<ValueError>(where, "{}: {} must be > 0, got {}", rule, option, x);
}
void Check::fraction(const char* option, double x) const {
  if (!(x >= 0 && x < 1)) outside(option, "[0, 1)", x);
}
void Check::outside(const char* option, const char* interval, double x) const {
  fail<ValueError>(where, "{}: {} must be in {}, got {}", rule, option, interval, x);
}
void Check::finite(const char* option, double x) const {
  if (!std::isfinite(x)) fail<ValueError>(where, "{}: {} must be finite, got {}", rule, option, x);
}
void Check::at_least(const char* option, std::int64_t min, std::int64_t n) const {
  if (n < min) fail<ValueError>(where, "{}: {} must be >= {}, got {}", rule, option, min, n);
}
void Check::that(bool holds, const char* sentence) const {
  if (!holds) fail<ValueError>(where, "{}: {}", rule, sentence);
}

namespace {

// Updates only the rows of a row-sparse gradient, in the parameter and in its state.
void update_rows(UpdateLoop loop, const void* step, const Common& common, const Rows& rows, DType dtype,
                 std::span<void* const> arrays) {
  const auto bytes = rows.row_size() * static_cast<std::int64_t>(size_of(dtype));
  const auto update = [&](std::int64_t i) {
    if (const std::int64_t soon = i + 4; soon < rows.count())
      kernels::ask_for<true>(static_cast<std::byte*>(arrays[0]) + rows.index()[static_cast<std::size_t>(soon)] * bytes,
                             bytes);
    void* at[2 + max_memory];
    for (std::size_t k = 0; k < arrays.size(); ++k)
      if (k != 1) at[k] = static_cast<std::byte*>(arrays[k]) + rows.index()[static_cast<std::size_t>(i)] * bytes;
    at[1] = const_cast<std::byte*>(rows.row(i));
    loop(step, common, 0, rows.row_size(), at);
  };
  kernels::parallel_for(rows.count(), kernels::grain_elements / rows.row_size() + 1,
                        [&](std::int64_t i, std::int64_t end) {
                          for (; i < end; ++i) update(i);
                        });
}

}  // namespace

void run_update(UpdateLoop loop, const void* step, const Common& common, Tensor& w, const Tensor& g,
                std::span<Tensor* const> memory, Where where) {
  void* at[2 + max_memory] = {own(w, where)};
  for (std::size_t k = 0; k < memory.size(); ++k) at[2 + k] = own(*memory[k], where);
  if (const Rows* rows = common.skips_rows() ? wengert::detail::rows_of(g) : nullptr)
    return update_rows(loop, step, common, *rows, w.dtype(), {at, 2 + memory.size()});
  const Tensor slope = contiguous(g.detach());
  at[1] = Access::body(slope)->data();
  kernels::parallel_for(w.numel(), kernels::grain_elements,
                        [&](std::int64_t begin, std::int64_t end) { loop(step, common, begin, end, at); });
}

void no_such_group(std::string_view rule, std::string_view pattern, Where where) {
  fail<ValueError>(where, "{}: no group was made with the pattern '{}'", rule, pattern);
}

Tensor fresh_gradient(const Tensor& w) {
  Node* leaf = leaf_of(w);
  return leaf && wengert::detail::leaf_has_fresh_gradient(*leaf) ? wengert::detail::leaf_gradient(*leaf) : Tensor();
}

void mark_used(const Tensor& w) {
  if (Node* leaf = leaf_of(w)) wengert::detail::mark_leaf_used(*leaf);
}

void replace_gradient(Tensor& w, Tensor gradient) {
  Node* leaf = leaf_of(w);
  wengert::detail::clear_leaf(*leaf);
  if (!gradient.defined()) return;
  wengert::detail::add_to_leaf(*leaf, std::move(gradient), true);
}

void nothing_to_do(Where where) {
  fail<GraphError>(
      where,
      "step: no parameter has received a gradient since the last step; call backward(loss) first, or pass gradients: "
      "step(model, grads)");
}

void check_fit(std::string_view name, const Tensor& w, const Tensor& g, std::span<const Tensor* const> memory,
               Where where) {
  // The name is formatted only in an error, so that a step allocates nothing.
  const auto what = [&] { return name.empty() ? std::string("the parameter") : fmt::format("'{}'", name); };
  if (w.tracked() && !leaf_of(w))
    fail<GraphError>(
        where, "step: {} was computed by operators and is no leaf; give it its value under no_grad, or detach() it",
        what());
  if (!is_float(w.dtype()))
    fail<TypeError>(where, "step: {} is {}, and only float32 and float64 can be trained", what(), w.dtype());
  if (!(g.shape() == w.shape()) || g.dtype() != w.dtype())
    fail<ShapeError>(where, "step: {} is {} {}, its gradient {} {}", what(), w.dtype(), w.shape(), g.dtype(),
                     g.shape());
  for (const Tensor* m : memory)
    if (!m->defined() || !(m->shape() == w.shape()) || m->dtype() != w.dtype())
      fail<ShapeError>(where,
                       "step: {} is {} {}, but was something else when the optimizer was made; make the optimizer anew",
                       what(), w.dtype(), w.shape());
}

Lists::Lists() = default;
Lists::~Lists() = default;
Lists::Lists(const Lists& o) : names(o.names), frozen_(o.frozen_) {}
Lists& Lists::operator=(const Lists& o) {
  names = o.names, frozen_ = o.frozen_;
  return *this;
}

void Lists::clear(std::size_t which) { all_[which].clear(); }
void Lists::add(std::size_t which, const Tensor& t) { all_[which].push_back(const_cast<Tensor*>(&t)); }
void Lists::add_name(std::string_view path, const Tensor& t) {
  if (!t.defined()) return;
  names.emplace_back(path);
  if (Access::role(t) == Role::frozen) ++frozen_;
}

void nothing_to_train(std::string_view who, bool frozen, Where where) {
  fail<GraphError>(where, "{}: {}", who,
                   frozen
                       ? "every parameter of the model is frozen; unfreeze() some of them"
                       : "the model has no parameters. A Tensor member of a struct is saved but not trained: declare "
                         "it Param");
}

void Lists::check_any(std::string_view rule, Where where) const {
  if (names.size() == frozen_) nothing_to_train(rule, frozen_ > 0, where);
}

void Lists::check(std::size_t memories, bool fresh, Where where) const {
  const auto& w = all_[model];
  const auto name = [&](std::size_t i) { return i < names.size() ? std::string_view(names[i]) : std::string_view(); };
  for (std::size_t k = fresh ? memory : gradients; k < memory + memories; ++k)
    if (all_[k].size() != w.size()) wengert::detail::models_differ(name(std::min(w.size(), all_[k].size())), where);
  bool found = false;
  std::size_t index = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (!w[i]->defined()) continue;
    const std::size_t at = index++;
    if (Access::role(*w[i]) == Role::frozen) continue;
    const Tensor g = fresh ? fresh_gradient(*w[i]) : *all_[gradients][i];
    if (!g.defined()) continue;
    found = true;
    const Tensor* remembered[max_memory];
    for (std::size_t k = 0; k < memories; ++k) remembered[k] = all_[memory + k][i];
    check_fit(name(at), *w[i], g, {remembered, memories}, where);
  }
  if (fresh && !found) nothing_to_do(where);
}

void Lists::run(std::size_t memories, bool fresh, Update update, void* self, Where where) const {
  std::size_t index = 0;
  for (std::size_t i = 0; i < all_[model].size(); ++i) {
    Tensor& w = *all_[model][i];
    if (!w.defined()) continue;
    const std::size_t at = index++;
    if (Access::role(w) == Role::frozen) continue;
    const Tensor g = fresh ? fresh_gradient(w) : *all_[gradients][i];
    if (!g.defined()) continue;
    Tensor* remembered[max_memory];
    for (std::size_t k = 0; k < memories; ++k) remembered[k] = all_[memory + k][i];
    update(self, at, w, g, {remembered, memories}, where);
    if (fresh) mark_used(w);
  }
}

}  // namespace wengert::optim::detail
