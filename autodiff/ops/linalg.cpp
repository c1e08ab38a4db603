#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/kernels/gemm.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/pointwise.h"

#include <algorithm>

namespace wengert {

using detail::Access;
using detail::needs_float;
using detail::operand_shape;
using detail::result_shape;

namespace {

Shape batch_of(const Shape& s) { return Shape(std::span(s.begin(), static_cast<std::size_t>(s.rank() - 2))); }

// The last two axes as a matrix; what comes before them is laid over `batch`.
kernels::Matrix matrix_of(const Tensor& x, const Shape& batch) {
  kernels::Matrix r{Access::body(x)->data(), x.strides()[x.rank() - 2], x.strides()[x.rank() - 1], {}};
  const int before = batch.rank() - (x.rank() - 2);
  for (int i = 0; i < batch.rank(); ++i)
    r.batch.push_back(i < before || x.shape()[i - before] == 1 ? 0 : x.strides()[i - before]);
  return r;
}

// Many times one and the same B: where one stride walks the rows of all A, that is a single product.
void join_batch(kernels::Gemm& g) {
  std::int64_t rows = g.m, a_row = g.a.row, c_row = g.row;
  for (int i = g.batch.rank() - 1; i >= 0; --i) {
    if (g.batch[i] == 1) continue;
    if (rows == 1) a_row = g.a.batch[i], c_row = g.c_batch[i];
    if (g.b.batch[i] != 0 || g.a.batch[i] != rows * a_row || g.c_batch[i] != rows * c_row) return;
    rows *= g.batch[i];
  }
  g.m = rows, g.a.row = a_row, g.row = c_row;
  g.batch = g.a.batch = g.b.batch = g.c_batch = Shape();
}

// x [.., m, k] times w [.., k, n], plus bias [n] unless undefined.
Tensor product(const Tensor& x, const Tensor& w, const Tensor& bias, const Shape& batch) {
  kernels::Gemm g;
  g.dtype = x.dtype();
  g.m = x.shape()[x.rank() - 2], g.k = x.shape().back(), g.n = w.shape().back();
  Shape shape = batch;
  shape.push_back(g.m), shape.push_back(g.n);
  Tensor y = empty(shape, x.dtype());
  g.batch = batch;
  g.a = matrix_of(x, batch), g.b = matrix_of(w, batch);
  g.c = Access::body(y)->data();
  g.row = g.n, g.c_batch = batch_of(y.strides());
  if (bias.defined()) g.bias = Access::body(bias)->data();
  join_batch(g);
  kernels::gemm(g);
  return y;
}

// A vector on the left is a row, on the right a column.
Tensor as_row(const Tensor& x) { return x.rank() == 1 ? unsqueeze(x, 0) : x; }
Tensor as_column(const Tensor& w) { return w.rank() == 1 ? unsqueeze(w, 1) : w; }

// All rows of all matrices as one matrix: [.., n] -> [rows, n].
Tensor rows_of(const Tensor& x) {
  std::int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  return reshape(x, {rows, x.shape().back()});
}

}  // namespace

// Y = X W.  X_bar = Y_bar W^T,  W_bar = X^T Y_bar (Giles 2008); summed over the batch axes that were repeated.
struct MatMul {
  static constexpr std::string_view name = "matmul";
  Shape batch, shape;  // of the leading axes; of the result
  Saved x, w;

  Tensor forward(const Tensor& a, const Tensor& b) {
    x = a, w = b;
    return reshape(product(as_row(a.detach()), as_column(b.detach()), {}, batch), shape);
  }
  static double flops(const Tensor& y, const Tensor& a, const Tensor&) {
    return 2.0 * static_cast<double>(y.numel()) * static_cast<double>(a.shape().back());
  }
  // The result's shape before the axes that stood for vectors went away.
  Tensor as_matrix(const Tensor& y_bar) const {
    Shape s = batch;
    s.push_back(x->rank() == 1 ? 1 : x->shape()[x->rank() - 2]);
    s.push_back(w->rank() == 1 ? 1 : w->shape().back());
    return reshape(y_bar, s);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor x_bar = matmul(as_matrix(y_bar), transpose(as_column(w)));
    return x->rank() == 1 ? reshape(sum_to(x_bar, {1, x->shape()[0]}), x->shape()) : sum_to(x_bar, x->shape());
  }
  Tensor vjp(arg<1>, const Tensor& y_bar) const {
    const Tensor& a = x;
    if (w->rank() <= 2 && a.rank() >= 2)  // one matrix for the whole batch: one product over all rows
      return reshape(matmul(transpose(rows_of(a)), rows_of(as_matrix(y_bar))), w->shape());
    const Tensor w_bar = matmul(transpose(as_row(a)), as_matrix(y_bar));
    return w->rank() == 1 ? reshape(sum_to(w_bar, {w->shape()[0], 1}), w->shape()) : sum_to(w_bar, w->shape());
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return matmul(x_dot, w); }
  Tensor jvp(arg<1>, const Tensor& w_dot) const { return matmul(x, w_dot); }
};

namespace {

std::string_view transpose_hint(const Shape& x, const Shape& w) {
  if (w.rank() >= 2 && x.back() == w.back()) return "; for x W^T write matmul(x, transpose(w))";
  if (x.rank() >= 2 && w.rank() >= 2 && x[x.rank() - 2] == w[w.rank() - 2])
    return "; for X^T W write matmul(transpose(x), w)";
  return "";
}

}  // namespace

Tensor matmul(Operand x, Operand w) {
  needs_float("matmul", x);
  const Shape &a = x->shape(), &b = w->shape();
  if (x->dtype() != w->dtype()) [[unlikely]]
    fail<TypeError>(x.where(), "matmul: dtypes differ: {} and {}; convert one with to()", x->dtype(), w->dtype());
  if (a.rank() == 0 || b.rank() == 0) [[unlikely]]
    fail<ShapeError>(x.where(), "matmul: needs at least one axis, got {} x {}; a number times a tensor is mul", a, b);
  if (a.back() != b[std::max(0, b.rank() - 2)]) [[unlikely]]
    fail<ShapeError>(x.where(), "matmul: inner sizes differ: {} x {}{}", a, b, transpose_hint(a, b));
  MatMul rule;
  const int batch = std::max({a.rank() - 2, b.rank() - 2, 0});
  for (int i = 0; i < batch; ++i) {
    const int ia = i - (batch - (a.rank() - 2)), ib = i - (batch - (b.rank() - 2));
    const std::int64_t na = ia < 0 || a.rank() < 3 ? 1 : a[ia], nb = ib < 0 || b.rank() < 3 ? 1 : b[ib];
    if (na != nb && na != 1 && nb != 1) [[unlikely]]
      fail<ShapeError>(x.where(), "matmul: leading axes of {} and {} do not broadcast: axis {} has {} and {} entries",
                       a, b, i - batch - 2, na, nb);
    rule.batch.push_back(na == 1 ? nb : na);
  }
  rule.shape = rule.batch;
  if (a.rank() > 1) rule.shape.push_back(a[a.rank() - 2]);
  if (b.rank() > 1) rule.shape.push_back(b.back());
  return apply(std::move(rule), x, w);
}

// Y = X W^T + bias.  X_bar = Y_bar W,  W_bar = Y_bar^T X,  bias_bar = the sum of the rows of Y_bar.
struct Linear {
  static constexpr std::string_view name = "linear";
  Saved x, w;

  Tensor forward(const Tensor& a, const Tensor& weight, const Tensor& bias) {
    x = a, w = weight;
    const Tensor rows = a.detach().rank() == 1 ? unsqueeze(a.detach(), 0) : a.detach();
    const Tensor y = product(rows, transpose(weight.detach()), bias.defined() ? contiguous(bias.detach()) : bias,
                             batch_of(rows.shape()));
    Shape shape = a.shape();
    shape[shape.rank() - 1] = weight.shape()[0];
    return reshape(y, shape);
  }
  static double flops(const Tensor& y, const Tensor& a, const Tensor&, const Tensor& bias) {
    return (2.0 * static_cast<double>(a.shape().back()) + bias.defined()) * static_cast<double>(y.numel());
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return matmul(y_bar, w); }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return matmul(transpose(rows_of(y_bar)), rows_of(x)); }
  Tensor vjp(arg<2>, const Tensor& y_bar) const { return sum_to(y_bar, operand_shape(2)); }
  Tensor jvp(arg<0>, const Tensor& x_dot) const { return linear(x_dot, w, Tensor()); }
  Tensor jvp(arg<1>, const Tensor& w_dot) const { return linear(x, w_dot, Tensor()); }
  Tensor jvp(arg<2>, const Tensor& bias_dot) const { return expand(bias_dot, result_shape()); }
};

Tensor linear(Operand x, Operand weight, Operand bias) {
  needs_float("linear", x);
  const Shape &a = x->shape(), &b = weight->shape();
  if (b.rank() != 2) [[unlikely]]
    fail<ShapeError>(x.where(), "linear: weight must be [out, in], got {}", b);
  if (a.rank() == 0 || a.back() != b[1]) [[unlikely]]
    fail<ShapeError>(x.where(), "linear: x must be [.., {}] for a weight [out, in] = {}, got {}", b[1], b, a);
  if (weight->dtype() != x->dtype() || (bias->defined() && bias->dtype() != x->dtype())) [[unlikely]]
    fail<TypeError>(x.where(), "linear: dtypes differ: x {}, weight {}{}{}; convert with to()", x->dtype(),
                    weight->dtype(), bias->defined() ? ", bias " : "", bias->defined() ? name(bias->dtype()) : "");
  if (bias->defined() && !(bias->shape() == Shape{b[0]})) [[unlikely]]
    fail<ShapeError>(x.where(), "linear: bias must be [{}] for a weight [out, in] = {}, got {}", b[0], b,
                     bias->shape());
  return apply(Linear{}, x, weight, bias);
}

}  // namespace wengert
