#pragma once

#include "wengert/autodiff/tape/random.h"
#include "wengert/autodiff/tape/tensor.h"

#include <concepts>
#include <cstdint>
#include <span>

namespace wengert::data {

/// Examples x and their targets y: row i of x belongs to row i of y.
struct Dataset {
  Tensor x, y;

  /// Number of rows.
  std::int64_t size() const { return x.size(0); }
};

struct Split {
  Dataset train, test;
};

/// Whether rows come in random order, and which generator decides it: {.shuffle = true} or {.shuffle = rng}.
class Shuffle {
 public:
  Shuffle(std::same_as<bool> auto on = false) : on_(on) {}
  Shuffle(Rng& rng) : on_(true), rng_(&rng) {}

  explicit operator bool() const { return on_; }
  Rng* rng() const { return rng_; }  ///< null if none was given

 private:
  bool on_;
  Rng* rng_ = nullptr;
};

/// Indices of rows.
using Rows = std::span<const std::int64_t>;

/// A copy of these rows, off the tape. y may be undefined.  ValueError for an index out of range; ShapeError when x and
/// y have different numbers of rows.
WENGERT_API Dataset take(const Dataset&, Rows, Where = Where::current());

}  // namespace wengert::data

namespace wengert::detail {
/// A contiguous data set off the tape. Errors begin with `who`.
WENGERT_API data::Dataset checked_rows(const char* who, const data::Dataset&, Where);
/// take() without checks: the data set comes from checked_rows(), and the rows exist.
WENGERT_API data::Dataset take_checked(const data::Dataset&, data::Rows);
}  // namespace wengert::detail
