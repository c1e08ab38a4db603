#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace wengert::data {
namespace {

// A copy of these rows. All indices must be in range.
Tensor gather(const Tensor& x, Rows numbers) {
  if (!x.defined()) return x;
  const auto n = static_cast<std::int64_t>(numbers.size());
  Shape shape = x.shape();
  const auto rows = std::exchange(shape[0], n);
  Tensor result = empty(shape, x.dtype());
  const auto row = static_cast<std::size_t>(rows ? x.numel() / rows : 0) * size_of(x.dtype());
  const auto* from = detail::data<std::byte>(x);
  auto* to = detail::fresh<std::byte>(result);
  const auto* index = numbers.data();
  const auto grain = std::max<std::int64_t>(1, kernels::grain_elements * 4 / static_cast<std::int64_t>(row + 1));
  kernels::parallel_for(n, grain, [&](std::int64_t first, std::int64_t last) {
    for (auto i = first; i < last; ++i)
      std::memcpy(to + static_cast<std::size_t>(i) * row, from + static_cast<std::size_t>(index[i]) * row, row);
  });
  return result;
}

Dataset rows(const Dataset& d, const Tensor& order, std::int64_t begin, std::int64_t n) {
  if (order.defined())
    return detail::take_checked(
        d, order.read<std::int64_t>().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n)));
  return {narrow(d.x, 0, begin, n), d.y.defined() ? narrow(d.y, 0, begin, n) : d.y};
}

Tensor draw_order(const Shuffle& shuffle, std::int64_t n) {
  if (!shuffle) return {};
  return (shuffle.rng() ? *shuffle.rng() : default_rng()).permutation(n);
}

}  // namespace
}  // namespace wengert::data

namespace wengert::detail {

data::Dataset checked_rows(const char* who, const data::Dataset& d, Where where) {
  if (!d.x.defined()) fail<ValueError>(where, "{}: the data set has no x", who);
  if (d.x.rank() == 0 || (d.y.defined() && (d.y.rank() == 0 || d.y.size(0) != d.x.size(0))))
    fail<ShapeError>(where, "{}: x and y must have the same number of rows, got {} and {}", who, d.x.shape(),
                     d.y.defined() ? d.y.shape() : Shape{});
  return {contiguous(d.x.detach()), d.y.defined() ? contiguous(d.y.detach()) : d.y};
}

data::Dataset take_checked(const data::Dataset& d, data::Rows rows) {
  return {data::gather(d.x, rows), data::gather(d.y, rows)};
}

}  // namespace wengert::detail

namespace wengert::data {

Dataset take(const Dataset& data, Rows rows, Where where) {
  const Dataset d = detail::checked_rows("take", data, where);
  for (const auto i : rows)
    if (i < 0 || i >= d.size()) fail<ValueError>(where, "take: there is no row {}; there are {}", i, d.size());
  return detail::take_checked(d, rows);
}

Split split(const Dataset& data, SplitOptions options, Where where) {
  if (!(options.test >= 0 && options.test <= 1))
    fail<ValueError>(where, "split: test must be in [0, 1], got {}", options.test);
  const Dataset d = detail::checked_rows("split", data, where);
  const Tensor order = draw_order(options.shuffle, d.size());
  const std::int64_t test = std::llround(options.test * static_cast<double>(d.size())), train = d.size() - test;
  return {rows(d, order, 0, train), rows(d, order, train, test)};
}

Batches::Batches(const Dataset& data, BatchOptions options, Where where) : batch_size_(options.batch_size) {
  if (batch_size_ < 1) fail<ValueError>(where, "batches: batch_size must be >= 1, got {}", batch_size_);
  data_ = detail::checked_rows("batches", data, where);
  order_ = draw_order(options.shuffle, data_.size());
  count_ = data_.size() / batch_size_ + (!options.drop_last && data_.size() % batch_size_ != 0);
}

Dataset Batches::operator[](std::int64_t i) const {
  return rows(data_, order_, i * batch_size_, std::min(batch_size_, data_.size() - i * batch_size_));
}

Batches batches(const Dataset& data, BatchOptions options, Where where) { return {data, options, where}; }

}  // namespace wengert::data
