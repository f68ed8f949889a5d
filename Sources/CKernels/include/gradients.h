#ifndef MV_GRADIENTS_H
#define MV_GRADIENTS_H

// Loops of backward passes other than matrix products. Every sum over a row is taken in MV_LANES partial sums, the
// halves of which are then added until one is left, whatever the processor.

#include <stddef.h>
#include <stdint.h>

#define MV_LANES 16

// d = p * (d - sum of p * d), for each dense row: from the gradient of softmax's result p to that of its argument.
void mv_softmax_backward(const float *p, float *d, size_t rows, size_t columns);

// dx += the gradient of a layer normalization's argument x, given that of its result, dy; for each dense row.
void mv_layer_norm_backward(const float *x, const float *scale, float epsilon, const float *dy, float *dx, size_t rows,
                            size_t columns);

// The sum of a * b.
float mv_dot(const float *a, const float *b, size_t count);

// y += factor * x
void mv_add_scaled(const float *x, float factor, float *y, size_t count);

// out = a * b; out may be a or b.
void mv_multiply(const float *a, const float *b, float *out, size_t count);

// dst (+)= src with each element kept, times `scale`, where its random 32 bits are at least `threshold`, else zero.
// Elements 2i and 2i + 1 have the lower and the upper half of the i-th number that SplitMix64 gives from the state
// `key`. dst may be src.
void mv_dropout(const float *src, float *dst, size_t count, uint64_t key, uint32_t threshold, float scale,
                int accumulate);

// The constants of one step of AdamW.
typedef struct {
    float beta2, rest1, rest2;  // beta2, 1 - beta1, 1 - beta2
    float epsilon;
    float decay;  // 1 - learning rate * weight decay
    float step;   // learning rate / (1 - beta1^t)
    float root;   // sqrt(1 - beta2^t)
} mv_adamw_constants;

// One step of AdamW over parameters, their gradient and both moments.
void mv_adamw(float *parameters, const float *gradient, float *moment1, float *moment2, size_t count,
              mv_adamw_constants constants);

#endif
