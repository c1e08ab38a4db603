#pragma once

#include "wengert/autodiff/tape/tape.h"

namespace wengert {

/// A value that a rule keeps for its derivative: its own operand or its own result. Reading it checks that the elements
/// were not changed in place meanwhile, and puts it back on the tape while a derivative of the derivative is recorded.
class WENGERT_API Saved {
 public:
  Saved() = default;
  [[gnu::always_inline]] Saved& operator=(const Tensor& t) {
    detail::Access::keep(value_, detail::Access::body(t));
    producer_ = detail::Access::producer(t);
    version_ = detail::Access::body(t)->changes();
    return *this;
  }
  /// GraphError when the value was changed since, or when a value that is neither operand nor result is differentiated.
  const Tensor& get() const;
  operator const Tensor&() const { return get(); }
  const Tensor* operator->() const { return &get(); }
  bool kept() const { return value_.defined(); }
  void forget() { value_ = Tensor(); }

 private:
  friend class detail::RunningRule;
  struct Source;
  const Tensor& get_checked(detail::RunningRule*) const;
  void require_unchanged(const detail::RunningRule*) const;
  Source find_source(detail::Node&) const;
  void attach(const Source&, detail::RunningRule&) const;

  mutable Tensor value_;
  mutable const Saved* next_ = nullptr;  // in the running rule's list of attached values
  std::uint32_t version_ = 0;
  std::uint32_t producer_ = 0;  // tells operands apart that share their storage: x and x.detach(), x and x.track()
};

/// As Saved, for a value that is constant to every derivative (a mask, a shift that cancels).
class SavedConstant {
 public:
  SavedConstant& operator=(const Tensor& t) {
    value_ = t.detach();
    return *this;
  }
  const Tensor& get() const { return value_; }
  operator const Tensor&() const { return value_; }
  const Tensor* operator->() const { return &value_; }

 private:
  Tensor value_;
};

namespace detail {

/// Inside a rule's vjp or jvp: the shape of an operand (one that is on the tape) and of the first result.
WENGERT_API const Shape& operand_shape(int i);
WENGERT_API const Shape& result_shape();

}  // namespace detail
}  // namespace wengert
