#ifndef MV_ATTENTION_H
#define MV_ATTENTION_H

// Attention between its linear layers in bf16: softmax(q kᵀ) v of each head. Scores of 32 queries at a time stay in the
// first cache. Sums and softmax are in f32.

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int uses_tiles;         // whether products use AMX
    size_t count, size;     // of the heads
    size_t tokens, rows;    // keys and values; the queries, the first of the tokens
    const uint16_t *queries, *keys, *values;  // (rows or tokens, count · size), their rows `row_stride` elements apart
    size_t row_stride;
    const float *bias;      // (count, rows, bias_stride), added to the scores; or null
    size_t bias_stride;
    const float *weights;   // (tokens), added to each row of scores; or null
    uint16_t *result;       // (rows, count · size), its rows `result_stride` elements apart
    size_t result_stride;
} mv_heads;

// Whether the processor has the instructions (AVX512_BF16).
int mv_attention_is_supported(void);

// The bytes of memory that a call needs; only the extents matter.
size_t mv_attention_scratch(const mv_heads *heads);

// To be called only where it is supported.
void mv_attention(const mv_heads *heads, void *scratch);

#endif
