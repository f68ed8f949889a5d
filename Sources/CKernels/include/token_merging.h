#ifndef MV_TOKEN_MERGING_H
#define MV_TOKEN_MERGING_H

// What token merging computes besides a matrix product.

#include <stddef.h>
#include <stdint.h>

// The sum of each row's `heads` parts of `size` numbers, divided by its length. Rows of `keys` are `stride` apart,
// those of `out` dense. A sum of length 0 stays 0.
void mv_mean_keys(const float *keys, size_t rows, size_t stride, size_t heads, size_t size, float *out);

// The same of bf16.
void mv_bf16_mean_keys(const uint16_t *keys, size_t rows, size_t stride, size_t heads, size_t size, float *out);

// The largest number of each dense row, and its column: the first of equal ones. A row of NaN has column 0.
void mv_row_maxima(const float *x, size_t rows, size_t columns, float *largest, uint32_t *column);

// x += factor * (y - x)
void mv_blend(float *x, const float *y, float factor, size_t count);

#endif
