#pragma once

// A chain of layers, each with its own type.
//
//   nn::Sequential net(nn::Linear(784, 128), relu, nn::Dropout{0.2}, nn::Linear(128, 10));
//   Tensor y = net(x, nn::training(rng));

#include "wengert/autodiff/model/model.h"
#include "wengert/nn/mode.h"

namespace wengert::detail {

/// "0", "1", ...
template <std::size_t i>
inline constexpr auto index_digits = [] {
  static_assert(i < 1000);
  std::array<char, 3> digits{};
  if constexpr (i < 10) digits = {char('0' + i)};
  else if constexpr (i < 100) digits = {char('0' + i / 10), char('0' + i % 10)};
  else digits = {char('0' + i / 100), char('0' + i / 10 % 10), char('0' + i % 10)};
  return digits;
}();
template <std::size_t i>
inline constexpr std::string_view index_name{index_digits<i>.data(), i < 10    ? 1u
                                                                     : i < 100 ? 2u
                                                                               : 3u};

}  // namespace wengert::detail

namespace wengert::nn {

/// f_n(... f_1(x)).  A layer may be a layer of nn, a model, a function such as relu, or a lambda without captures. The
/// names of parameters begin with the index of their layer as in PyTorch, "0.weight". A mode is passed to the layers
/// that take one; without such layers the call needs no mode. A Sequential without layers returns x.
template <class... Layers>
struct Sequential {
  std::tuple<Layers...> layers;

  Sequential(Layers... all) : layers(std::move(all)...) {}

  Tensor operator()(Operand x) const {
    static_assert(
        (std::is_invocable_v<const Layers&, Operand> && ...),
        "wengert: a layer of this Sequential behaves differently in training (dropout, batch norm): call it as "
        "seq(x, mode), with nn::training(rng) or nn::eval");
    return std::apply([&](const auto&... f) { return run<false>(x, Mode(), f...); }, layers);
  }
  Tensor operator()(Operand x, Mode mode) const {
    return std::apply([&](const auto&... f) { return run<true>(x, mode, f...); }, layers);
  }

  template <std::size_t i> auto& get() { return std::get<i>(layers); }
  template <std::size_t i> const auto& get() const { return std::get<i>(layers); }
  static constexpr std::size_t size() { return sizeof...(Layers); }

  static auto members(auto& self) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return fields(field(wengert::detail::index_name<I>, std::get<I>(self.layers))...);
    }(std::make_index_sequence<sizeof...(Layers)>());
  }

 private:
  template <bool with_mode, class... F>
  static Tensor run(Operand x, [[maybe_unused]] Mode mode, const F&... all) {
    Tensor y = x;
    [[maybe_unused]] auto step = [&](const auto& f) {
      const Operand in(y, x.where());
      if constexpr (with_mode && std::is_invocable_v<decltype(f), Operand, Mode>) return f(in, mode);
      else return f(in);
    };
    ((y = step(all)), ...);
    return y;
  }
};

}  // namespace wengert::nn
