// The little of BLAS and LAPACK that mergevit uses, in double precision, row-major, behind plain C types.
#ifndef MERGEVIT_CLAPACK_H
#define MERGEVIT_CLAPACK_H

#include <stdint.h>

/// c[m,n] = alpha * op(a) * op(b) + beta * c, where op transposes if asked; a is [m,k] (or [k,m]), b is [k,n] (or
/// [n,k]).
void mv_dgemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
              const double *b, double beta, double *c);

/// The processor whose kernels BLAS uses, by BLAS's name.
const char *mv_blas_core(void);

/// Sets how many threads BLAS may use for one call; gives how many it could before.
int mv_blas_threads(int threads);

/// Thin singular value decomposition of a[m,n], which is overwritten: a = u[m,r] diag(s[r]) vt[r,n], r = min(m,n).
/// Gives 0, or LAPACK's code.
int mv_dgesdd(int64_t m, int64_t n, double *a, double *s, double *u, double *vt);

/// Thin QR decomposition of a[m,n] with m >= n: q replaces a, r is written to r[n,n]. Gives 0, or LAPACK's code.
int mv_dqr(int64_t m, int64_t n, double *a, double *r);

/// Solves a[n,n] x = b[n,k] for a symmetric positive definite a by Cholesky's method; both are overwritten, b by x.
/// Gives 0, or a positive code when a is not positive definite.
int mv_dposv(int64_t n, int64_t k, double *a, double *b);

/// Cholesky's factor of a symmetric positive definite a[n,n] = rᵀ r: the upper triangle of a becomes r, the rest is
/// left. Gives 0, or a positive code when a is not positive definite.
int mv_dpotrf(int64_t n, double *a);

/// The upper triangle of sum[n,n] += xᵀ x for x[rows,n] in single precision.
void mv_sgram_add(int64_t rows, int64_t n, const float *x, float *sum);

/// product[n,n] = xᵀ x for x[rows,n] in single precision.
void mv_sgram(int64_t rows, int64_t n, const float *x, float *product);

/// product[n,m] = xᵀ y for x[rows,n] and y[rows,m] in single precision.
void mv_scross(int64_t rows, int64_t n, int64_t m, const float *x, const float *y, float *product);

/// The eigenvectors of the `count` largest eigenvalues of a symmetric a[n,n], which is overwritten: rows of
/// vectors[count,n], eigenvalues[n] ascending in the first `count`. Gives 0, or LAPACK's code.
int mv_dsyevr(int64_t n, int64_t count, double *a, double *eigenvalues, double *vectors);

#endif
