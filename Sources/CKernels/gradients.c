#include "gradients.h"

#include <math.h>

#include "clones.h"
#include "rows.h"

MV_CLONES
float mv_dot(const float *a, const float *b, size_t count) { return dot(a, b, count); }

MV_CLONES
void mv_softmax_backward(const float *p, float *d, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++, p += columns, d += columns) {
        float mean = dot(p, d, columns);
        for (size_t i = 0; i < columns; i++) d[i] = p[i] * (d[i] - mean);
    }
}

// With x̂ = (x - mean) / deviation and g = dy * scale: dx = (g - mean(g) - x̂ mean(g x̂)) / deviation.
MV_CLONES
void mv_layer_norm_backward(const float *x, const float *scale, float epsilon, const float *dy, float *dx, size_t rows,
                            size_t columns) {
    for (size_t row = 0; row < rows; row++, x += columns, dy += columns, dx += columns) {
        float mean, variance, plain[MV_LANES] = {0}, weighted[MV_LANES] = {0};
        moments(x, columns, &mean, &variance);
        float inverse = 1 / sqrtf(variance + epsilon);
        size_t i = 0;
        for (; i + MV_LANES <= columns; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) {
                float g = dy[i + l] * scale[i + l];
                plain[l] += g;
                weighted[l] += g * (x[i + l] - mean);
            }
        for (int l = 0; i < columns; i++, l++) {
            float g = dy[i] * scale[i];
            plain[l] += g;
            weighted[l] += g * (x[i] - mean);
        }
        float shift = total(plain) / (float)columns;
        float slope = total(weighted) / (float)columns * inverse * inverse;
        for (i = 0; i < columns; i++) dx[i] += inverse * (dy[i] * scale[i] - shift - (x[i] - mean) * slope);
    }
}

MV_CLONES
void mv_add_scaled(const float *restrict x, float factor, float *restrict y, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] += factor * x[i];
}

MV_CLONES
void mv_multiply(const float *a, const float *b, float *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = a[i] * b[i];
}

// SplitMix64 (Steele, Lea and Flood, 2014): its i-th number from a state.
INLINE uint64_t number(uint64_t key, uint64_t i) {
    uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

INLINE float kept(float value, uint32_t bits, uint32_t threshold, float scale) {
    return bits >= threshold ? value * scale : 0;
}

INLINE void drop(const float *src, float *dst, size_t count, uint64_t key, uint32_t threshold, float scale,
                 int accumulate) {
    for (size_t pair = 0; pair < (count + 1) / 2; pair++) {
        uint64_t bits = number(key, pair);
        size_t i = 2 * pair;
        float low = kept(src[i], (uint32_t)bits, threshold, scale);
        dst[i] = accumulate ? dst[i] + low : low;
        if (i + 1 == count) break;
        float high = kept(src[i + 1], (uint32_t)(bits >> 32), threshold, scale);
        dst[i + 1] = accumulate ? dst[i + 1] + high : high;
    }
}

MV_CLONES
void mv_dropout(const float *src, float *dst, size_t count, uint64_t key, uint32_t threshold, float scale,
                int accumulate) {
    if (accumulate)
        drop(src, dst, count, key, threshold, scale, 1);
    else
        drop(src, dst, count, key, threshold, scale, 0);
}

MV_CLONES
void mv_adamw(float *restrict parameters, const float *restrict gradient, float *restrict moment1,
              float *restrict moment2, size_t count, mv_adamw_constants c) {
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i];
        float m = moment1[i] + (g - moment1[i]) * c.rest1;
        float v = c.beta2 * moment2[i] + c.rest2 * g * g;
        parameters[i] = parameters[i] * c.decay - c.step * m / (sqrtf(v) / c.root + c.epsilon);
        moment1[i] = m;
        moment2[i] = v;
    }
}
