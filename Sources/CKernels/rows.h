// What loops over rows share. Every sum over a row is taken in MV_LANES partial sums, the halves of which are then
// added until one is left.
#ifndef MV_ROWS_H
#define MV_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gradients.h"

#define INLINE static inline __attribute__((always_inline))

INLINE float total(const float *lanes) {
    float sums[MV_LANES];
    memcpy(sums, lanes, sizeof sums);
    for (int width = MV_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) sums[i] += sums[i + width];
    return sums[0];
}

INLINE float highest(const float *lanes) {
    float values[MV_LANES];
    memcpy(values, lanes, sizeof values);
    for (int width = MV_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) values[i] = values[i + width] > values[i] ? values[i + width] : values[i];
    return values[0];
}

// The sum of the products of corresponding elements.
INLINE float dot(const float *a, const float *b, size_t count) {
    float lanes[MV_LANES] = {0};
    size_t i = 0;
    for (; i + MV_LANES <= count; i += MV_LANES)
        for (int l = 0; l < MV_LANES; l++) lanes[l] += a[i + l] * b[i + l];
    for (int l = 0; i < count; i++, l++) lanes[l] += a[i] * b[i];
    return total(lanes);
}

// Mean and population variance of a row.
INLINE void moments(const float *x, size_t count, float *mean, float *variance) {
    float lanes[MV_LANES] = {0}, squares[MV_LANES] = {0};
    size_t i = 0;
    for (; i + MV_LANES <= count; i += MV_LANES)
        for (int l = 0; l < MV_LANES; l++) lanes[l] += x[i + l];
    for (int l = 0; i < count; i++, l++) lanes[l] += x[i];
    float m = total(lanes) / (float)count;
    for (i = 0; i + MV_LANES <= count; i += MV_LANES)
        for (int l = 0; l < MV_LANES; l++) squares[l] += (x[i + l] - m) * (x[i + l] - m);
    for (int l = 0; i < count; i++, l++) squares[l] += (x[i] - m) * (x[i] - m);
    *mean = m;
    *variance = total(squares) / (float)count;
}

INLINE float from_bits(uint32_t bits) {
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

INLINE uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The nearest bf16, or the even one of two that are as near.
INLINE uint16_t rounded(float value) {
    uint32_t bits = to_bits(value);
    // Half of the last place that is kept, less one unless the number below it is odd: ties go to the even one.
    uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    // Rounding could make infinity of a NaN: it keeps its upper bits and becomes quiet.
    uint32_t nan = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : nearest);
}

INLINE float widened(uint16_t value) { return from_bits((uint32_t)value << 16); }

// Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits; taking it away again gives that number.
#define NEAREST 12582912.0f
#define LOG2_E 1.44269504f

// 2^n p, where the lowest bits of `whole` are n.
INLINE float scaled(float p, float whole) { return from_bits(to_bits(p) + (to_bits(whole) << 23)); }

// e^x to a relative error of 3e-7 for -87 <= x <= 88. x = n ln 2 + r, and e^r is a polynomial (Cephes, expf.c).
INLINE float exponential_within(float x) {
    float whole = x * LOG2_E + NEAREST, n = whole - NEAREST;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return scaled(p, whole);
}

// The same, where x beyond those bounds counts as the nearer of the two.
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    return exponential_within(x > 88.0f ? 88.0f : x);
}

#endif
