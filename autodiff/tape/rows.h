#pragma once

// Internal: row-sparse gradients. A step looks up a few hundred rows of a table with a million, and the gradient of all
// others is zero. Such a gradient is a tensor like any other, but stores only the rows that are not zero, until its
// elements are read: then it becomes dense. Code that works on rows keeps it sparse: sums of gradients, clipping, and
// optimizers that leave a parameter unchanged where its gradient is zero.

#include "wengert/autodiff/tape/tensor.h"

#include <span>
#include <vector>

namespace wengert::detail {

/// Some rows of an array [n, ..], each once, in the order in which they came; the others are zero. A row that came once
/// in the first addition stays where it was; the others are copied, and summed where they meet.
class Rows {
 public:
  explicit Rows(std::int64_t row_size) : size_(row_size) {}

  /// Which rows of the array.
  std::span<const std::int64_t> index() const { return index_; }
  std::int64_t count() const { return static_cast<std::int64_t>(index_.size()); }
  std::int64_t row_size() const { return size_; }
  /// The elements of row index()[i].
  const std::byte* row(std::int64_t i) const { return rows_[static_cast<std::size_t>(i)].numbers; }
  /// A copy of all rows.  [count, row_size]
  Tensor values() const;

  /// Row index[i] of the array += row i of x, which is contiguous. Those that meet are added in their order.
  void add(std::span<const std::int64_t> index, const Tensor& x);
  /// All of it, added to the array.
  void add_to(Tensor& array) const;

 private:
  struct Row {
    const std::byte* numbers;
    bool summed;  // in memory that this object owns
  };
  template <class T>
  using List = std::vector<T, FromPool<T>>;
  void make_slots(std::size_t rows);
  std::size_t place_of(std::int64_t row);

  std::int64_t size_;
  List<std::int64_t> index_, slots_;  // slots: a hash table of where in index_ a row is
  List<Row> rows_;
  List<Tensor> kept_;  // owns the memory of the rows
};

/// A value that has only rows. They stay when it becomes dense: another thread may be reading them.
struct RowsBody : Body {
  Rows rows;
  RowsBody(DType dtype, const Shape& shape) : Body(dtype, sizeof(RowsBody), shape), rows(shape.numel() / shape[0]) {
    form = Form::rows, has_rows = true;
  }
};

/// The rows of a row-sparse tensor; null if it is dense.
Rows* rows_of(const Tensor&);
/// Zeros, row-sparse if `rows` of them are few enough.
Tensor zeros_for_rows(const Shape&, DType, std::int64_t rows);

/// sum[index[i], ..] += x[i, ..], for a sum that may be changed and a contiguous x.
void add_rows(Tensor& sum, std::span<const std::int64_t> index, const Tensor& x);
/// into += more, of one shape and dtype, both contiguous.
void add_in_place(Tensor& into, const Tensor& more);

}  // namespace wengert::detail
