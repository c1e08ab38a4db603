#pragma once

#include "wengert/autodiff/tape/tensor.h"

#include <concepts>
#include <memory>
#include <tuple>

namespace wengert {

namespace detail {
struct ParamAccess;
}

/// A trained tensor: a member of a model that optimizers change and files keep. Made from a Tensor:
///
///   struct Neuron {
///     Param weight = zeros({3}), bias = zeros({});
///     Tensor operator()(const Tensor& x) const { return tanh(sum(weight * x) + bias); }
///   };
///
/// It holds numbers of its own and is a leaf of the tape: backward() leaves its gradient in grad(). Copying is deep, so
/// that `Neuron b = a` can be trained without touching a. So `auto w = a.weight` is another leaf than a.weight, and what
/// backward() leaves in it is lost to a; write `const auto& w` (nn::lint tells). In the gradients and the moments of a model, which have the
/// model's type, a Param is the plain number: off the tape, no leaf. Inside a transform (transforms.h) the Params of
/// the model that f receives are the variables; copies of them stay connected.
class WENGERT_API Param : public Tensor {
 public:
  /// Undefined: a parameter that is not there, as the bias of a layer without one. It is skipped everywhere.
  Param() { role_ = detail::Role::trained; }
  /// Takes over the numbers when nobody else holds them, else copies them. From a tensor on the tape: stays on the
  /// tape, and is not a leaf (a parameter that is computed). TypeError unless float32 or float64.
  Param(Tensor value, Where = Where::current());
  Param(const Param&);
  Param(Param&& o) noexcept : Tensor(std::move(o)) { role_ = std::exchange(o.role_, detail::Role::trained); }
  Param& operator=(const Param& o) { return *this = Param(o); }
  Param& operator=(Param&& o) noexcept {
    exchange_value(o);
    std::swap(role_, o.role_);
    return *this;
  }
  /// A new value. A leaf becomes another leaf, also through a Tensor&; the value must not be on the tape (GraphError):
  /// a loop of `w = w - 0.1 * g` would keep the graphs of all its steps. Compute it under no_grad, or change the
  /// elements in place: w.assign(w - 0.1 * g). `w -= 0.1 * g` and its like do that; they, too, belong under no_grad.
  template <std::same_as<Tensor> T>
  Param& operator=(T value) {
    Tensor::operator=(std::move(value));
    return *this;
  }

  /// A leaf of the tape, to be trained; false for gradients, moments, the variables of a transform and what is frozen.
  bool is_trained() const { return role_ == detail::Role::trained && defined(); }
  /// Out of training until unfreeze(): off the tape and left undefined by transforms in the gradients of a model; clips,
  /// optimizers and flatten() pass over it. A copy is frozen, too. Files do not tell: what is loaded into a frozen Param
  /// stays frozen, and what is saved may be loaded into one that is trained.
  void freeze();
  void unfreeze();
  bool is_frozen() const { return role_ == detail::Role::frozen; }

 private:
  friend struct detail::ParamAccess;
  Param(Tensor value, detail::Role role) : Tensor(std::move(value)) { role_ = role; }
};

/// A tensor with numbers of its own that is not trained but changed in place, like running statistics. Copying is deep,
/// as for a Param; the copy of a model that a transform hands to f shares them, so that what f changes is changed in
/// the model. A plain Tensor member does for what never changes.
class WENGERT_API Buffer : public Tensor {
 public:
  Buffer() = default;
  Buffer(Tensor value);
  Buffer(const Buffer&);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(const Buffer& o) { return *this = Buffer(o); }
  Buffer& operator=(Buffer&&) noexcept = default;
  template <std::same_as<Tensor> T>
  Buffer& operator=(T value) {
    return *this = Buffer(std::move(value));
  }
};

namespace detail {

/// The library's own way into a Param.
struct ParamAccess {
  /// The number alone: a gradient, a moment.
  static Param plain(Tensor value) { return Param(std::move(value), Role::value); }
};

template <class T>
struct OwnedOf {
  using type = T;
};
template <class... T>
struct OwnedOf<std::tuple<T...>> {
  using type = std::tuple<std::remove_cvref_t<T>...>;
};
template <class T, class U>
struct OwnedOf<std::pair<T, U>> {
  using type = std::pair<std::remove_cvref_t<T>, std::remove_cvref_t<U>>;
};
/// The type of copies and gradients of a T: std::tie(a, b) refers to models, and a copy of it holds models of its own.
template <class T>
using Owned = typename OwnedOf<T>::type;

/// How Params are copied on this thread. Deep unless a CopyScope says otherwise.
enum class Copy : char { deep, share };

/// While this object lives, models are copied as a whole: Shared members that were one stay one. With Copy::share,
/// Params and Buffers of the copy share their numbers and have no leaf.
class WENGERT_API CopyScope {
 public:
  explicit CopyScope(Copy how);
  ~CopyScope();
  CopyScope(const CopyScope&) = delete;

  Copy how() const { return how_; }
  /// The copy that was made of `original` in this scope, or null.
  std::shared_ptr<void> find(const void* original) const;
  void remember(const void* original, std::shared_ptr<void> copy);

 private:
  Copy how_;
  CopyScope* outer_;
  std::vector<std::pair<const void*, std::shared_ptr<void>>> pairs_;
};
WENGERT_API CopyScope* copy_scope();
[[noreturn]] WENGERT_API void copied_alone();

}  // namespace detail

/// A part of a model that stands in several places of it: trained, counted and saved once.
///
///   struct Tied {
///     Shared<nn::Linear> first{nn::Linear(8, 8)}, second = share(first);
///   };
///
/// A model that has Shared members is copied by copy(model); `Tied b = a` is a GraphError, since it could not keep the
/// two together.
template <class T>
class Shared {
 public:
  Shared(T value) : value_(std::make_shared<T>(std::move(value))) {}
  Shared(const Shared& o) {
    auto* scope = detail::copy_scope();
    if (!scope) detail::copied_alone();
    value_ = std::static_pointer_cast<T>(scope->find(o.value_.get()));
    if (value_) return;
    value_ = std::make_shared<T>(*o.value_);
    scope->remember(o.value_.get(), value_);
  }
  Shared(Shared&&) noexcept = default;
  Shared& operator=(const Shared& o) { return *this = Shared(o); }
  Shared& operator=(Shared&&) noexcept = default;

  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  template <class... X>
  auto operator()(X&&... x) const -> decltype(std::declval<const T&>()(std::forward<X>(x)...)) {
    return std::as_const(*value_)(std::forward<X>(x)...);
  }

  /// Another handle on the same part.
  friend Shared share(const Shared& x) { return Shared(x.value_); }

 private:
  explicit Shared(std::shared_ptr<T> value) : value_(std::move(value)) {}
  std::shared_ptr<T> value_;
};

/// A deep copy of a model; the only way for one that has Shared members.
template <class M>
detail::Owned<M> copy(const M& model) {
  detail::CopyScope whole(detail::Copy::deep);
  return model;
}

}  // namespace wengert
