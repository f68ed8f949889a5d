#ifndef MV_SOFTMAX_H
#define MV_SOFTMAX_H

// Softmax of the first `columns` elements of rows of x at a distance of `stride`, a multiple of 16, into rows of `out`
// at a distance of `out_stride`. `bias` is added to the columns first, unless it is null. The rows of x and the
// elements between them are overwritten; elements between rows of `out` are undefined.

#include <stddef.h>
#include <stdint.h>

// out may be x, with its stride.
void mv_softmax(float *x, const float *bias, float *out, size_t rows, size_t columns, size_t stride,
                size_t out_stride);

// Rounded to the nearest bf16.
void mv_bf16_softmax(float *x, const float *bias, uint16_t *out, size_t rows, size_t columns, size_t stride,
                     size_t out_stride);

#endif
