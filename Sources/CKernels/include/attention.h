#ifndef MV_ATTENTION_H
#define MV_ATTENTION_H

// Attention between its linear layers in bf16: softmax(q kᵀ) v of each head. Scores of 32 queries at a time stay in the
// first cache. Sums and softmax are in f32.

#include "attention_heads.h"

// Whether the processor has the instructions (AVX512_BF16).
int mv_attention_is_supported(void);

// The bytes of memory that a call needs; only the extents matter.
size_t mv_attention_scratch(const mv_heads *heads);

// To be called only where it is supported, and with heads in bf16.
//
//     uses_tiles  whether products use AMX
void mv_attention(const mv_heads *heads, int uses_tiles, void *scratch);

#endif
