#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/parallel.h"
#include "wengert/autodiff/random.h"
#include "wengert/data/data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace wengert::data {
namespace {

// Row-major and off the tape; y may be absent.
Dataset checked(const char* who, const Dataset& d, Where where) {
  if (!d.x.defined()) fail<ValueError>(where, "{}: the data set has no x", who);
  if (d.x.rank() == 0 || (d.y.defined() && (d.y.rank() == 0 || d.y.size(0) != d.x.size(0))))
    fail<ShapeError>(where, "{}: x and y must have the same number of rows, got {} and {}", who, d.x.shape(),
                     d.y.defined() ? d.y.shape() : Shape{});
  return {contiguous(d.x.detach()), d.y.defined() ? contiguous(d.y.detach()) : d.y};
}

// Rows order[begin], ..., order[begin + n - 1], copied. The order is ours, so its entries are in range.
Tensor gather(const Tensor& x, const Tensor& order, std::int64_t begin, std::int64_t n) {
  if (!x.defined()) return x;
  Shape shape = x.shape();
  const auto rows = std::exchange(shape[0], n);
  Tensor result = empty(shape, x.dtype());
  const auto row = static_cast<std::size_t>(rows ? x.numel() / rows : 0) * size_of(x.dtype());
  const auto* from = detail::data<std::byte>(x);
  auto* to = detail::fresh<std::byte>(result);
  const auto* index = order.read<std::int64_t>().data() + begin;
  const auto grain = std::max<std::int64_t>(1, kernels::grain_elements * 4 / static_cast<std::int64_t>(row + 1));
  kernels::parallel_for(n, grain, [&](std::int64_t first, std::int64_t last) {
    for (auto i = first; i < last; ++i)
      std::memcpy(to + static_cast<std::size_t>(i) * row, from + static_cast<std::size_t>(index[i]) * row, row);
  });
  return result;
}

Dataset rows(const Dataset& d, const Tensor& order, std::int64_t begin, std::int64_t n) {
  if (order.defined()) return {gather(d.x, order, begin, n), gather(d.y, order, begin, n)};
  return {narrow(d.x, 0, begin, n), d.y.defined() ? narrow(d.y, 0, begin, n) : d.y};
}

Tensor draw_order(const Shuffle& shuffle, std::int64_t n) {
  return shuffle.rng() ? shuffle.rng()->permutation(n) : Tensor();
}

}  // namespace

Split split(const Dataset& data, SplitOptions options, Where where) {
  if (!(options.test >= 0 && options.test <= 1))
    fail<ValueError>(where, "split: test must be in [0, 1], got {}", options.test);
  const Dataset d = checked("split", data, where);
  const Tensor order = draw_order(options.shuffle, d.size());
  const std::int64_t test = std::llround(options.test * static_cast<double>(d.size())), train = d.size() - test;
  return {rows(d, order, 0, train), rows(d, order, train, test)};
}

Batches::Batches(const Dataset& data, BatchOptions options, Where where) : batch_(options.size) {
  if (batch_ < 1) fail<ValueError>(where, "batches: size must be at least 1, got {}", batch_);
  data_ = checked("batches", data, where);
  order_ = draw_order(options.shuffle, data_.size());
  count_ = data_.size() / batch_ + (!options.drop_last && data_.size() % batch_ != 0);
}

Dataset Batches::operator[](std::int64_t i) const {
  return rows(data_, order_, i * batch_, std::min(batch_, data_.size() - i * batch_));
}

Batches batches(const Dataset& data, BatchOptions options, Where where) { return {data, options, where}; }

}  // namespace wengert::data
