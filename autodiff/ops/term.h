#pragma once

// Internal to functions.h and fuse.h: a number type that stands for a tensor, for templates that were written for
// numbers. A Term is a tensor or a plain number, so that T(2) * x is one operator on x and the number takes its dtype.

#include "wengert/autodiff/ops.h"

namespace wengert::detail {

class Term {
 public:
  using Scalar = double;

  explicit Term(const Tensor& t) : tensor_(t) {}
  template <class N> requires std::is_arithmetic_v<N> Term(N n) : number_(static_cast<double>(n)) {}

  bool is_number() const { return !tensor_.defined(); }
  double number() const { return number_; }
  const Tensor& tensor() const { return tensor_; }
  /// As a tensor of the dtype of `like`; a number becomes a scalar.
  Tensor as_tensor(const Tensor& like) const { return is_number() ? scalar(number_, like.dtype()) : tensor_; }

  template <class Rule, class F>
  static Term unary(const Term& x, const Rule&, F&& f) {
    if (x.is_number()) return f(scalar(x.number_, float64)).item();
    return Term(f(x.tensor_));
  }
  template <class Rule, class F>
  static Term binary(const Term& x, const Term& y, const Rule&, F&& f) {
    if (x.is_number() && y.is_number()) return f(scalar(x.number_, float64), scalar(y.number_, float64)).item();
    const Tensor& like = x.is_number() ? y.tensor_ : x.tensor_;
    return Term(f(x.as_tensor(like), y.as_tensor(like)));
  }

  friend Term operator+(const Term& x, const Term& y) {
    if (x.is_number()) return y.is_number() ? Term(x.number_ + y.number_) : Term(affine(y.tensor_, 1, x.number_));
    return y.is_number() ? Term(affine(x.tensor_, 1, y.number_)) : Term(add(x.tensor_, y.tensor_));
  }
  friend Term operator-(const Term& x, const Term& y) {
    if (x.is_number()) return y.is_number() ? Term(x.number_ - y.number_) : Term(affine(y.tensor_, -1, x.number_));
    return y.is_number() ? Term(affine(x.tensor_, 1, -y.number_)) : Term(sub(x.tensor_, y.tensor_));
  }
  friend Term operator*(const Term& x, const Term& y) {
    if (x.is_number()) return y.is_number() ? Term(x.number_ * y.number_) : Term(affine(y.tensor_, x.number_, 0));
    return y.is_number() ? Term(affine(x.tensor_, y.number_, 0)) : Term(mul(x.tensor_, y.tensor_));
  }
  friend Term operator/(const Term& x, const Term& y) {
    if (x.is_number()) return y.is_number() ? Term(x.number_ / y.number_) : Term(x.number_ / y.tensor_);
    return y.is_number() ? Term(x.tensor_ / y.number_) : Term(div(x.tensor_, y.tensor_));
  }
  friend Term operator-(const Term& x) { return x.is_number() ? Term(-x.number_) : Term(neg(x.tensor_)); }

  /// The result of a comparison: a bool tensor, or one answer for all entries; and the dtype that was compared.
  struct Mask {
    Tensor which;
    bool answer = false;
    DType dtype = float64;

    template <class B> requires std::same_as<B, bool> explicit operator B() const {
      static_assert(sizeof(B) == 0,
                    "wengert: fuse: a lambda sees many numbers at once, so there is no if and no ?: on a comparison of "
                    "them; write select(condition, x, y)");
      return false;
    }
    friend Mask operator!(const Mask& a) {
      if (!a.which.defined()) return {{}, !a.answer, a.dtype};
      return {equal(a.which, scalar(0, boolean)), false, a.dtype};
    }
    friend Mask operator&&(const Mask& a, const Mask& b) {
      if (!a.which.defined()) return a.answer ? b : a;
      if (!b.which.defined()) return b.answer ? a : b;
      return {where(a.which, b.which, scalar(0, boolean)), false, a.dtype};
    }
    friend Mask operator||(const Mask& a, const Mask& b) { return !(!a && !b); }
  };
#define WENGERT_COMPARE(op, both, reversed)                                               \
  friend Mask operator op(const Term& x, const Term& y) {                                 \
    if (x.is_number() && y.is_number()) return {{}, x.number_ op y.number_};              \
    if (y.is_number()) return {both(x.tensor_, y.number_), false, x.tensor_.dtype()};     \
    if (x.is_number()) return {reversed(y.tensor_, x.number_), false, y.tensor_.dtype()}; \
    return {both(x.tensor_, y.tensor_), false, x.tensor_.dtype()};                        \
  }
  WENGERT_COMPARE(<, less, greater)
  WENGERT_COMPARE(<=, less_equal, greater_equal)
  WENGERT_COMPARE(>, greater, less)
  WENGERT_COMPARE(>=, greater_equal, less_equal)
  WENGERT_COMPARE(==, equal, equal)
  WENGERT_COMPARE(!=, not_equal, not_equal)
#undef WENGERT_COMPARE

  friend Term select(const Mask& c, const Term& x, const Term& y) {
    if (!c.which.defined()) return c.answer ? x : y;
    const Tensor& like = !x.is_number() ? x.tensor_ : y.tensor_;
    auto lift = [&](const Term& t) {
      return t.is_number() ? scalar(t.number_, like.defined() ? like.dtype() : c.dtype) : t.tensor_;
    };
    return Term(where(c.which, lift(x), lift(y)));
  }

 private:
  Tensor tensor_;
  double number_ = 0;
};

}  // namespace wengert::detail
