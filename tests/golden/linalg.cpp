#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

// Sums over the last axes of both; a scalar multiplies.
Tensor inner(const Tensor& x, const Tensor& y) {
  if (x.rank() == 0 || y.rank() == 0) return x * y;
  return tensordot(x, y, {-1}, {-1});
}

Results pair(const QR& r) { return {r.q, r.r}; }
Results pair(const SignedLog& s) { return {s.sign, s.log_abs}; }

Tensor triangular(const Args& a) {
  return solve_triangular(a.input(), a.other(),
                          {.upper = a.flag("upper"), .left = a.flag("left"), .unit = a.flag("unitriangular")});
}

}  // namespace

void add_linalg(Table& t) {
  for (const char* name : {"matmul", "mm", "bmm"})
    t[name] = [](const Args& a) -> Results { return matmul(a.input(), a.other()); };
  ROW(mv, matmul(a.input(), a["vec"]));
  ROW(dot, dot(a.input(), a.other()));
  ROW(outer, outer(a.input(), a["vec2"]));
  ROW(inner, inner(a.input(), a.other()));
  ROW(addmm, a.number("beta") * a.input() + a.number("alpha") * matmul(a["mat1"], a["mat2"]));
  ROW(baddbmm, a.number("beta") * a.input() + a.number("alpha") * matmul(a["batch1"], a["batch2"]));
  ROW(einsum, einsum(a.text("equation"), a.list("operands")));
  ROW(tensordot, tensordot(a.input(), a.other(), a.shape("dims_a"), a.shape("dims_b")));
  ROW(kron, kron(a.input(), a.other()));
  ROW(cross, cross(a.input(), a.other(), a.integer("dim")));
  ROW(trace, trace(a.input()));
  ROW(inv, inverse(a.input()));
  ROW(solve, solve(a.input(), a.other()));
  ROW(solve_triangular, triangular(a));
  ROW(cholesky, a.flag("upper") ? transpose(cholesky(a.input())) : cholesky(a.input()));
  ROW(det, det(a.input()));
  ROW(slogdet, pair(slogdet(a.input())));
  ROW(logdet, logdet(a.input()));
  ROW(qr, pair(qr(a.input())));
  ROW(svdvals, svdvals(a.input()));
  ROW(eigvalsh, eigvalsh(a.input()));
  ROW(matrix_power, matrix_power(a.input(), a.integer("n")));
  ROW(multi_dot, multi_dot(a.list("tensors")));
  ROW(cdist, cdist(a.input(), a.other(), a.number("p")));
}

}  // namespace golden
