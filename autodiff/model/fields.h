#pragma once

// Compile-time reflection of plain structs: the number, names and references of an aggregate's members. Other types list
// their members themselves (model.h).

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace wengert::detail {

inline constexpr int max_fields = 36;

/// Converts to any type, so that initializers of T can be tried at compile time. Never runs; Clang requires the body.
struct Anything {
  template <class U>
  operator U() const noexcept {
    __builtin_unreachable();
  }
};
template <std::size_t>
using AnythingAt = Anything;
/// Converts to any base class of T.
template <class T>
struct AnyBase {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U() const noexcept;
};

template <class T, std::size_t... I>
consteval bool takes(std::index_sequence<I...>) {
  return requires { T{AnythingAt<I>()...}; };
}

/// The number of members of an aggregate: the length of the longest initializer that it accepts. -1 when it accepts none
/// of at most max_fields elements.
template <class T, int n = 0, bool found = false>
consteval int count_fields() {
  if constexpr (n > max_fields + 1) return -1;
  else if constexpr (takes<T>(std::make_index_sequence<n>())) return count_fields<T, n + 1, true>();
  else if constexpr (found) return n - 1;
  else return count_fields<T, n + 1, false>();
}

/// An array member `T x[3]` takes three initializers, which makes the count of members wrong. Such a member is detected by
/// an initializer {a, b} at its place, after which fewer members than counted remain.
template <class T, std::size_t... Before, std::size_t... After>
consteval bool takes_pair(std::index_sequence<Before...>, std::index_sequence<After...>) {
  return requires { T{AnythingAt<Before>()..., {Anything(), Anything()}, AnythingAt<After>()...}; };
}
template <class T, std::size_t n, std::size_t i>
consteval bool is_array_at() {
  if constexpr (!takes_pair<T>(std::make_index_sequence<i>(), std::index_sequence<>())) return false;
  else return !takes_pair<T>(std::make_index_sequence<i>(), std::make_index_sequence<n - 1 - i>());
}
template <class T, std::size_t n>
consteval bool has_array() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return (is_array_at<T, n, I>() || ...);
  }(std::make_index_sequence<n>());
}
template <class T>
consteval bool has_base() {
  if constexpr (std::is_empty_v<T>) return false;
  else return requires { T{AnyBase<T>()}; };
}

template <class... T>
constexpr std::tuple<T&...> references(T&... x) {
  return {x...};
}

/// References to the n members of an aggregate, one line for each n, until structured bindings can introduce a pack
/// (P1061, C++26).
template <int n, class T>
constexpr auto members_of([[maybe_unused]] T& m) {
  if constexpr (n == 0) {
    return std::tuple<>();
  } else if constexpr (n == 1) {
    auto& [a] = m;
    return references(a);
  } else if constexpr (n == 2) {
    auto& [a, b] = m;
    return references(a, b);
  } else if constexpr (n == 3) {
    auto& [a, b, c] = m;
    return references(a, b, c);
  } else if constexpr (n == 4) {
    auto& [a, b, c, d] = m;
    return references(a, b, c, d);
  } else if constexpr (n == 5) {
    auto& [a, b, c, d, e] = m;
    return references(a, b, c, d, e);
  } else if constexpr (n == 6) {
    auto& [a, b, c, d, e, f] = m;
    return references(a, b, c, d, e, f);
  } else if constexpr (n == 7) {
    auto& [a, b, c, d, e, f, g] = m;
    return references(a, b, c, d, e, f, g);
  } else if constexpr (n == 8) {
    auto& [a, b, c, d, e, f, g, h] = m;
    return references(a, b, c, d, e, f, g, h);
  } else if constexpr (n == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = m;
    return references(a, b, c, d, e, f, g, h, i);
  } else if constexpr (n == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = m;
    return references(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (n == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (n == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (n == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o);
  } else if constexpr (n == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p);
  } else if constexpr (n == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q);
  } else if constexpr (n == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r);
  } else if constexpr (n == 17) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s);
  } else if constexpr (n == 18) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t);
  } else if constexpr (n == 19) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u);
  } else if constexpr (n == 20) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v);
  } else if constexpr (n == 21) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w);
  } else if constexpr (n == 22) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x);
  } else if constexpr (n == 23) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y);
  } else if constexpr (n == 24) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z);
  } else if constexpr (n == 25) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A);
  } else if constexpr (n == 26) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B);
  } else if constexpr (n == 27) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C);
  } else if constexpr (n == 28) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D);
  } else if constexpr (n == 29) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E);
  } else if constexpr (n == 30) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F);
  } else if constexpr (n == 31) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G);
  } else if constexpr (n == 32) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H);
  } else if constexpr (n == 33) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H,
                      I);
  } else if constexpr (n == 34) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I,
                      J);
  } else if constexpr (n == 35) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J, K] = m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I,
                      J, K);
  } else if constexpr (n == 36) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J, K, L] =
        m;
    return references(a, b, c, d, e, f, g, h, i, j, k, l, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I,
                      J, K, L);
  }
}

/// Storage that gives the members of T constant addresses. No T is constructed.
template <class T>
union Example {
  char none;
  T value;
  constexpr Example() : none() {}
  constexpr ~Example() {}
};
template <class T>
inline constinit Example<T> example{};

/// The name of the member that a pointer refers to. The compiler prints the pointer as
/// `(& example<Mlp>.Example<Mlp>::value.Mlp::hidden)` (GCC) or `&example.value.hidden` (Clang), with the name last.
template <auto pointer>
consteval std::string_view last_word() {
  constexpr auto part_of_a_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  std::string_view text = __PRETTY_FUNCTION__;
  if (const auto more = text.find("; std::string_view"); more != text.npos) text = text.substr(0, more);
  std::size_t end = text.size();
  while (end > 0 && !part_of_a_name(text[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && part_of_a_name(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

template <class T, int n>
inline constexpr auto example_members = members_of<n>(example<T>.value);

/// The names of the n members of an aggregate.
template <class T, int n>
consteval std::array<std::string_view, n> names_of() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, n>{last_word<&std::get<I>(example_members<T, n>)>()...};
  }(std::make_index_sequence<n>());
}

}  // namespace wengert::detail
