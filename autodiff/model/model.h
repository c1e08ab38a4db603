#pragma once

// A model is a plain struct. Its members are found by the compiler: no base class, no macro, no registration.
//
//   struct Mlp {
//     nn::Linear hidden{784, 128}, output{128, 10};
//     Param gain = ones({1});
//     Tensor operator()(const Tensor& x) const { return output(gain * relu(hidden(x))); }
//   };
//
// Followed are members that are structs themselves, std::vector, array, optional, tuple, pair and variant of such, and
// Shared. Param members are trained; Tensor and Buffer members are saved but not trained; numbers, enums, strings,
// Shapes and pointers to functions are left alone. Any other member is a compile-time error, so that no parameter stays
// untrained without a word. The name of a tensor is the path to it: "hidden.weight", "blocks.0.bias".
//
// A class with a constructor or private members names them:
//
//   class Linear {
//    public:
//     static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias)); }
//     ...
//
// The same as a free function members(T&), found beside T, serves a type that cannot be changed. Where only a run tells
// how many there are, the class lists them and makes up their names:
//
//     static auto& listed(auto& self) { return self.weights; }                     // a std::vector
//     std::string_view name_of(std::size_t i, std::span<char, 64> room) const;     // may write it to `room`
//
//
// Everything derived from a model has the model's type: gradients, moments, averages.

#include "wengert/autodiff/model/fields.h"
#include "wengert/autodiff/model/param.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace wengert {

/// A member and its name, for members().
template <class T>
struct Field {
  std::string_view name;
  T& value;
};
template <class T>
Field<T> field(std::string_view name, T& value) {
  return {name, value};
}
/// What members() returns.
template <class... T>
std::tuple<Field<T>...> fields(Field<T>... f) {
  return {f...};
}

namespace detail {

enum class Part {
  param,
  tensor,
  nothing,
  sequence,
  optional,
  tuple,
  variant,
  shared,
  named,
  listed,
  structure,
  unknown
};

template <class T> inline constexpr Part standard_part = Part::unknown;
template <class T> inline constexpr Part standard_part<std::vector<T>> = Part::sequence;
template <class T, std::size_t n> inline constexpr Part standard_part<std::array<T, n>> = Part::sequence;
template <class T> inline constexpr Part standard_part<std::optional<T>> = Part::optional;
template <class... T> inline constexpr Part standard_part<std::tuple<T...>> = Part::tuple;
template <class T, class U> inline constexpr Part standard_part<std::pair<T, U>> = Part::tuple;
template <class... T> inline constexpr Part standard_part<std::variant<T...>> = Part::variant;
template <class T> inline constexpr Part standard_part<Shared<T>> = Part::shared;
template <> inline constexpr Part standard_part<std::string> = Part::nothing;
template <> inline constexpr Part standard_part<std::string_view> = Part::nothing;
template <> inline constexpr Part standard_part<Shape> = Part::nothing;
template <> inline constexpr Part standard_part<Param> = Part::param;
template <> inline constexpr Part standard_part<Tensor> = Part::tensor;
template <> inline constexpr Part standard_part<Buffer> = Part::tensor;

template <class T>
concept NamesMembers = requires(T& t) { T::members(t); } || requires(T& t) { members(t); };
template <class T>
concept ListsMembers = requires(T& t) { T::listed(t); };

template <class T>
consteval Part part_of() {
  if constexpr (standard_part<T> != Part::unknown) return standard_part<T>;
  else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) return Part::nothing;
  else if constexpr (std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>) return Part::nothing;
  else if constexpr (NamesMembers<T>) return Part::named;
  else if constexpr (ListsMembers<T>) return Part::listed;
  else if constexpr (std::is_empty_v<T>) return Part::nothing;
  else if constexpr (std::is_aggregate_v<T> && std::is_class_v<T>) return Part::structure;
  else return Part::unknown;
}

template <class Members> inline constexpr bool has_const = false;
template <class... M>
inline constexpr bool has_const<std::tuple<M&...>> =
    ((std::is_const_v<M> && part_of<std::remove_const_t<M>>() != Part::nothing) || ...);

/// The sentences that a model of the wrong kind is met with.
template <class T>
consteval void check_part() {
  constexpr Part part = part_of<T>();
  static_assert(!std::is_array_v<T>, "wengert: a model has an array member T x[n]; write std::array<T, n> x");
  static_assert(part != Part::unknown || std::is_array_v<T> || std::is_class_v<T>,
                "wengert: a model has a pointer or reference member, behind which parameters would stay untrained and "
                "unsaved; hold the part by "
                "value, in std::optional or std::vector, or in wengert::Shared if it stands in several places");
  static_assert(
      part != Part::unknown || !std::is_class_v<T>,
      "wengert: a model is, or has a member of, a type that cannot be seen through (a class with constructors or "
      "private members, a smart pointer, a std::function, a map), in which parameters would stay untrained and "
      "unsaved. Sizes that are known at run time need no constructor: struct Mlp { nn::Linear hidden, output; }; "
      "Mlp mlp(int n) { return {.hidden{64, n}, .output{n, 10}}; }. A class with a constructor names its "
      "members: static auto members(auto& self) { return fields(field(\"hidden\", self.hidden), "
      "field(\"output\", self.output)); }. Hold other parts by value, in std::vector, std::optional or "
      "wengert::Shared.");
  if constexpr (part == Part::structure) {
    static_assert(!has_base<T>(),
                  "wengert: a model struct has a base class, whose members cannot be seen; make the base a member, or "
                  "give your struct: static auto "
                  "members(auto& self) { return fields(field(\"weight\", self.weight)); }");
    static_assert(has_base<T>() || count_fields<T>() >= 0,
                  "wengert: the members of a model struct cannot be listed: it has more than 36 of them, a reference "
                  "member, or one that cannot be "
                  "copied; group members into structs, or give your struct: static auto members(auto& self) { return "
                  "fields(field(\"weight\", "
                  "self.weight)); }");
    if constexpr (!has_base<T>() && count_fields<T>() > 0) {
      static_assert(!has_array<T, count_fields<T>()>(),
                    "wengert: a model struct has an array member T x[n]; write std::array<T, n> x");
      if constexpr (!has_array<T, count_fields<T>()>())
        static_assert(!has_const<decltype(members_of<count_fields<T>()>(std::declval<T&>()))>,
                      "wengert: a const member of a model can be neither trained nor filled; drop the const");
    }
  }
}

/// The place in a model, built up while it is walked; on the heap only when longer than a line.
class WENGERT_API Path {
 public:
  /// Goes one step down; gives what leave() needs to come back.
  std::size_t enter(std::string_view name);
  std::size_t enter(std::size_t index);
  void leave(std::size_t length) { size_ = length; }
  std::string_view view() const { return {long_.empty() ? short_ : long_.data(), size_}; }

 private:
  std::size_t size_ = 0;
  char short_[240];
  std::string long_;
};

[[noreturn]] WENGERT_API void models_differ(std::string_view path, Where);

/// Visits nothing.
struct Skip {
  template <class... T>
  void operator()(std::string_view, T&...) const {}
};

/// Walks one model, or several of one type in step. on_variable(path, t...) is called for what is trained: Params, and
/// Tensors outside any struct, alone or in containers. on_buffer(path, t...) is called for every other tensor. Undefined
/// tensors are visited too. The path is empty unless `names`. Allocates nothing.
template <bool names, class OnVariable, class OnBuffer>
struct Walk {
  OnVariable& on_variable;
  OnBuffer& on_buffer;
  Where where;
  Path path{};
  std::vector<const void*> visited{};  // Shared parts

  template <bool top, class M, class... More>
  void part(M& m, More&... more) {
    using T = std::remove_const_t<M>;
    constexpr Part part = part_of<T>();
    check_part<T>();
    if constexpr (part == Part::param) {
      on_variable(path.view(), m, more...);
    } else if constexpr (part == Part::tensor) {
      if constexpr (top && std::is_same_v<T, Tensor>) on_variable(path.view(), m, more...);
      else on_buffer(path.view(), m, more...);
    } else if constexpr (part == Part::sequence) {
      sequence<top>(m, more...);
    } else if constexpr (part == Part::optional) {
      if (((m.has_value() != more.has_value()) || ...)) models_differ(path.view(), where);
      if (m.has_value()) this->template part<top>(*m, *more...);
    } else if constexpr (part == Part::variant) {
      if (((m.index() != more.index()) || ...)) models_differ(path.view(), where);
      alternatives<top>(std::make_index_sequence<std::variant_size_v<T>>(), m, more...);
    } else if constexpr (part == Part::shared) {
      const void* identity = &*m;
      for (const void* other : visited)
        if (other == identity) return;
      visited.push_back(identity);
      this->template part<false>(*m, *more...);
    } else if constexpr (part == Part::tuple) {
      elements<top>(std::make_index_sequence<std::tuple_size_v<T>>(), m, more...);
    } else if constexpr (part == Part::named) {
      named_members(members_as_named(m), members_as_named(more)...);
    } else if constexpr (part == Part::listed) {
      listed_members(m, T::listed(m), T::listed(more)...);
    } else if constexpr (part == Part::structure) {
      if constexpr (!has_base<T>() && count_fields<T>() > 0) {
        constexpr int n = count_fields<T>();
        struct_members<T, n>(std::make_index_sequence<n>(), members_of<n>(m), members_of<n>(more)...);
      }
    }
  }

  template <bool top, class M, class... More>
  void sequence(M& m, More&... more) {
    using E = typename M::value_type;
    check_part<E>();
    if constexpr (part_of<E>() != Part::nothing) {
      if (((m.size() != more.size()) || ...)) models_differ(path.view(), where);
      for (std::size_t i = 0; i < m.size(); ++i) step<top>(i, m[i], more[i]...);
    }
  }
  template <bool top, std::size_t... I, class M, class... More>
  void alternatives(std::index_sequence<I...>, M& m, More&... more) {
    auto one = [&]<std::size_t i>() {
      if (m.index() == i) this->template part<top>(std::get<i>(m), std::get<i>(more)...);
    };
    (one.template operator()<I>(), ...);
  }
  template <bool top, std::size_t... I, class M, class... More>
  void elements(std::index_sequence<I...>, M& m, More&... more) {
    auto one = [&]<std::size_t i>() { step<top>(i, std::get<i>(m), std::get<i>(more)...); };
    (one.template operator()<I>(), ...);
  }
  template <class T, int n, std::size_t... I, class... Members>
  void struct_members(std::index_sequence<I...>, Members... all) {
    auto one = [&]<std::size_t i>() { step<false>(names_of_struct<T, n>[i], std::get<i>(all)...); };
    (one.template operator()<I>(), ...);
  }
  template <class T, int n>
  static constexpr auto names_of_struct = names_of<T, n>();

  template <class M>
  static auto members_as_named(M& m) {
    if constexpr (requires { M::members(m); }) return M::members(m);
    else return members(m);
  }
  template <class First, class... More>
  void named_members(First first, More... more) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      auto one = [&]<std::size_t i>() {
        step<false>(std::get<i>(first).name, std::get<i>(first).value, std::get<i>(more).value...);
      };
      (one.template operator()<I>(), ...);
    }(std::make_index_sequence<std::tuple_size_v<First>>());
  }

  template <class Owner, class First, class... More>
  void listed_members(const Owner& owner, First& first, More&... more) {
    if (((first.size() != more.size()) || ...)) models_differ(path.view(), where);
    char room[64];
    for (std::size_t i = 0; i < first.size(); ++i)
      step<false>(names ? owner.name_of(i, room) : std::string_view(), first[i], more[i]...);
  }

  template <bool top, class Name, class... M>
  void step(Name name, M&... m) {
    if constexpr (part_of<std::remove_const_t<std::tuple_element_t<0, std::tuple<M...>>>>() == Part::nothing) return;
    if constexpr (names) {
      const std::size_t back = path.enter(name);
      this->template part<top>(m...);
      path.leave(back);
    } else {
      this->template part<top>(m...);
    }
  }
};

template <bool names = false, class OnVariable, class OnBuffer, class... M>
void walk(OnVariable&& on_variable, OnBuffer&& on_buffer, Where where, M&... models) {
  Walk<names, OnVariable, OnBuffer> walk{on_variable, on_buffer, where};
  walk.template part<true>(models...);
}

/// Calls f(path, t...), or f(t...) if it takes no path, unless the first tensor is undefined, or frozen and `trained`.
template <class F, bool trained = false>
struct IfDefined {
  F& f;
  template <class T, class... More>
  void operator()(std::string_view path, T& t, More&... more) const {
    if (!t.defined() || (trained && Access::role(t) == Role::frozen)) return;
    if constexpr (std::is_invocable_v<F&, std::string_view, T&, More&...>) f(path, t, more...);
    else f(t, more...);
  }
};
// Both forms of f may be generic lambdas, so only the number of arguments tells whether it takes a path.
template <class F, class... M>
inline constexpr bool takes_path =
    std::is_invocable_v<F&, std::string_view, std::conditional_t<std::is_const_v<M>, const Param, Param>&...>;

template <class F, class... M>
void walk_params(F& f, Where where, M&... models) {
  detail::walk<takes_path<F, M...>>(IfDefined<F>{f}, Skip(), where, models...);
}
template <class F, class... M>
void walk_trained(F& f, Where where, M&... models) {
  detail::walk<takes_path<F, M...>>(IfDefined<F, true>{f}, Skip(), where, models...);
}
template <class F, class... M>
void walk_tensors(F& f, Where where, M&... models) {
  const IfDefined<F> visit{f};
  detail::walk<takes_path<F, M...>>(visit, visit, where, models...);
}

}  // namespace detail

/// Calls f(path, param), or f(param), for every trained tensor in the order of the members: Params, and Tensors outside
/// any struct. Several models of one type are walked in step: f(path, param of a, param of b). Params that are undefined
/// in the first model are skipped. The path is valid during the call. Allocates nothing. ValueError when lengths of
/// vectors, or what optionals and variants hold, differ between the models.
///
///   for_each_param(average, model, [](Param& a, const Param& w) { a.assign(0.99 * a + 0.01 * w); });
template <class Model, class F>
void for_each_param(Model&& model, F&& f, Where where = Where::current()) {
  detail::walk_params(f, where, model);
}
template <class A, class B, class F>
void for_each_param(A&& a, B&& b, F&& f, Where where = Where::current()) {
  detail::walk_params(f, where, a, b);
}
template <class A, class B, class C, class F>
void for_each_param(A&& a, B&& b, C&& c, F&& f, Where where = Where::current()) {
  detail::walk_params(f, where, a, b, c);
}

/// The same without Params that are frozen in the first model.
template <class Model, class F>
void for_each_trained(Model&& model, F&& f, Where where = Where::current()) {
  detail::walk_trained(f, where, model);
}
template <class A, class B, class F>
void for_each_trained(A&& a, B&& b, F&& f, Where where = Where::current()) {
  detail::walk_trained(f, where, a, b);
}

/// The same for all tensors, trained or not. f takes auto&, or const Tensor&: some are Params, some Buffers, some
/// Tensors.
template <class Model, class F>
void for_each_tensor(Model&& model, F&& f, Where where = Where::current()) {
  detail::walk_tensors(f, where, model);
}
template <class A, class B, class F>
void for_each_tensor(A&& a, B&& b, F&& f, Where where = Where::current()) {
  detail::walk_tensors(f, where, a, b);
}

/// Handles on all Params, in order.
template <class M>
std::vector<Tensor> parameters(const M& model) {
  std::vector<Tensor> all;
  for_each_param(model, [&](const Tensor& w) { all.push_back(w); });
  return all;
}

/// The same with their names.
template <class M>
std::vector<std::pair<std::string, Tensor>> named_parameters(const M& model) {
  std::vector<std::pair<std::string, Tensor>> all;
  for_each_param(model, [&](std::string_view name, const Tensor& w) { all.emplace_back(name, w); });
  return all;
}

/// The number of trained elements: those of all Params that are not frozen.
template <class M>
std::int64_t num_parameters(const M& model) {
  std::int64_t n = 0;
  for_each_trained(model, [&](const Tensor& w) { n += w.numel(); });
  return n;
}

namespace detail {
/// Lines of a summary.
class WENGERT_API Table {
 public:
  void add(std::string_view name, const Tensor&, bool trained);
  std::string text() const;

 private:
  struct Row {
    std::string name, shape, count;
  };
  std::vector<Row> rows_;
  std::int64_t total_ = 0;
};
WENGERT_API void forget_gradient(const Tensor&);
}  // namespace detail

/// A table of all tensors: name, dtype and shape, number of elements; the last line is the number of trained ones.
template <class M>
std::string summary(const M& model) {
  detail::Table table;
  for_each_tensor(model, [&](std::string_view name, const auto& t) {
    table.add(name, t, std::is_same_v<decltype(t), const Param&> && detail::Access::role(t) != detail::Role::frozen);
  });
  return table.text();
}

/// Forgets what backward() left in the Params.
template <class M>
void zero_grad(const M& model) {
  for_each_param(model, [](const Tensor& w) { detail::forget_gradient(w); });
}

namespace detail {

WENGERT_API Tensor zeros_in_shape_of(const Tensor&);

/// A model of the same build whose tensors share numbers with the original and have no graph.
template <class M>
Owned<M> shared_copy(const M& model) {
  static_assert(std::is_copy_constructible_v<M>,
                "wengert: gradients and moments are copies of the model, so it must be possible to copy it; is there a "
                "std::unique_ptr in it?");
  CopyScope sharing(Copy::share);
  return model;
}

/// Makes a shared copy of a model the model of its gradients: every variable t becomes value(t), and what is not trained
/// becomes undefined. Params are plain values in it, not frozen.
template <class M, class F>
void fill_gradients(M& copy, F&& value) {
  detail::walk(
      [&](std::string_view, Tensor& t) {
        if (t.defined()) Access::become(t, value(std::as_const(t)));
      },
      [](std::string_view, Tensor& t) { t = Tensor(); }, Where(), copy);
}

}  // namespace detail

/// The model with zeros for its Params, off the tape: a place for sums, averages, moments. Buffers are undefined.
template <class M>
detail::Owned<M> zeros_like(const M& model) {
  detail::Owned<M> zero = detail::shared_copy(model);
  detail::fill_gradients(zero, detail::zeros_in_shape_of);
  return zero;
}

}  // namespace wengert
