#ifndef MV_HEADS_H
#define MV_HEADS_H

// Low-rank changes of what each attention head reads or gives. Sums are taken in a fixed order, whatever the processor.

#include <stddef.h>

// z[h] = Bᵀ[h] x[h]: B of (heads * size, rank), of which head h has the rows from h * size; x of heads * size elements,
// z of (heads, rank).
void mv_heads_down(const float *x, const float *b, float *z, size_t heads, size_t size, size_t rank);

// y[h] += Bᵀ[h] z[h]: B of (rank, heads * size), of which head h has the columns from h * size; z of (heads, rank),
// y of heads * size elements.
void mv_heads_up(const float *z, const float *b, float *y, size_t heads, size_t size, size_t rank);

#endif
