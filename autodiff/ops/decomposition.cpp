// Factors of matrices.  Derivatives: Giles 2008; Townsend 2016; Walter & Lehmann 2013 for QR.

#include "wengert/autodiff/kernels/lapack.h"
#include "wengert/autodiff/ops/matrices.h"
#include "wengert/autodiff/tape/rule.h"

#include <algorithm>

namespace wengert {

using detail::Access;
using detail::batch_before;
using detail::CalledBy;
using detail::needs_matrices;
using detail::needs_square;
using detail::which;
using detail::with;

namespace {

const void* numbers(const Tensor& x) { return Access::body(x)->data(); }
void* numbers_of_new(Tensor& x) { return Access::body(x)->data(); }

// X R^-1 and X R^-T for upper triangular R.
Tensor over(const Tensor& x, const Tensor& r) { return solve_triangular(r, x, {.upper = true, .left = false}); }
Tensor over_transposed(const Tensor& x, const Tensor& r) {
  return transpose(solve_triangular(r, transpose(x), {.upper = true}));
}

// 1 / (d_j - d_i), and 0 where they are equal: on the diagonal, and where a derivative does not exist anyway.
Tensor inverse_gaps(const Tensor& d) {
  const Tensor gap = unsqueeze(d, -2) - unsqueeze(d, -1), none = equal(gap.detach(), 0);
  return where(none, scalar(0, d.dtype()), 1 / where(none, scalar(1, d.dtype()), gap));
}
Tensor inverse_or_zero(const Tensor& s) {
  const Tensor none = equal(s.detach(), 0);
  return where(none, scalar(0, s.dtype()), 1 / where(none, scalar(1, s.dtype()), s));
}
Tensor skew(const Tensor& x) { return x - transpose(x); }
Tensor symmetric(const Tensor& x) { return 0.5 * (x + transpose(x)); }
Tensor columns_times(const Tensor& x, const Tensor& d) { return x * unsqueeze(d, -2); }  // X diag(d)
Tensor rows_times(const Tensor& d, const Tensor& x) { return unsqueeze(d, -1) * x; }     // diag(d) X

}  // namespace

// A = Q R, at least as many rows as columns.  With M = R R_bar^T - Q_bar^T Q and its lower half copied up,
// A_bar = (Q_bar + Q copy(M)) R^-T;  with C = Q^T A_dot R^-1 and W = skew(its strictly lower half),
// Q_dot = Q W + A_dot R^-1 - Q C,  R_dot = (C - W) R.
struct QRRule {
  static constexpr std::string_view name = "qr";
  Saved q, r;
  std::array<Tensor, 2> forward(const Tensor& a) {
    const std::int64_t m = a.size(-2), n = a.size(-1);
    const Shape batch = batch_before(a.shape());
    const Tensor from = contiguous(a.detach());
    Tensor y = empty(a.shape(), a.dtype()), z = empty(with(batch, {n, n}), a.dtype());
    kernels::qr(a.dtype(), batch.numel(), m, n, numbers(from), numbers_of_new(y), numbers_of_new(z));
    q = y, r = z;
    return {y, z};
  }
  Tensor vjp(arg<0>, const std::array<Tensor, 2>& bars) const {
    const Tensor m = matmul(r, transpose(bars[1])) - matmul(transpose(bars[0]), q);
    const Tensor copied = tril(m) + transpose(tril(m, -1));
    return over_transposed(bars[0] + matmul(q, copied), r);
  }
  std::array<Tensor, 2> jvp(arg<0>, const Tensor& a_dot) const {
    const Tensor x = over(a_dot, r), c = matmul(transpose(q), x), w = skew(tril(c, -1));
    return {matmul(q, w - c) + x, matmul(c - w, r)};
  }
};
QR qr(Operand a) {
  const CalledBy by(a);
  needs_matrices("qr", a);
  const std::int64_t m = a->size(-2), n = a->size(-1);
  if (m >= n) {
    auto [q, r] = apply(QRRule{}, a);
    return {q, r};
  }
  const auto [q, r] = apply(QRRule{}, by(narrow(a, -1, 0, m)));
  const Tensor rest = matmul(by(transpose(by(q))), by(narrow(a, -1, m, n - m)));
  return {q, cat({r, rest}, -1)};
}

// A = U S V^T, thin.  With F_ij = 1 / (s_j^2 - s_i^2) and P = U^T A_dot V:
//   s_dot = diag(P),
//   U_dot = U (F o (P S + S P^T)) + (1 - U U^T) A_dot V S^-1,
//   V_dot = V (F o (S P + P^T S)) + (1 - V V^T) A_dot^T U S^-1;
//   A_bar = U ((F o skew(U^T U_bar)) S + S (F o skew(V^T V_bar)) + diag(s_bar)) V^T
//           + (1 - U U^T) U_bar S^-1 V^T + U S^-1 V_bar^T (1 - V V^T).
struct SVDRule {
  static constexpr std::string_view name = "svd";
  Where where;
  Saved u, s, vt;
  void forget() { u.forget(), s.forget(), vt.forget(); }
  std::array<Tensor, 3> forward(const Tensor& a) {
    const std::int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    const Shape batch = batch_before(a.shape());
    const Tensor from = contiguous(a.detach());
    Tensor x = empty(with(batch, {m, k}), a.dtype()), y = empty(with(batch, {k}), a.dtype()),
           z = empty(with(batch, {k, n}), a.dtype());
    const std::int64_t bad = kernels::svd(a.dtype(), batch.numel(), m, n, numbers(from), numbers_of_new(x),
                                          numbers_of_new(y), numbers_of_new(z));
    if (bad >= 0)
      fail<ValueError>(where, "svd: matrix{} has NaN or infinite entries; its shape is {}", which(a.shape(), bad),
                       a.shape());
    u = x, s = y, vt = z;
    return {x, y, z};
  }
  Tensor vjp(arg<0>, const std::array<Tensor, 3>& bars) const {
    const Tensor &left = u, &d = s, &right = vt, &u_bar = bars[0], v_bar = transpose(bars[2]);
    const Tensor f = inverse_gaps(square(d)), over_s = inverse_or_zero(d), ut = transpose(left), v = transpose(right);
    const Tensor uu = matmul(ut, u_bar), vv = matmul(right, v_bar);
    const Tensor core = columns_times(f * skew(uu), d) + rows_times(d, f * skew(vv)) + diag_embed(bars[1]);
    Tensor a_bar = matmul(left, matmul(core, right));
    if (left.size(-2) > d.size(-1)) a_bar = a_bar + matmul(columns_times(u_bar - matmul(left, uu), over_s), right);
    if (right.size(-1) > d.size(-1))
      a_bar = a_bar + matmul(columns_times(left, over_s), transpose(v_bar - matmul(v, vv)));
    return a_bar;
  }
  std::array<Tensor, 3> jvp(arg<0>, const Tensor& a_dot) const {
    const Tensor &left = u, &d = s, &right = vt, f = inverse_gaps(square(d)), over_s = inverse_or_zero(d),
                 ut = transpose(left), v = transpose(right);
    const Tensor av = matmul(a_dot, v), atu = matmul(transpose(a_dot), left), p = matmul(ut, av), pt = transpose(p);
    Tensor u_dot = matmul(left, f * (columns_times(p, d) + rows_times(d, pt)));
    Tensor v_dot = matmul(v, f * (rows_times(d, p) + columns_times(pt, d)));
    if (left.size(-2) > d.size(-1)) u_dot = u_dot + columns_times(av - matmul(left, p), over_s);
    if (right.size(-1) > d.size(-1)) v_dot = v_dot + columns_times(atu - matmul(v, pt), over_s);
    return {u_dot, diagonal(p, 0, -2, -1), transpose(v_dot)};
  }
};
SVD svd(Operand a) {
  needs_matrices("svd", a);
  auto [u, s, vt] = apply(SVDRule{a.where(), {}, {}, {}}, a);
  return {u, s, vt};
}
Tensor svdvals(Operand a) { return svd(a).s; }

// A = V diag(w) V^T.  With F_ij = 1 / (w_j - w_i), P = V^T A_dot V:  w_dot = diag(P),  V_dot = V (F o P);
// A_bar = sym(V (diag(w_bar) + F o (V^T V_bar)) V^T).
struct EighRule {
  static constexpr std::string_view name = "eigh";
  Where where;
  Saved w, v;
  void forget() { w.forget(), v.forget(); }
  std::array<Tensor, 2> forward(const Tensor& a) {
    const std::int64_t n = a.size(-1);
    const Shape batch = batch_before(a.shape());
    const Tensor from = contiguous(a.detach());
    Tensor x = empty(with(batch, {n}), a.dtype()), y = empty(a.shape(), a.dtype());
    const std::int64_t bad =
        kernels::eigh(a.dtype(), batch.numel(), n, numbers(from), numbers_of_new(x), numbers_of_new(y));
    if (bad >= 0)
      fail<ValueError>(where, "eigh: matrix{} has NaN or infinite entries; its shape is {}", which(a.shape(), bad),
                       a.shape());
    w = x, v = y;
    return {x, y};
  }
  Tensor vjp(arg<0>, const std::array<Tensor, 2>& bars) const {
    const Tensor &d = w, &x = v, xt = transpose(x);
    const Tensor core = diag_embed(bars[0]) + inverse_gaps(d) * matmul(xt, bars[1]);
    return symmetric(matmul(x, matmul(core, xt)));
  }
  std::array<Tensor, 2> jvp(arg<0>, const Tensor& a_dot) const {
    const Tensor &d = w, &x = v, p = matmul(transpose(x), matmul(symmetric(a_dot), x));
    return {diagonal(p, 0, -2, -1), matmul(x, inverse_gaps(d) * p)};
  }
};
EighResult eigh(Operand a) {
  needs_square("eigh", a);
  auto [w, v] = apply(EighRule{a.where(), {}, {}}, a);
  return {w, v};
}
Tensor eigvalsh(Operand a) { return eigh(a).values; }

}  // namespace wengert
