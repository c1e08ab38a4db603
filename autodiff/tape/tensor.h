#pragma once

#include "wengert/autodiff/base/error.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/base/shape.h"

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace wengert {

class Tensor;

namespace detail {

struct Node;
struct Body;

/// Converts a row-sparse gradient to dense storage.
WENGERT_API void fill_in(const Body&);
/// The same elements contiguous and off the tape, without a copy where they are already.
WENGERT_API Tensor packed(const Tensor&);

// True until the program starts its first second thread: reference counts need no lock prefix before that.
inline bool one_thread() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded;
#else
  return false;
#endif
}

/// Intrusive reference count, starting at one.
struct Counted {
  std::atomic<std::uint32_t> refs{1};

  void retain() {
    if (one_thread()) refs.store(refs.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    else refs.fetch_add(1, std::memory_order_relaxed);
  }
  /// True when the last handle is gone.
  [[nodiscard]] bool drop() {
    if (one_thread()) {
      const auto left = refs.load(std::memory_order_relaxed) - 1;
      refs.store(left, std::memory_order_relaxed);
      return left == 0;
    }
    return refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  bool unique() const { return refs.load(std::memory_order_acquire) == 1; }
};

/// How a value is stored: contiguous row-major, as a strided view, or as some rows only (rows.h).
enum class Form : std::uint8_t { in_order, strided, rows };

/// A value: its shape and dtype and, in the same block of memory, its elements. A view has no elements of its own, but
/// holds the body that owns them. The gradient of a large table has only the rows that are not zero, until its elements
/// are read.
///
/// Thread safety: elements and version change only through Tensor::write and assign, which are the caller's to order;
/// everything else is constant after construction, apart from fill_in, which takes a lock.
struct Body : Counted {
  DType dtype = float32;
  std::atomic<Form> form{Form::in_order};
  bool has_rows = false;      // it is a RowsBody
  std::uint32_t version = 0;  // of an owner: counts changes in place
  void* first = nullptr;      // element; null while there are only rows
  Body* owner = nullptr;      // a view's base; null if this body owns its elements
  std::size_t bytes = 0;      // of the whole block
  Where changed{};            // of an owner: where it was last changed in place
  Shape shape, strides;

  Body(DType d, std::size_t all, const Shape& sizes, const Shape& steps)
      : dtype(d), bytes(all), shape(sizes), strides(steps) {}
  Body(DType d, std::size_t all, const Shape& sizes)
      : dtype(d), bytes(all), shape(sizes), strides(contiguous_strides(sizes)) {}

  /// True if the elements are owned, contiguous and referenced once: the holder of the only handle may overwrite them.
  bool overwritable() const { return unique() && !owner && contiguous(); }
  bool is(Form f) const { return form.load(std::memory_order_acquire) == f; }
  bool contiguous() const { return !is(Form::strided); }
  /// The first element.
  void* data() const {
    if (is(Form::rows)) [[unlikely]]
      fill_in(*this);
    return first;
  }
  /// How often its elements were changed in place.
  std::uint32_t changes() const { return is(Form::rows) ? 0 : (owner ? owner : this)->version; }
  /// The body that owns the elements: this one, or the base of a view.
  Body& holder() const {
    (void)data();
    return owner ? *owner : const_cast<Body&>(*this);
  }
};

/// Uninitialized elements, row-major.
WENGERT_API Body* new_body(const Shape&, DType);
/// The same with the shape and dtype of a body that owns contiguous elements.
Body* new_body_like(const Body&);
/// A view of the elements of `of` with other axes; offset in elements.
WENGERT_API Body* new_view(const Body& of, const Shape&, const Shape& strides, std::int64_t offset);
WENGERT_API void destroy(Body*) noexcept;
WENGERT_API void destroy(Node*) noexcept;
WENGERT_API void destroy_node(Counted*) noexcept;

struct Access;

/// What a handle is for. The handle of a Param stays one whatever is assigned to it: `trained` ones are leaves of the
/// tape, `frozen` ones are not.
enum class Role : std::uint8_t { value, trained, frozen };

/// A pointer in a register of its own. Compilers like to move the two of a handle as one; but they were stored one by
/// one, mostly a moment ago, and a load that spans two stores waits until both have reached the cache.
template <class T>
T* alone(T* p) {
  asm("" : "+r"(p));
  return p;
}

}  // namespace detail

/// A handle on an immutable value: up to eight axes, a dtype, and elements shared with every copy and view of it. A
/// handle may also be on the tape: then it holds the graph that produced it, for as long as the handle lives.
class WENGERT_API Tensor {
 public:
  Tensor() = default;
  Tensor(const Tensor& o) noexcept : body_(o.body_), node_(o.node_), output_(o.output_) {
    if (body_) body_->retain();
    if (node_) node_->retain();
  }
  Tensor(Tensor&& o) noexcept
      : body_(detail::alone(std::exchange(o.body_, nullptr))),
        node_(detail::alone(std::exchange(o.node_, nullptr))),
        output_(o.output_) {}
  /// A new value for the handle; whoever holds the old one keeps it. Where the handle is that of a Param it stays one
  /// (see Param::operator=).
  Tensor& operator=(const Tensor& o) { return *this = Tensor(o); }
  Tensor& operator=(Tensor&& o) {
    if (role_ != detail::Role::value) [[unlikely]]
      return renew(std::move(o));
    exchange_value(o);
    return *this;
  }
  ~Tensor() {
    if (body_) release();  // without a value there is no node either
  }

  /// False for Tensor(): there is no value. Everything below but tracked() is a ValueError then.
  bool defined() const { return body_ != nullptr; }
  const Shape& shape() const { return body()->shape; }
  /// In elements; zero along an expanded axis.
  const Shape& strides() const { return body()->strides; }
  DType dtype() const { return body()->dtype; }
  int rank() const { return shape().rank(); }
  /// Size of one axis; negative axes count from the end. ValueError when there is no such axis.
  std::int64_t size(int axis, Where = Where::current()) const;
  std::int64_t numel() const { return shape().numel(); }
  bool is_contiguous() const { return body()->contiguous(); }

  /// The only element, as a double. ShapeError when there are more or none.
  double item(Where = Where::current()) const;
  /// The element at an index, as a double: x.item({i, j}). Negative entries count from the end. ShapeError unless there
  /// is one entry for every axis, ValueError when one is out of range.
  double item(const Shape& index, Where = Where::current()) const;
  /// Every element in row-major order. TypeError when T is not the dtype (float, double, std::int64_t, bool).
  template <Element T>
  std::vector<T> to_vector(Where where = Where::current()) const {
    const Tensor x = detail::packed(*this);
    const auto numbers = x.template read<T>(where);
    return {numbers.begin(), numbers.end()};
  }
  /// The elements in row-major order, without a copy. TypeError as above; ShapeError unless is_contiguous().
  template <Element T>
  std::span<const T> read(Where where = Where::current()) const {
    return {static_cast<const T*>(numbers(dtype_of<T>, where)), static_cast<std::size_t>(numel())};
  }
  /// The door for changes in place: as read(), but counts a change, so that a derivative that needs the old values
  /// fails instead of being wrong. Every handle and view of these elements sees the change.
  template <Element T>
  std::span<T> write(Where where = Where::current()) {
    return {static_cast<T*>(numbers_to_change(dtype_of<T>, where)), static_cast<std::size_t>(numel())};
  }
  /// Copies the elements of `from` into this tensor, through the same door. Equal shapes and dtypes are demanded.
  void assign(const Tensor& from, Where = Where::current());

  /// Is there a graph behind this handle?
  bool tracked() const { return node_ != nullptr; }
  /// The same value, off the tape.
  [[nodiscard]] Tensor detach() const { return Tensor(retained(body_), nullptr, 0); }
  /// The same value as a leaf of the tape, to be differentiated by. A value that is already on the tape stays
  /// connected. TypeError for integers and booleans.
  [[nodiscard]] Tensor track(Where = Where::current()) const;
  /// What backward() left here, for a leaf; undefined if nothing yet.
  Tensor grad() const;

 private:
  friend class Param;
  friend struct detail::Access;
  void exchange_value(Tensor& o) noexcept {
    body_ = detail::alone(std::exchange(o.body_, detail::alone(body_)));
    node_ = detail::alone(std::exchange(o.node_, detail::alone(node_)));
    output_ = std::exchange(o.output_, output_);
  }
  Tensor(detail::Body* body, detail::Counted* node, std::uint32_t output) : body_(body), node_(node), output_(output) {}
  void release() noexcept;
  Tensor& renew(Tensor&& value);  // of the handle of a Param
  static detail::Body* retained(detail::Body* b) {
    if (b) b->retain();
    return b;
  }
  const detail::Body* body() const {
    if (!body_) [[unlikely]]
      no_value();
    return body_;
  }
  [[noreturn]] static void no_value();
  const void* numbers(DType, Where) const;
  void* numbers_to_change(DType, Where);

  detail::Body* body_ = nullptr;
  detail::Counted* node_ = nullptr;  // a detail::Node
  std::uint32_t output_ = 0;         // which of the node's results this is
  detail::Role role_ = detail::Role::value;
};

namespace detail {
/// Has no value.
WENGERT_API extern const Tensor undefined;
}  // namespace detail

/// A tensor argument together with the place of the call: it is made implicitly where an operator is called, so that
/// errors, drawings and profiles can name the user's line. Lives as long as the call.
class Operand {
 public:
  /// Undefined: linear(x, weight, {}) has no bias.
  Operand() : Operand(detail::undefined, Where()) {}
  Operand(const Tensor& t, Where where = Where::current())
      : bits_(reinterpret_cast<std::uintptr_t>(&t)), where_(where) {}
  /// A temporary. An elementwise operator that does not save it may reuse its memory for the result, and then leaves the
  /// handle undefined.
  Operand(Tensor&& t, Where where = Where::current())
      : bits_(reinterpret_cast<std::uintptr_t>(&t) | 1), where_(where) {}
  /// What a rule keeps (Saved, SavedConstant) is an operand like any other.
  template <class S>
  requires requires(const S& s) {
    { s.get() } -> std::same_as<const Tensor&>;
  } Operand(const S& s, Where where = Where::current()) : Operand(s.get(), where) {}
  /// A copied Operand never allows reuse: the original may still be read.
  Operand(const Operand& o) : bits_(o.bits_ & ~std::uintptr_t{1}), where_(o.where_) {}
  Operand(Operand&&) = default;

  const Tensor& tensor() const { return *reinterpret_cast<const Tensor*>(bits_ & ~std::uintptr_t{1}); }
  operator const Tensor&() const { return tensor(); }
  const Tensor* operator->() const { return &tensor(); }
  Where where() const { return where_; }
  bool dies() const { return bits_ & 1; }

 private:
  std::uintptr_t bits_;  // where the tensor is, and in the last bit whether it dies
  Where where_;
};

namespace detail {

/// A number as an operand, with the place of the call.
struct NumberOperand {
  double number;
  Where where;
  template <class N> requires std::is_arithmetic_v<N>
  NumberOperand(N n, Where w = Where::current()) : number(static_cast<double>(n)), where(w) {}
};

/// Access to the parts of a handle, for the library itself.
struct Access {
  /// The new value of a handle after `h -= y`. That of a Param takes the elements in place, and GraphError is thrown
  /// when they are on the tape.
  static Tensor& change(Tensor& h, Tensor&& value, Where where) {
    if (h.role_ != Role::value) [[unlikely]]
      return change_in_place(h, value, where);
    h.exchange_value(value);
    return h;
  }
  /// Another value, and the handle of a Param is one no more: in gradients, and in copies that a transform makes.
  static void become(Tensor& h, Tensor&& value) {
    h.role_ = Role::value;
    h.exchange_value(value);
  }
  WENGERT_API static Tensor& change_in_place(Tensor& h, const Tensor& value, Where);
  static Body* body(const Tensor& t) { return t.body_; }
  static Role role(const Tensor& t) { return t.role_; }
  static Node* node(const Tensor& t);  // defined where Node is, in tape.h
  static std::uint32_t output(const Tensor& t) { return t.output_; }
  /// Tells producers apart, without a pointer; 0 for none. Blocks of the pool are 64 bytes apart, so two nodes have the
  /// same number only if they are a multiple of 256 GiB apart.
  static std::uint32_t producer(const Tensor& t) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(t.node_) / 64);
  }
  /// Takes over both references.
  static Tensor make(Body* body, Counted* node = nullptr, std::uint32_t output = 0) {
    return Tensor(body, node, output);
  }
  /// This value and no graph, whatever the handle held before.
  static void keep(Tensor& t, Body* body) {
    if (t.body_) [[unlikely]]
      t = Tensor();
    body->retain();
    t.body_ = body;
  }
  static void detach(Tensor& t) {
    if (auto* n = std::exchange(t.node_, nullptr); n && n->drop()) destroy_node(n);
  }
  static void attach(Tensor& t, Counted* node, std::uint32_t output) {
    detach(t);
    t.node_ = node, t.output_ = output;
  }
};

/// The first element, whatever the strides: for kernels.
template <class T>
const T* data(const Tensor& t) {
  return static_cast<const T*>(Access::body(t)->data());
}
/// Only for a result that no other handle shares yet.
template <class T>
T* fresh(Tensor& t) {
  return static_cast<T*>(Access::body(t)->data());
}

/// A copy of the elements in row-major order, off the tape.
WENGERT_API Tensor packed_copy(const Tensor&);
/// The elements converted to another dtype, off the tape.
WENGERT_API Tensor convert(const Tensor&, DType);

// What the library exports is no template: compilers do not agree on the names of constrained ones.
WENGERT_API Tensor copied(const void* values, std::size_t count, DType, const Shape&, Where);

}  // namespace detail

/// Elements, dtype and shape as text: "[[1, 2],\n [3, 4]]  float32 [2, 2]". Large tensors are shortened.
WENGERT_API std::string to_string(const Tensor&);
/// The same to a stream; the program includes <iostream>.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const Tensor& x) {
  return out << to_string(x);
}

/// @name Making tensors
/// @{
WENGERT_API Tensor empty(const Shape&, DType = float32);  ///< uninitialized
WENGERT_API Tensor zeros(const Shape&, DType = float32);
WENGERT_API Tensor ones(const Shape&, DType = float32);
WENGERT_API Tensor full(const Shape&, double value, DType = float32);
/// 0, 1, ..., n - 1.  [n]
WENGERT_API Tensor arange(std::int64_t n, DType = int64);
/// Identity matrix [n, n].
WENGERT_API Tensor eye(std::int64_t n, DType = float32);
/// A scalar, shape [].
inline Tensor scalar(double value, DType dtype = float32) { return full({}, value, dtype); }
/// Copies `values`, row-major. ShapeError when their number is not that of the shape.
template <Element T>
Tensor from(std::span<const T> values, const Shape& shape, Where where = Where::current()) {
  return detail::copied(values.data(), values.size(), dtype_of<T>, shape, where);
}
template <Element T>
Tensor from(std::initializer_list<T> values, const Shape& shape, Where where = Where::current()) {
  return from(std::span<const T>(values), shape, where);
}
/// The same from a std::vector, std::array or another list of numbers. float, double, std::int64_t and bool keep their
/// dtype; other integers become int64.
template <class List>
requires std::is_arithmetic_v<typename List::value_type>
Tensor from(const List& values, const Shape& shape, Where where = Where::current()) {
  using T = typename List::value_type;
  if constexpr (Element<T> && requires { values.data(); }) {
    return from(std::span<const T>(values.data(), values.size()), shape, where);
  } else {  // a std::vector<bool> has no array of them
    using Stored = std::conditional_t<std::is_same_v<T, bool>, char,
                                      std::conditional_t<std::is_integral_v<T>, std::int64_t, double>>;
    const std::vector<Stored> stored(values.begin(), values.end());
    return detail::copied(stored.data(), stored.size(), std::is_same_v<T, bool> ? boolean : dtype_of<Stored>, shape,
                          where);
  }
}
/// A vector: [number of values].
template <class List>
requires std::is_arithmetic_v<typename List::value_type> Tensor from(const List& values) {
  return from(values, Shape{static_cast<std::int64_t>(values.size())});
}

namespace detail {
/// A number, or a list of such: what stands between the braces of tensor().
class Nested {
 public:
  template <class N> requires std::is_arithmetic_v<N> Nested(N number) : number_(static_cast<double>(number)) {}
  Nested(std::initializer_list<Nested> list) : list_(list), is_list_(true) {}

  bool is_list() const { return is_list_; }
  double number() const { return number_; }
  std::span<const Nested> list() const { return {list_.begin(), list_.size()}; }

 private:
  double number_ = 0;
  std::initializer_list<Nested> list_;
  bool is_list_ = false;
};
}  // namespace detail

/// tensor({1, 2, 3}) is float32 [3]; tensor({{1, 2}, {3, 4}}) is [2, 2], and so on; tensor(1) is a scalar. ShapeError
/// when lists beside each other differ in length.
WENGERT_API Tensor tensor(const detail::Nested& values, DType = float32, Where = Where::current());
/// @}

}  // namespace wengert
