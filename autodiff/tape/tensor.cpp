#include "wengert/autodiff/tape/tensor.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/blocks.h"
#include "wengert/autodiff/kernels/convert.h"
#include "wengert/autodiff/tape/rows.h"
#include "wengert/autodiff/tape/rule.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <mutex>

namespace wengert {

namespace detail {
namespace {

constexpr std::size_t header = (sizeof(Body) + 63) / 64 * 64;

bool in_order(const Shape& shape, const Shape& strides) {
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

}  // namespace

// Body and numbers are one block.
Body* new_body(const Shape& shape, DType dtype) {
  constexpr std::int64_t most = std::int64_t{1} << 46;
  std::int64_t n = 1;  // an empty axis counts as one, so that strides cannot overflow either
  bool none = false;
  for (auto s : shape) {
    if (s < 0 || __builtin_mul_overflow(n, s + (s == 0), &n)) [[unlikely]]
      fail<ShapeError>(Where(), "a tensor cannot have the shape {}", shape);
    none |= s == 0;
  }
  if (none) n = 0;
  if (n > most || n * static_cast<std::int64_t>(size_of(dtype)) > most) [[unlikely]]
    fail<ShapeError>(Where(), "a tensor of shape {} is larger than memory", shape);
  const std::size_t bytes = header + static_cast<std::size_t>(n) * size_of(dtype);
  void* block = allocate(bytes);
  Body* b = new (block) Body(dtype, bytes, shape);
  b->first = static_cast<std::byte*>(block) + header;
  return b;
}

Body* new_body_like(const Body& model) {
  void* block = allocate(model.bytes);
  Body* b = new (block) Body(model.dtype, model.bytes, model.shape, model.strides);
  b->first = static_cast<std::byte*>(block) + header;
  return b;
}

Body* new_view(const Body& of, const Shape& shape, const Shape& strides, std::int64_t offset) {
  auto* first = static_cast<std::byte*>(of.data()) + offset * static_cast<std::int64_t>(size_of(of.dtype));
  Body* b = new (allocate(header)) Body(of.dtype, header, shape, strides);
  if (!in_order(shape, strides)) b->form = Form::strided;
  b->first = first;
  b->owner = const_cast<Body*>(of.owner ? of.owner : &of);
  b->owner->retain();
  return b;
}

// The storage becomes a view of a dense array. Another thread may ask at the same time.
void fill_in(const Body& some_rows) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  auto& b = const_cast<Body&>(some_rows);
  if (!b.is(Form::rows)) return;
  Tensor all = zeros(b.shape, b.dtype);
  static_cast<RowsBody&>(b).rows.add_to(all);
  b.owner = Access::body(all), b.first = b.owner->first;
  b.owner->retain();
  b.form.store(Form::in_order, std::memory_order_release);
}

Tensor packed_copy(const Tensor& x) {
  Tensor y = empty(x.shape(), x.dtype());
  const kernels::Operand from{Access::body(x)->data(), size_of(x.dtype()), x.is_contiguous(), x.strides()};
  if (y.numel()) kernels::gather(from, x.shape(), 0, y.numel(), Access::body(y)->data());
  return y;
}

Tensor packed(const Tensor& x) { return x.is_contiguous() ? x.detach() : packed_copy(x); }

Tensor convert(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x.detach();
  Tensor y = empty(x.shape(), dtype);
  const kernels::Operand from{Access::body(x)->data(), size_of(x.dtype()), x.is_contiguous(), x.strides()};
  void* to[] = {Access::body(y)->data()};
  const std::size_t size[] = {size_of(dtype)};
  if (y.numel()) kernels::run_blocks(kernels::conversion(x.dtype(), dtype), nullptr, x.shape(), &from, 1, to, size, 1);
  return y;
}

void destroy(Body* b) noexcept {
  if (b->has_rows) [[unlikely]]
    static_cast<RowsBody*>(b)->rows.~Rows();
  Body* owner = b->owner;
  deallocate(b, b->bytes);
  if (owner && owner->drop()) destroy(owner);
}

}  // namespace detail

using detail::Access;

const Tensor detail::undefined;

Tensor detail::owned(Tensor t) {
  if (Access::body(t)->overwritable()) return t;
  return packed_copy(t);
}

Tensor detail::as_leaf(Tensor t, Where where) {
  t = owned(std::move(t));
  Access::attach(t, new_leaf(*Access::body(t), where), 0);
  return t;
}

Where detail::place_of_leaf(const Tensor& t) {
  const Node* n = Access::node(t);
  return n ? n->where : Where();
}

// The leaf of before stays with whoever holds it: a graph that is under way.
Tensor& Tensor::renew(Tensor&& value) {
  if (value.tracked())
    fail<GraphError>(
        detail::place_of_leaf(value),
        "Param: its new value is on the tape, and would keep the graphs of all steps before; compute it under "
        "no_grad, detach() it, or change the elements in place with assign()");
  Tensor t = std::move(value);
  if (t.defined()) {
    if (!is_float(t.dtype()))
      fail<TypeError>(Where(), "Param: only float32 and float64 can be trained, got {}", t.dtype());
    t = role_ == detail::Role::trained ? detail::as_leaf(std::move(t), detail::place_of_leaf(*this))
                                       : detail::owned(std::move(t));
  }
  exchange_value(t);
  return *this;
}

Tensor& Access::change_in_place(Tensor& h, const Tensor& value, Where where) {
  if (value.tracked())
    fail<GraphError>(where,
                     "Param: an operator with = would put its new value on the tape; write it under no_grad, where it "
                     "changes the elements in place, or as an operator without =");
  h.assign(value, where);
  return h;
}

void Tensor::release() noexcept {
  if (body_->drop()) detail::destroy(body_);
  if (node_ && node_->drop()) detail::destroy_node(node_);
}

void Tensor::no_value() {
  fail<ValueError>(Where(), "an undefined Tensor was used; it has no value (Tensor() or a moved-from handle)");
}

std::int64_t Tensor::size(int axis, Where where) const {
  const int i = axis < 0 ? axis + rank() : axis;
  if (i < 0 || i >= rank()) fail<ValueError>(where, "size: axis {} of a tensor with shape {}", axis, shape());
  return shape()[i];
}

const void* Tensor::numbers(DType wanted, Where where) const {
  if (dtype() != wanted) fail<TypeError>(where, "read: the tensor is {}, not {}; convert with to()", dtype(), wanted);
  if (!is_contiguous())
    fail<ShapeError>(where, "read: the tensor {} is a strided view; take contiguous() or to_vector()", shape());
  return body_->data();
}

void* Tensor::numbers_to_change(DType wanted, Where where) {
  auto* data = const_cast<void*>(numbers(wanted, where));
  detail::Body& holder = body_->holder();
  if (detail::written_before_replay(holder)) [[unlikely]]
    fail<GraphError>(where,
                     "write: inside checkpoint(), whose f runs once more for the derivative and would change this "
                     "tensor again; change it with assign(), which happens once, or outside");
  ++holder.version;
  holder.changed = where;
  return data;
}

void Tensor::assign(const Tensor& from, Where where) {
  if (!(shape() == from.shape()) || dtype() != from.dtype())
    fail<ShapeError>(where, "assign: {} {} cannot take {} {}", dtype(), shape(), from.dtype(), from.shape());
  const Tensor source = detail::packed(from);
  detail::Body& holder = body_->holder();
  if (detail::written_before_replay(holder)) return;
  ++holder.version;
  holder.changed = where;
  if (!numel()) return;
  if (is_contiguous())
    std::memmove(body_->data(), Access::body(source)->data(), static_cast<std::size_t>(numel()) * size_of(dtype()));
  else kernels::scatter(Access::body(source)->data(), body_->data(), size_of(dtype()), shape(), strides());
}

namespace {

double element(const detail::Body& b, std::int64_t at) {
  const void* p = b.data();
  switch (b.dtype) {
    case DType::float32: return static_cast<const float*>(p)[at];
    case DType::float64: return static_cast<const double*>(p)[at];
    case DType::int64: return static_cast<double>(static_cast<const std::int64_t*>(p)[at]);
    case DType::boolean: return static_cast<const bool*>(p)[at];
  }
  return 0;
}

}  // namespace

double Tensor::item(Where where) const {
  if (numel() != 1)
    fail<ShapeError>(where, "item: needs one element, got {}; name one of them: x.item({{i, j}})", shape());
  return element(*body_, 0);
}

double Tensor::item(const Shape& index, Where where) const {
  if (index.rank() != rank())
    fail<ShapeError>(where, "item: needs an entry for each axis of {}, got {}", shape(), index);
  (void)body_->data();  // strides are those of all rows
  std::int64_t at = 0;
  for (int axis = 0; axis < rank(); ++axis) {
    const std::int64_t n = shape()[axis], i = index[axis] < 0 ? index[axis] + n : index[axis];
    if (i < 0 || i >= n) fail<ValueError>(where, "item: there is no element {} in {}", index, shape());
    at += i * strides()[axis];
  }
  return element(*body_, at);
}

Tensor Tensor::grad() const {
  detail::Node* n = Access::node(*this);
  return n && n->kind == detail::Kind::leaf ? detail::leaf_gradient(*n) : Tensor();
}

namespace {

// The same value; connects a variable to the tape that was there before.
struct Track {
  static constexpr std::string_view name = "track";
  Tensor forward(const Tensor& x) { return x.detach(); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar; }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return x_dot; }
};

}  // namespace

Tensor Tensor::track(Where where) const {
  if (!is_float(dtype())) fail<TypeError>(where, "track: {} has no derivative; only float32 and float64 have", dtype());
  if (tracked()) return apply(Track{}, Operand(*this, where));
  Tensor x = *this;
  Access::attach(x, detail::new_leaf(*body_, detail::place_of(where).where), 0);
  return x;
}

Tensor empty(const Shape& shape, DType dtype) { return Access::make(detail::new_body(shape, dtype)); }

Tensor zeros(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  std::memset(Access::body(t)->data(), 0, static_cast<std::size_t>(t.numel()) * size_of(dtype));
  return t;
}

Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }

Tensor full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  const auto n = t.numel();
  switch (dtype) {
    case DType::float32: std::fill_n(detail::fresh<float>(t), n, static_cast<float>(value)); break;
    case DType::float64: std::fill_n(detail::fresh<double>(t), n, value); break;
    case DType::int64: std::fill_n(detail::fresh<std::int64_t>(t), n, static_cast<std::int64_t>(value)); break;
    case DType::boolean: std::fill_n(detail::fresh<bool>(t), n, value != 0); break;
  }
  return t;
}

Tensor arange(std::int64_t n, DType dtype) {
  Tensor t = empty({n}, int64);
  for (std::int64_t i = 0; i < n; ++i) detail::fresh<std::int64_t>(t)[i] = i;
  return dtype == int64 ? t : detail::convert(t, dtype);
}

Tensor eye(std::int64_t n, DType dtype) {
  Tensor t = zeros({n, n}, dtype);
  for (std::int64_t i = 0; i < n; ++i) {
    if (dtype == float32) detail::fresh<float>(t)[i * n + i] = 1;
    else if (dtype == float64) detail::fresh<double>(t)[i * n + i] = 1;
    else if (dtype == int64) detail::fresh<std::int64_t>(t)[i * n + i] = 1;
    else detail::fresh<bool>(t)[i * n + i] = true;
  }
  return t;
}

Tensor detail::copied(const void* values, std::size_t count, DType dtype, const Shape& shape, Where where) {
  Tensor t = empty(shape, dtype);
  if (t.numel() != static_cast<std::int64_t>(count))
    fail<ShapeError>(where, "from: shape {} has {} elements, got {} values", shape, t.numel(), count);
  if (count) std::memcpy(Access::body(t)->data(), values, count * size_of(dtype));
  return t;
}

namespace {

using detail::Nested;

// Of the first entry of every list.
Shape shape_of(const Nested& values) {
  Shape shape;
  for (const Nested* at = &values; at->is_list(); at = at->list().data()) {
    shape.push_back(static_cast<std::int64_t>(at->list().size()));
    if (at->list().empty()) break;
  }
  return shape;
}

void append(std::vector<double>& to, const Nested& values, const Shape& shape, int axis, Where where) {
  if (values.is_list() != (axis < shape.rank()))
    fail<ShapeError>(where, "tensor: lists and numbers stand beside each other on axis {}", axis - 1);
  if (!values.is_list()) return to.push_back(values.number());
  if (static_cast<std::int64_t>(values.list().size()) != shape[axis])
    fail<ShapeError>(where, "tensor: lists of {} and {} entries stand beside each other on axis {}", shape[axis],
                     values.list().size(), axis);
  for (const Nested& entry : values.list()) append(to, entry, shape, axis + 1, where);
}

}  // namespace

Tensor tensor(const Nested& values, DType dtype, Where where) {
  const Shape shape = shape_of(values);
  std::vector<double> all;
  append(all, values, shape, 0, where);
  return detail::convert(from(all, shape), dtype);
}

}  // namespace wengert
