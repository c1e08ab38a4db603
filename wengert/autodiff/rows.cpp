#include "wengert/autodiff/rows.h"

#include "wengert/autodiff/kernels/accumulate.h"
#include "wengert/autodiff/kernels/cut.h"
#include "wengert/autodiff/kernels/indexing.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/parallel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <utility>

namespace wengert::detail {
namespace {

bool are_few(std::int64_t rows, const Shape& shape) { return rows <= shape[0] / 4; }

}  // namespace

void Rows::make_slots(std::int64_t rows) {
  const std::size_t wanted = 2 * static_cast<std::size_t>(rows);
  if (wanted <= slots_.size()) return;
  slots_.assign(std::bit_ceil(wanted), -1);
  const Numbers known = std::exchange(index_, {});
  index_.reserve(static_cast<std::size_t>(rows));
  for (const std::int64_t row : known) place_of(row);
}

// Where it is in index_, at the end if it is new. Fibonacci hashing (Knuth 1973, 6.4), the next free slot.
std::int64_t Rows::place_of(std::int64_t row) {
  const int shift = 64 - std::countr_zero(slots_.size());
  std::size_t slot = (static_cast<std::uint64_t>(row) * 0x9E3779B97F4A7C15u) >> shift;
  for (; slots_[slot] >= 0; slot = (slot + 1) & (slots_.size() - 1))
    if (index_[static_cast<std::size_t>(slots_[slot])] == row) return slots_[slot];
  index_.push_back(row);
  return slots_[slot] = count() - 1;
}

void Rows::make_room(std::int64_t before, DType dtype) {
  const std::int64_t room = values_.defined() ? values_.size(0) : 0;
  if (count() <= room) return;
  Tensor more = empty({std::max(count(), 2 * room), size_}, dtype);
  if (before)
    std::memcpy(fresh<std::byte>(more), data<std::byte>(values_),
                static_cast<std::size_t>(before * size_) * size_of(dtype));
  values_ = std::move(more);
}

// Threads share the places. New rows get theirs in the order of the index, so the first that goes to a new place is the
// one that goes to the next of them.
void Rows::add(std::span<const std::int64_t> index, const Tensor& x) {
  const std::int64_t before = count();
  make_slots(before + static_cast<std::int64_t>(index.size()));
  Numbers places(index.size());
  std::ranges::transform(index, places.begin(), [&](std::int64_t row) { return place_of(row); });
  make_room(before, x.dtype());
  const std::size_t bytes = static_cast<std::size_t>(size_) * size_of(x.dtype());
  std::byte* const rows = fresh<std::byte>(values_);
  const std::int64_t grain = std::max(kernels::parts(count(), 8), kernels::grain_elements / size_ + 1);
  kernels::parallel_for(count(), grain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t next = std::max(before, begin);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const std::int64_t place = places[i];
      if (place < begin || place >= end) continue;
      const std::byte* const from = data<std::byte>(x) + i * bytes;
      std::byte* const to = rows + static_cast<std::size_t>(place) * bytes;
      if (place == next) {
        const std::size_t before_run = i;
        for (++next; next < end && i + 1 < places.size() && places[i + 1] == next; ++i) ++next;
        std::memcpy(to, from, (i + 1 - before_run) * bytes);
      } else {
        kernels::accumulate(x.dtype(), size_, to, from);
      }
    }
  });
}

void Rows::add_to(Tensor& array) const {
  const auto bytes = size_ * static_cast<std::int64_t>(size_of(array.dtype()));
  for (std::int64_t i = 0; i < count(); ++i)
    kernels::accumulate(array.dtype(), size_, fresh<std::byte>(array) + index_[static_cast<std::size_t>(i)] * bytes,
                        data<std::byte>(values_) + i * bytes);
}

Tensor Rows::values() const { return slice(values_, 0, 0, count()); }

Rows* rows_of(const Tensor& t) {
  Body& b = *Access::body(t);
  return b.is(Form::rows) ? &static_cast<RowsBody&>(b).rows : nullptr;
}

// A view from now on, of numbers that are there. Another thread may ask at the same time.
void fill_in(const Body& some_rows) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  auto& b = const_cast<Body&>(some_rows);
  if (!b.is(Form::rows)) return;
  Tensor all = zeros(b.shape, b.dtype);
  static_cast<RowsBody&>(b).rows.add_to(all);
  b.owner = Access::body(all), b.first = b.owner->first;
  b.owner->retain();
  b.form.store(Form::in_order, std::memory_order_release);
}

Tensor zeros_for_rows(const Shape& shape, DType dtype, std::int64_t rows) {
  if (rows == 0 || !are_few(rows, shape) || shape.numel() < 16384) return zeros(shape, dtype);
  return Access::make(new (allocate(sizeof(RowsBody))) RowsBody(dtype, shape));
}

void add_rows(Tensor& sum, std::span<const std::int64_t> index, const Tensor& x) {
  const auto n = static_cast<std::int64_t>(index.size());
  if (Rows* rows = rows_of(sum); rows && are_few(rows->count() + n, sum.shape())) return rows->add(index, x);
  const std::int64_t entries = sum.shape()[0];
  kernels::index_add(sum.dtype(), 1, entries, n, sum.numel() / entries, index.data(), data<std::byte>(x),
                     fresh<std::byte>(sum));
}

void add_in_place(Tensor& into, const Tensor& more) {
  const Rows* rows = rows_of(more);
  if (rows && rows_of(into)) add_rows(into, rows->index(), rows->values());
  else if (rows) rows->add_to(into);
  else kernels::accumulate(into.dtype(), into.numel(), fresh<std::byte>(into), data<std::byte>(more));
}

}  // namespace wengert::detail
