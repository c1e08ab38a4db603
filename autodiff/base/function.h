#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace wengert::detail {

/// Any function object that can be called with this signature; copies share it. std::function does the same, at the
/// compile time of <functional>.
template <class Signature>
class Function;

template <class R, class... A>
class Function<R(A...)> {
 public:
  template <class F>
  requires(!std::same_as<F, Function> && std::is_invocable_r_v<R, F&, A...>) Function(F f)
      : f_(std::make_shared<F>(std::move(f))),
        call_([](void* own, A... a) -> R { return static_cast<R>((*static_cast<F*>(own))(std::forward<A>(a)...)); }) {}
  R operator()(A... a) const { return call_(f_.get(), std::forward<A>(a)...); }

 private:
  std::shared_ptr<void> f_;
  R (*call_)(void*, A...);
};

}  // namespace wengert::detail
