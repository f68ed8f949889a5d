#ifndef MV_ROTARY_H
#define MV_ROTARY_H

// Rotates the heads of rows of x, 2 * half elements each, `heads` of them from the start of a row; rows are at a
// distance of `stride`. Element i of a head is paired with element half + i, and turned by the angle whose cosine and
// sine are at i of the row's `half` ones.

#include <stddef.h>
#include <stdint.h>

void mv_rotate(float *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosines,
               const float *sines);

// In bf16; computed in 32 bits.
void mv_bf16_rotate(uint16_t *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosines,
                    const float *sines);

#endif
