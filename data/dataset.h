#pragma once

#include "wengert/autodiff/tape/tensor.h"

#include <cstdint>
#include <span>

namespace wengert::data {

/// Examples and what is known about them: row i of x belongs to row i of y.
struct Dataset {
  Tensor x, y;

  /// Number of rows.
  std::int64_t size() const { return x.size(0); }
};

struct Split {
  Dataset train, test;
};

/// Numbers of rows.
using Rows = std::span<const std::int64_t>;

/// These rows, copied, off the tape; y may be left undefined. ValueError for a number that no row has; ShapeError when
/// x and y differ in their rows.
WENGERT_API Dataset take(const Dataset&, Rows, Where = Where::current());

}  // namespace wengert::data

namespace wengert::detail {
/// Row-major and off the tape. Errors begin with `who`.
WENGERT_API data::Dataset checked_rows(const char* who, const data::Dataset&, Where);
/// take() of a data set that is checked already, and of rows that are there.
WENGERT_API data::Dataset take_checked(const data::Dataset&, data::Rows);
}  // namespace wengert::detail
