#ifndef MV_BF16_H
#define MV_BF16_H

// bfloat16: the upper half of an f32. Its numbers are held as their 16 bits.

#include <stddef.h>
#include <stdint.h>

// dst = src rounded to the nearest bf16, to the even one of two that are as near; NaN stays NaN, with its sign.
void mv_bf16_round(const float *src, uint16_t *dst, size_t count);

// dst = src, exactly.
void mv_bf16_widen(const uint16_t *src, float *dst, size_t count);

// out = round(a * b); out may be a or b.
void mv_bf16_multiply(const uint16_t *a, const uint16_t *b, uint16_t *out, size_t count);

// y = round(y + x)
void mv_bf16_add(const float *x, uint16_t *y, size_t count);

// As mv_softmax_backward, with probabilities and result in bf16: out = round(p * (d - sum of p * d)).
void mv_bf16_softmax_backward(const uint16_t *p, const float *d, uint16_t *out, size_t rows, size_t columns);

// Layer normalization of dense rows: population variance, computed in f32, rounded at the end.
void mv_bf16_layer_norm(const float *x, const float *scale, const float *shift, float epsilon, uint16_t *out,
                        size_t rows, size_t columns);

#endif
