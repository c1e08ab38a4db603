#pragma once

#include "wengert/autodiff/base/export.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace wengert {

/// Element types. Derivatives exist for float32 and float64.
enum class DType : std::uint8_t { float32, float64, int64, boolean };
inline constexpr DType float32 = DType::float32, float64 = DType::float64, int64 = DType::int64,
                       boolean = DType::boolean;

/// "float32", "float64", "int64", "bool".
WENGERT_API std::string_view name(DType);
/// Bytes of one element.
constexpr std::size_t size_of(DType d) { return d == float32 ? 4 : d == boolean ? 1 : 8; }
constexpr bool is_float(DType d) { return d == float32 || d == float64; }

template <class T> inline constexpr DType dtype_of = DType::float32;
template <> inline constexpr DType dtype_of<double> = DType::float64;
template <> inline constexpr DType dtype_of<std::int64_t> = DType::int64;
template <> inline constexpr DType dtype_of<bool> = DType::boolean;
template <class T>
concept Element =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int64_t> || std::same_as<T, bool>;

inline constexpr int max_rank = 8;

/// Up to eight integers held inline: the sizes of the axes, their strides, or a list of axes.
class Shape {
 public:
  Shape() = default;
  /// One size, or one axis: zeros(5), sum(x, 0).
  template <class N> requires(std::is_integral_v<N> && !std::is_same_v<N, bool>) Shape(N size) {
    push_back(static_cast<std::int64_t>(size));
  }
  /// More than max_rank entries are a ShapeError.
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes) {
    for (auto s : sizes) push_back(s);
  }
  Shape(const Shape& o) noexcept { *this = o; }
  // Of sizes known when this is compiled: a copy of as many as there are would be a call. Not by <cstring>, which has
  // an index() that users who write `using namespace wengert` would meet.
  Shape& operator=(const Shape& o) noexcept {
    rank_ = o.rank_;
    __builtin_memcpy(at_, o.at_, sizeof at_ / 2);
    if (rank_ > max_rank / 2) __builtin_memcpy(at_, o.at_, sizeof at_);
    return *this;
  }

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::int64_t operator[](int i) const { return at_[i]; }
  std::int64_t& operator[](int i) { return at_[i]; }
  const std::int64_t* begin() const { return at_; }
  const std::int64_t* end() const { return at_ + rank_; }
  std::int64_t* begin() { return at_; }
  std::int64_t* end() { return at_ + rank_; }
  std::int64_t back() const { return at_[rank_ - 1]; }
  void push_back(std::int64_t s) {
    if (rank_ == max_rank) too_many();
    at_[rank_++] = s;
  }
  void erase(int i) {
    for (--rank_; i < rank_; ++i) at_[i] = at_[i + 1];
  }
  void insert(int i, std::int64_t s) {
    push_back(s);
    for (int j = rank_ - 1; j > i; --j) at_[j] = at_[j - 1];
    at_[i] = s;
  }
  /// Product of the sizes; 1 for a scalar.
  std::int64_t numel() const {
    std::int64_t n = 1;
#pragma GCC unroll 1  // there are few, and this stands in hundreds of places
    for (int i = rank_; i-- > 0;) n *= at_[i];
    return n;
  }
  bool contains(std::int64_t s) const {
    for (auto x : *this)
      if (x == s) return true;
    return false;
  }
  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
#pragma GCC unroll 1
    for (int i = a.rank_; i-- > 0;)
      if (a.at_[i] != b.at_[i]) return false;
    return true;
  }

 private:
  [[noreturn]] WENGERT_API static void too_many();
  std::int64_t at_[max_rank];
  std::int32_t rank_ = 0;
};

/// "[32, 784]".
WENGERT_API std::string to_string(const Shape&);
/// The same to a stream; the program includes <iostream>.
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const Shape& shape) {
  return out << to_string(shape);
}
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, DType dtype) {
  return out << name(dtype);
}

/// Row-major strides in elements.
inline Shape contiguous_strides(const Shape& s) {
  Shape r = s;
  std::int64_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) r[i] = step, step *= s[i];
  return r;
}

}  // namespace wengert
