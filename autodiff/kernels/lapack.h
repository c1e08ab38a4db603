#pragma once

#include "wengert/autodiff/base/shape.h"

namespace wengert::kernels {

// `count` row-major matrices one after the other, float32 or float64, through the LAPACK that comes with OpenBLAS.
// Matrices of a batch are the threads' work; each is done by one thread, so that bits do not depend on their number.
// The first matrix that fails is returned, or -1.

/// A X = B for A [n, n], B and X [n, k]. Fails where A is singular.
std::int64_t solve(DType, std::int64_t count, std::int64_t n, std::int64_t k, const void* a, const void* b, void* x);
/// The same for a triangular A (the other half is not read); a unit diagonal is not read either. Never fails.
void solve_triangular(DType, std::int64_t count, std::int64_t n, std::int64_t k, bool upper, bool unit, const void* a,
                      const void* b, void* x);
/// A = L L^T from the lower half of A. Fails where A is not positive definite.
std::int64_t cholesky(DType, std::int64_t count, std::int64_t n, const void* a, void* l);
/// det A, its sign (-1, 0, 1), and log |det A|.
void determinant(DType, std::int64_t count, std::int64_t n, const void* a, void* det, void* sign, void* log_abs);
/// A [m, n] = Q R with m >= n, Q [m, n], R [n, n] with a diagonal >= 0.
void qr(DType, std::int64_t count, std::int64_t m, std::int64_t n, const void* a, void* q, void* r);
/// A [m, n] = U diag(s) V^T, r = min(m, n): U [m, r], s [r] descending, V^T [r, n]. Fails where it does not converge
/// (NaN).
std::int64_t svd(DType, std::int64_t count, std::int64_t m, std::int64_t n, const void* a, void* u, void* s, void* vt);
/// A = V diag(w) V^T from the lower half of A, w ascending.
std::int64_t eigh(DType, std::int64_t count, std::int64_t n, const void* a, void* w, void* v);

}  // namespace wengert::kernels
