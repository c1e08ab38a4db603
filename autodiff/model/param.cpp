#include "wengert/autodiff/model/param.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

namespace wengert {

using detail::Access;

namespace {

// Numbers of its own: taken over when no other handle can see them.
Tensor owned(Tensor t) {
  const detail::Body& b = *Access::body(t);
  if (b.overwritable()) return t;
  no_grad values;
  return clone(t);
}

Tensor with_leaf(Tensor t, Where where) {
  Access::attach(t, detail::new_leaf(*Access::body(t), where), 0);
  return t;
}

Where place_of_leaf(const Tensor& t) {
  const detail::Node* n = Access::node(t);
  return n ? n->where : Where();
}

Tensor copy_of(const Param& p) {
  if (!p.defined()) return {};
  const auto* scope = detail::copy_scope();
  if (scope && scope->how() == detail::Copy::share) return p.detach();
  if (p.is_trained()) return with_leaf(owned(p.detach()), place_of_leaf(p));
  return clone(p);  // a variable of a transform: the copy is connected to it
}

bool copy_is_trained(const Param& p) {
  const auto* scope = detail::copy_scope();
  return p.is_trained() && !(scope && scope->how() == detail::Copy::share);
}

}  // namespace

Param::Param(Tensor value, Where where) : Tensor(std::move(value)) {
  if (!defined() || tracked()) return;
  if (!is_float(dtype()))
    fail<TypeError>(where, "Param: only float32 and float64 can be trained, got {}; make it a Tensor member", dtype());
  Tensor::operator=(with_leaf(owned(std::move(*this)), where));
  trained_ = true;
}

Param::Param(const Param& o) : Tensor(copy_of(o)), trained_(copy_is_trained(o)) {}

void Param::set(Tensor value) {
  if (trained_ && value.tracked())
    fail<GraphError>(
        place_of_leaf(value),
        "Param: its new value is on the tape, and would keep the graphs of all steps before; compute it under "
        "no_grad, detach() it, or change the numbers in place with assign()");
  if (trained_ || !defined()) *this = Param(std::move(value), place_of_leaf(*this));
  else Tensor::operator=(std::move(value));
}

Buffer::Buffer(Tensor value) : Tensor(value.defined() ? owned(std::move(value).detach()) : Tensor()) {}

Buffer::Buffer(const Buffer& o) : Tensor(o.detach()) {
  const auto* scope = detail::copy_scope();
  if (o.defined() && !(scope && scope->how() == detail::Copy::share)) Tensor::operator=(owned(std::move(*this)));
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
