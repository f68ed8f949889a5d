#ifndef MV_ATTENTION_HEADS_H
#define MV_ATTENTION_HEADS_H

// The heads of attention, softmax(q kᵀ) v, with what they read and write.

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t count, size;     // of the heads
    size_t tokens, rows;    // keys and values; the queries, the first of the tokens
    int is_bf16;            // whether queries, keys, values and results are in bf16; else in f32
    const void *queries, *keys, *values;  // (rows or tokens, count · size), their rows `row_stride` elements apart
    size_t row_stride;
    const float *bias;      // (count, rows, bias_stride), added to the scores; or null
    size_t bias_stride;
    const float *weights;   // (tokens), added to each row of scores; or null
    void *result;           // (rows, count · size), its rows `result_stride` elements apart
    size_t result_stride;
} mv_heads;

#endif
