// Systems of equations, inverses, determinants.  Derivatives: Giles 2008.

#include "wengert/autodiff/kernels/lapack.h"
#include "wengert/autodiff/ops/matrices.h"
#include "wengert/autodiff/tape/rule.h"

namespace wengert {

using detail::Access;
using detail::batch_before;
using detail::CalledBy;
using detail::needs_square;
using detail::product_of_others;
using detail::which;
using detail::with;

namespace {

const void* numbers(const Tensor& x) { return Access::body(x)->data(); }
void* numbers_of_new(Tensor& x) { return Access::body(x)->data(); }

// Both over the same batch.
struct System {
  Tensor a, b;
};
System over_one_batch(std::string_view op, Operand a, Operand b, const CalledBy& by) {
  const Shape x = batch_before(a->shape()), y = batch_before(b->shape());
  if (x == y) return {a, b};
  const Shape batch = detail::broadcast(op, by(empty(x, a->dtype())), by(empty(y, a->dtype())));
  return {expand(a, with(batch, {a->size(-2), a->size(-1)})), expand(b, with(batch, {b->size(-2), b->size(-1)}))};
}

void check_system(std::string_view op, Operand a, Operand b) {
  needs_square(op, a);
  if (b->dtype() != a->dtype())
    fail<TypeError>(a.where(), "{}: dtypes differ: {} and {}; convert one with to()", op, a->dtype(), b->dtype());
  if (b->rank() < 2 || b->size(-2) != a->size(-1))
    fail<ShapeError>(a.where(), "{}: the right side must have {} rows for {}, got {}", op, a->size(-1), a->shape(),
                     b->shape());
}

}  // namespace

// A X = B:  B_bar = A^-T X_bar,  A_bar = -B_bar X^T.
struct Solve {
  static constexpr std::string_view name = "solve";
  Where where;
  Saved a, x;
  void forget() { a.forget(), x.forget(); }
  Tensor forward(const Tensor& m, const Tensor& b) {
    const Tensor from = contiguous(m.detach()), right = contiguous(b.detach());
    Tensor y = empty(b.shape(), b.dtype());
    const std::int64_t n = m.size(-1), bad = kernels::solve(b.dtype(), batch_before(m.shape()).numel(), n, b.size(-1),
                                                            numbers(from), numbers(right), numbers_of_new(y));
    if (bad >= 0)
      fail<ValueError>(where, "solve: matrix{} is singular; its shape is {}", which(m.shape(), bad), m.shape());
    a = m, x = y;
    return y;
  }
  std::array<Tensor, 2> vjp(const Tensor& x_bar, Wants w) const {
    const Tensor b_bar = solve(transpose(a), x_bar);
    return {w(0) ? -matmul(b_bar, transpose(x)) : Tensor(), b_bar};
  }
  Tensor jvp(arg<0>, const Tensor& a_dot) const { return -solve(a, matmul(a_dot, x)); }
  Tensor jvp(arg<1>, const Tensor& b_dot) const { return solve(a, b_dot); }
};
Tensor solve(Operand a, Operand b) {
  const CalledBy by(a);
  needs_square("solve", a);
  const Shape& s = a->shape();
  const bool vector = b->rank() == 1 || (b->rank() == s.rank() - 1 &&
                                         b->shape() == Shape(std::span(s.begin(), std::size_t(s.rank() - 1))));
  if (vector) return squeeze(by(solve(a, by(unsqueeze(b, -1)))), -1);
  check_system("solve", a, b);
  const System system = over_one_batch("solve", a, b, by);
  return apply(Solve{a.where(), {}, {}}, by(system.a), by(system.b));
}

// The same for half a matrix; A_bar is that half.
struct SolveTriangular {
  static constexpr std::string_view name = "solve_triangular";
  bool upper = false, unit = false;
  Saved a, x;
  Tensor forward(const Tensor& m, const Tensor& b) {
    const Tensor from = contiguous(m.detach()), right = contiguous(b.detach());
    Tensor y = empty(b.shape(), b.dtype());
    kernels::solve_triangular(b.dtype(), batch_before(m.shape()).numel(), m.size(-1), b.size(-1), upper, unit,
                              numbers(from), numbers(right), numbers_of_new(y));
    a = m, x = y;
    return y;
  }
  Tensor half(const Tensor& m) const { return upper ? triu(m, unit) : tril(m, -int(unit)); }
  std::array<Tensor, 2> vjp(const Tensor& x_bar, Wants w) const {
    const Tensor b_bar = solve_triangular(transpose(a), x_bar, {.upper = !upper, .unit = unit});
    return {w(0) ? -half(matmul(b_bar, transpose(x))) : Tensor(), b_bar};
  }
  Tensor jvp(arg<0>, const Tensor& a_dot) const {
    return -solve_triangular(a, matmul(half(a_dot), x), {.upper = upper, .unit = unit});
  }
  Tensor jvp(arg<1>, const Tensor& b_dot) const { return solve_triangular(a, b_dot, {.upper = upper, .unit = unit}); }
};
Tensor solve_triangular(Operand a, Operand b, TriangularOptions o) {
  const CalledBy by(a);
  needs_square("solve_triangular", a);
  if (!o.left) {
    if (b->rank() < 2)
      fail<ShapeError>(a.where(), "solve_triangular: needs matrices on the left of {}, got {}", a->shape(), b->shape());
    return transpose(by(solve_triangular(by(transpose(a)), by(transpose(b)), {.upper = !o.upper, .unit = o.unit})));
  }
  check_system("solve_triangular", a, b);
  const System system = over_one_batch("solve_triangular", a, b, by);
  return apply(SolveTriangular{o.upper, o.unit, {}, {}}, by(system.a), by(system.b));
}

// Y = A^-1:  A_bar = -Y^T Y_bar Y^T.
struct Inverse {
  static constexpr std::string_view name = "inverse";
  Where where;
  Saved y;
  void forget() { y.forget(); }
  Tensor forward(const Tensor& a) {
    const std::int64_t n = a.size(-1), count = batch_before(a.shape()).numel();
    const Tensor from = contiguous(a.detach()), unit = contiguous(expand(eye(n, a.dtype()), a.shape()));
    Tensor r = empty(a.shape(), a.dtype());
    const std::int64_t bad = kernels::solve(a.dtype(), count, n, n, numbers(from), numbers(unit), numbers_of_new(r));
    if (bad >= 0)
      fail<ValueError>(where, "inverse: matrix{} is singular; its shape is {}", which(a.shape(), bad), a.shape());
    y = r;
    return r;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor t = transpose(y);
    return -matmul(t, matmul(y_bar, t));
  }
  Tensor jvp(arg<0>, const Tensor& a_dot) const { return -matmul(y, matmul(a_dot, y)); }
};
Tensor inverse(Operand a) {
  needs_square("inverse", a);
  return apply(Inverse{a.where(), {}}, a);
}

// A = L L^T.  With P(X) the lower half of X, its diagonal halved:  L_dot = L P(L^-1 A_dot L^-T),  A_bar = sym(L^-T
// P(L^T L_bar) L^-1).
struct Cholesky {
  static constexpr std::string_view name = "cholesky";
  Where where;
  Saved l;
  void forget() { l.forget(); }
  Tensor forward(const Tensor& a) {
    const Tensor from = contiguous(a.detach());
    Tensor r = empty(a.shape(), a.dtype());
    const std::int64_t bad =
        kernels::cholesky(a.dtype(), batch_before(a.shape()).numel(), a.size(-1), numbers(from), numbers_of_new(r));
    if (bad >= 0)
      fail<ValueError>(where, "cholesky: matrix{} is not positive definite; its shape is {}", which(a.shape(), bad),
                       a.shape());
    l = r;
    return r;
  }
  static Tensor symmetric(const Tensor& x) { return 0.5 * (x + transpose(x)); }
  static Tensor half(const Tensor& x) {
    return x * (tril(ones({x.size(-1), x.size(-1)}, x.dtype())) - 0.5 * eye(x.size(-1), x.dtype()));
  }
  Tensor vjp(arg<0>, const Tensor& l_bar) const {
    const Tensor lt = transpose(l), left = solve_triangular(lt, half(matmul(lt, l_bar)), {.upper = true});
    return symmetric(solve_triangular(lt, transpose(left), {.upper = true}));
  }
  Tensor jvp(arg<0>, const Tensor& a_dot) const {
    const Tensor left = solve_triangular(l, symmetric(a_dot));
    return matmul(l, half(solve_triangular(l, transpose(left))));
  }
};
Tensor cholesky(Operand a) {
  needs_square("cholesky", a);
  return apply(Cholesky{a.where(), {}}, a);
}

namespace {

struct Determinants {
  Tensor det, sign, log_abs;
};
Determinants determinants(const Tensor& a) {
  const Shape batch = batch_before(a.shape());
  const Tensor from = contiguous(a.detach());
  Determinants d{empty(batch, a.dtype()), empty(batch, a.dtype()), empty(batch, a.dtype())};
  kernels::determinant(a.dtype(), batch.numel(), a.size(-1), numbers(from), numbers_of_new(d.det),
                       numbers_of_new(d.sign), numbers_of_new(d.log_abs));
  return d;
}

Tensor on_matrices(const Tensor& x) { return unsqueeze(unsqueeze(x, -1), -1); }

}  // namespace

// d det(A) = <C, dA> with the cofactors C = det(A) A^-T. A singular matrix has them, too: with A = U diag(s) V^T they
// are det(U) det(V) U diag(products of the other s) V^T.
struct Det {
  static constexpr std::string_view name = "det";
  Saved a, y;
  Tensor forward(const Tensor& m) {
    const Tensor r = determinants(m).det;
    a = m, y = r;
    return r;
  }
  Tensor cofactors() const {
    const Tensor &m = a, &d = y;
    bool singular = false;
    for (double x : to(d.detach(), float64).to_vector<double>()) singular = singular || x == 0;
    if (!singular) return on_matrices(d) * transpose(inverse(m));
    const SVD parts = svd(m);
    const Tensor sign = determinants(parts.u).sign * determinants(parts.vt).sign;
    return on_matrices(sign) * matmul(parts.u * unsqueeze(product_of_others(parts.s), -2), parts.vt);
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return on_matrices(y_bar) * cofactors(); }
  Tensor jvp(arg<0>, const Tensor& a_dot) const { return sum(cofactors() * a_dot, {-2, -1}); }
};
Tensor det(Operand a) {
  needs_square("det", a);
  return apply(Det{}, a);
}

// d log |det A| = <A^-T, dA>.
struct LogAbsDet {
  static constexpr std::string_view name = "slogdet";
  Saved a;
  Tensor forward(const Tensor& m) {
    a = m;
    return determinants(m).log_abs;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return on_matrices(y_bar) * transpose(inverse(a)); }
  Tensor jvp(arg<0>, const Tensor& a_dot) const { return sum(transpose(inverse(a)) * a_dot, {-2, -1}); }
};
SignedLog slogdet(Operand a) {
  needs_square("slogdet", a);
  return {determinants(a).sign, apply(LogAbsDet{}, a)};
}
Tensor logdet(Operand a) {
  const CalledBy by(a);
  const SignedLog s = slogdet(a);
  return where(by(less(by(s.sign), 0)), by(scalar(std::numeric_limits<double>::quiet_NaN(), a->dtype())),
               by(s.log_abs));
}

}  // namespace wengert
