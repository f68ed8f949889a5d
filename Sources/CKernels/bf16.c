#include "bf16.h"

#include <math.h>

#include "clones.h"
#include "rows.h"

MV_CLONES
void mv_bf16_round(const float *restrict src, uint16_t *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = rounded(src[i]);
}

MV_CLONES
void mv_bf16_widen(const uint16_t *restrict src, float *restrict dst, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] = widened(src[i]);
}

MV_CLONES
void mv_bf16_multiply(const uint16_t *a, const uint16_t *b, uint16_t *out, size_t count) {
    // Each element is read before it is written, so that vectors are right where out is a or b too.
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < count; i++) out[i] = rounded(widened(a[i]) * widened(b[i]));
}

MV_CLONES
void mv_bf16_add(const float *restrict x, uint16_t *restrict y, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] = rounded(widened(y[i]) + x[i]);
}

MV_CLONES
void mv_bf16_softmax_backward(const uint16_t *restrict p, const float *restrict d, uint16_t *restrict out,
                              size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++, p += columns, d += columns, out += columns) {
        float lanes[MV_LANES] = {0}, mean = 0;
        size_t i = 0;
        for (; i + MV_LANES <= columns; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) lanes[l] += widened(p[i + l]) * d[i + l];
        for (int l = 0; i < columns; i++, l++) lanes[l] += widened(p[i]) * d[i];
        for (int l = 0; l < MV_LANES; l++) mean += lanes[l];
        for (i = 0; i < columns; i++) out[i] = rounded(widened(p[i]) * (d[i] - mean));
    }
}

MV_CLONES
void mv_bf16_layer_norm(const float *restrict x, const float *restrict scale, const float *restrict shift,
                        float epsilon, uint16_t *restrict out, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++, x += columns, out += columns) {
        float mean, variance;
        moments(x, columns, &mean, &variance);
        float inverse = 1 / sqrtf(variance + epsilon);
        for (size_t i = 0; i < columns; i++) out[i] = rounded((x[i] - mean) * inverse * scale[i] + shift[i]);
    }
}
