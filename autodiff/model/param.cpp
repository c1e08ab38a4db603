#include "wengert/autodiff/model/param.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

namespace wengert {

using detail::Role;

namespace {

Tensor copy_of(const Param& p) {
  if (!p.defined()) return {};
  const auto* scope = detail::copy_scope();
  if (scope && scope->how() == detail::Copy::share) return p.detach();
  if (p.is_trained()) {
    Tensor leaf = detail::as_leaf(p.detach(), detail::place_of_leaf(p));
    detail::mark_copy(*detail::Access::node(leaf), *detail::Access::node(p));
    return leaf;
  }
  return clone(p);  // a variable of a transform: the copy is connected to it
}

}  // namespace

Param::Param(Tensor value, Where where) : Tensor(std::move(value)) {
  role_ = tracked() ? Role::value : Role::trained;
  if (!defined() || tracked()) return;
  if (!is_float(dtype()))
    fail<TypeError>(where, "Param: only float32 and float64 can be trained, got {}; make it a Tensor member", dtype());
  Tensor leaf = detail::as_leaf(std::move(*this), where);
  exchange_value(leaf);
}

Param::Param(const Param& o) : Tensor(copy_of(o)) {
  const auto* scope = detail::copy_scope();
  const bool shared = scope && scope->how() == detail::Copy::share;
  role_ = shared && o.role_ == Role::trained ? Role::value : o.role_;
}

void Param::freeze() {
  if (!defined()) return;
  detail::Access::detach(*this);
  role_ = Role::frozen;
}

void Param::unfreeze() {
  if (!is_frozen()) return;
  *this = Param(std::exchange(static_cast<Tensor&>(*this), Tensor()));
}

Buffer::Buffer(Tensor value) : Tensor(value.defined() ? detail::owned(std::move(value).detach()) : Tensor()) {}

Buffer::Buffer(const Buffer& o) : Tensor(o.detach()) {
  const auto* scope = detail::copy_scope();
  if (o.defined() && !(scope && scope->how() == detail::Copy::share))
    Tensor::operator=(detail::owned(std::move(*this)));
}

namespace detail {
namespace {
thread_local CopyScope* current = nullptr;
}

CopyScope* copy_scope() { return current; }
CopyScope::CopyScope(Copy how) : how_(how), outer_(std::exchange(current, this)) {}
CopyScope::~CopyScope() { current = outer_; }

std::shared_ptr<void> CopyScope::find(const void* original) const {
  for (auto& [from, to] : pairs_)
    if (from == original) return to;
  return nullptr;
}
void CopyScope::remember(const void* original, std::shared_ptr<void> copy) {
  pairs_.emplace_back(original, std::move(copy));
}

void copied_alone() {
  fail<GraphError>(
      Where(),
      "Shared: copied outside copy(); write copy(model) for a model with Shared members, and share(x) for another "
      "handle on the same part");
}

}  // namespace detail
}  // namespace wengert
