#include "CLAPACK.h"

#include <cblas.h>
#include <lapacke.h>

int mv_blas_threads(int threads) {
    int before = openblas_get_num_threads();
    openblas_set_num_threads(threads);
    return before;
}

void mv_dgemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
              const double *b, double beta, double *c) {
    if (m == 0 || n == 0) return;
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, (int)m,
                (int)n, (int)k, alpha, a, (int)(transpose_a ? m : (k > 0 ? k : 1)), b,
                (int)(transpose_b ? (k > 0 ? k : 1) : n), beta, c, (int)n);
}

int mv_dgesdd(int64_t m, int64_t n, double *a, double *s, double *u, double *vt) {
    int64_t r = m < n ? m : n;
    if (r == 0) return 0;
    return (int)LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', (lapack_int)m, (lapack_int)n, a, (lapack_int)n, s, u,
                               (lapack_int)r, vt, (lapack_int)n);
}

int mv_dqr(int64_t m, int64_t n, double *a, double *r) {
    if (m == 0 || n == 0) return 0;
    double tau[n];
    int status = (int)LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)n, a, (lapack_int)n, tau);
    if (status) return status;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) r[i * n + j] = j >= i ? a[i * n + j] : 0;
    return (int)LAPACKE_dorgqr(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)n, (lapack_int)n, a, (lapack_int)n, tau);
}

int mv_dposv(int64_t n, int64_t k, double *a, double *b) {
    if (n == 0 || k == 0) return 0;
    return (int)LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', (lapack_int)n, (lapack_int)k, a, (lapack_int)n, b, (lapack_int)k);
}

int mv_dpotrf(int64_t n, double *a) {
    if (n == 0) return 0;
    // A symmetric matrix is the same by rows and by columns; the lower factor by columns is then our upper one.
    return (int)LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (lapack_int)n, a, (lapack_int)n);
}

void mv_sgram_add(int64_t rows, int64_t n, const float *x, float *sum) {
    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)n, (int)rows, 1, x, (int)n, 1, sum, (int)n);
}

void mv_sgram(int64_t rows, int64_t n, const float *x, float *product) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)n, (int)rows, 1, x, (int)n, x, (int)n, 0, product,
                (int)n);
}

void mv_scross(int64_t rows, int64_t n, int64_t m, const float *x, const float *y, float *product) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)m, (int)rows, 1, x, (int)n, y, (int)m, 0, product,
                (int)m);
}

int mv_dsyevr(int64_t n, int64_t count, double *a, double *eigenvalues, double *vectors) {
    if (n == 0 || count == 0) return 0;
    lapack_int found = 0;
    lapack_int support[2 * count];
    // A symmetric matrix is the same by rows and by columns; eigenvectors as columns are then our rows.
    int status = (int)LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', (lapack_int)n, a, (lapack_int)n, 0, 0,
                                     (lapack_int)(n - count + 1), (lapack_int)n, 0, &found, eigenvalues, vectors,
                                     (lapack_int)n, support);
    return status ? status : found == count ? 0 : 1;
}
