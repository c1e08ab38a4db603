#pragma once

#include "wengert/autodiff/model/model.h"

namespace wengert::detail {
[[noreturn]] WENGERT_API void wrong_extent(const Shape&, int rank);
}

namespace wengert::nn {

/// One number for each of `rank` spatial axes, `{3, 5}`, or one number for all axes, 3.
template <int rank>
class Extent {
 public:
  constexpr Extent(std::int64_t all = 0) { at_.fill(all); }
  constexpr Extent(std::int64_t a, std::int64_t b) requires(rank == 2) : at_{a, b} {}
  constexpr Extent(std::int64_t a, std::int64_t b, std::int64_t c) requires(rank == 3) : at_{a, b, c} {}
  /// From a shape with one number or with `rank` numbers. ShapeError for other shapes.
  explicit Extent(const Shape& s) {
    if (s.rank() != 1 && s.rank() != rank) wengert::detail::wrong_extent(s, rank);
    for (int i = 0; i < rank; ++i) at_[std::size_t(i)] = s[s.rank() == 1 ? 0 : i];
  }

  constexpr std::int64_t operator[](int i) const { return at_[std::size_t(i)]; }
  operator Shape() const { return Shape(std::span<const std::int64_t>(at_)); }
  constexpr std::int64_t product() const {
    std::int64_t n = 1;
    for (auto i : at_) n *= i;
    return n;
  }

 private:
  std::array<std::int64_t, rank> at_{};
};

}  // namespace wengert::nn

namespace wengert::detail {
template <int rank> inline constexpr Part standard_part<nn::Extent<rank>> = Part::nothing;
}
