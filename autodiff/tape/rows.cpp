#include "wengert/autodiff/tape/rows.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/accumulate.h"
#include "wengert/autodiff/kernels/indexing.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace wengert::detail {
namespace {

bool are_few(std::int64_t rows, const Shape& shape) { return rows <= shape[0] / 4; }

}  // namespace

void Rows::make_slots(std::size_t rows) {
  if (2 * rows <= slots_.size()) return;
  slots_.assign(std::bit_ceil(2 * rows), -1);
  const auto known = std::exchange(index_, {});
  index_.reserve(rows), rows_.reserve(rows);
  for (const std::int64_t row : known) place_of(row);
}

// Where it is in index_, at the end if it is new. Fibonacci hashing (Knuth 1973, 6.4), the next free slot.
std::size_t Rows::place_of(std::int64_t row) {
  const int shift = 64 - std::countr_zero(slots_.size());
  std::size_t slot = (static_cast<std::uint64_t>(row) * 0x9E3779B97F4A7C15u) >> shift;
  for (; slots_[slot] >= 0; slot = (slot + 1) & (slots_.size() - 1))
    if (const auto place = static_cast<std::size_t>(slots_[slot]); index_[place] == row) return place;
  index_.push_back(row);
  slots_[slot] = count() - 1;
  return index_.size() - 1;
}

// Rows stay where they are in the first x only: gradients that add up over many calls would keep all of theirs.
void Rows::add(std::span<const std::int64_t> index, const Tensor& x) {
  const std::size_t bytes = static_cast<std::size_t>(size_) * size_of(x.dtype()), before = rows_.size();
  const auto* const from = data<std::byte>(x);
  const bool stay = before == 0;
  make_slots(index_.size() + index.size());
  kept_.push_back(x.detach());
  struct Meeting {
    std::size_t place, i;
  };
  List<Meeting> meetings;
  for (std::size_t i = 0; i < index.size(); ++i)
    if (const std::size_t place = place_of(index[i]); place == rows_.size()) rows_.push_back({from + i * bytes, false});
    else meetings.push_back({place, i});

  // Who meets another gets room of its own; who came later, in any case.
  const std::size_t late = stay ? rows_.size() : before;
  const auto room =
      std::ssize(rows_) - static_cast<std::ptrdiff_t>(late) +
      std::ranges::count_if(meetings, [&](const Meeting& m) { return m.place < late && !rows_[m.place].summed; });
  if (room) {
    Tensor own = empty({room, size_}, x.dtype());
    if (stay) kept_.push_back(own);
    auto* to = fresh<std::byte>(own);
    const auto move = [&](Row& row) {
      if (row.summed) return;
      std::memcpy(to, row.numbers, bytes);
      row = {to, true};
      to += bytes;
    };
    for (std::size_t place = late; place < rows_.size(); ++place) move(rows_[place]);
    for (const Meeting& m : meetings) move(rows_[m.place]);
    if (!stay) kept_.back() = std::move(own);
  } else if (!stay) {
    kept_.pop_back();
  }
  if (meetings.empty()) return;

  // Threads share the places, so that what meets in one is added in order.
  const std::int64_t grain = std::max(kernels::parts(count(), 8), kernels::grain_elements / size_ + 1);
  kernels::parallel_for(count(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (const auto& [place, i] : meetings)
      if (const auto p = static_cast<std::int64_t>(place); begin <= p && p < end)
        kernels::accumulate(x.dtype(), size_, const_cast<std::byte*>(rows_[place].numbers), from + i * bytes);
  });
}

void Rows::add_to(Tensor& array) const {
  const auto bytes = size_ * static_cast<std::int64_t>(size_of(array.dtype()));
  for (std::int64_t i = 0; i < count(); ++i)
    kernels::accumulate(array.dtype(), size_, fresh<std::byte>(array) + index_[static_cast<std::size_t>(i)] * bytes,
                        row(i));
}

Tensor Rows::values() const {
  Tensor all = empty({count(), size_}, kept_.front().dtype());
  const std::size_t bytes = static_cast<std::size_t>(size_) * size_of(all.dtype());
  for (std::int64_t i = 0; i < count(); ++i)
    std::memcpy(fresh<std::byte>(all) + static_cast<std::size_t>(i) * bytes, row(i), bytes);
  return all;
}

Rows* rows_of(const Tensor& t) {
  Body& b = *Access::body(t);
  return b.is(Form::rows) ? &static_cast<RowsBody&>(b).rows : nullptr;
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
