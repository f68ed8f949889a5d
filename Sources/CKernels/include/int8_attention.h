#ifndef MV_INT8_ATTENTION_H
#define MV_INT8_ATTENTION_H

// Attention between its linear layers in eight bits: softmax(q kᵀ) v of each head. Products are whole numbers,
// exactly; softmax is in f32.
//
//     q   a scale for each token
//     k   a scale for each token, after the mean of all tokens is taken away, which softmax does not see
//     v   a scale and an offset for each column, which spread its range over 254 steps
//     p   255 steps for each row, from 0 to its largest; divided by the sum of what was rounded
//
// Most of p are less than a step, so rounding them to the nearest would lose them. They are rounded up where the
// fraction is more than a threshold, which differs from token to token so that neighbours together lose nothing: the
// multiples of the golden ratio, shifted by a token from row to row.
//
// Scores of 32 queries at a time stay in the first cache.

#include "attention_heads.h"

// Whether the processor has the instructions (AVX512_VNNI).
int mv_int8_attention_is_supported(void);

// The bytes of memory that a call needs; only the extents matter.
size_t mv_int8_attention_scratch(const mv_heads *heads);

// To be called only where it is supported. Where queries, keys or values are not finite, neither are results.
void mv_int8_attention(const mv_heads *heads, void *scratch);

#endif
