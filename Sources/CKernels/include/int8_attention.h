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

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int is_bf16;            // whether numbers are in bf16; else in f32
    size_t count, size;     // of the heads
    size_t tokens, rows;    // keys and values; the queries, the first of the tokens
    const void *queries, *keys, *values;  // (rows or tokens, count · size), their rows `row_stride` elements apart
    size_t row_stride;
    const float *bias;      // (count, rows, bias_stride), added to the scores; or null
    size_t bias_stride;
    const float *weights;   // (tokens), added to each row of scores; or null
    void *result;           // (rows, count · size), its rows `result_stride` elements apart
    size_t result_stride;
} mv_int8_heads;

// Whether the processor has the instructions (AVX512_VNNI).
int mv_int8_attention_is_supported(void);

// The bytes of memory that a call needs; only the extents matter.
size_t mv_int8_attention_scratch(const mv_int8_heads *heads);

// To be called only where it is supported. Where queries, keys or values are not finite, neither are results.
void mv_int8_attention(const mv_int8_heads *heads, void *scratch);

#endif
