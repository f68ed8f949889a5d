#include "softmax.h"

#include "clones.h"
#include "rows.h"

// e^x for x <= 0; x below -87 counts as that.
INLINE float exponential_of_negative(float x) { return exponential_within(x < -87.0f ? -87.0f : x); }

// 2^t for t <= 0 to a relative error of 3e-6, a thousandth of bf16's; t below -126 counts as that. The polynomial is
// Taylor's.
INLINE float power_of_two(float t) {
    t = t < -126.0f ? -126.0f : t;
    float whole = t + NEAREST, r = t - (whole - NEAREST);
    float p = 1.3333558e-3f;
    p = p * r + 9.6181291e-3f;
    p = p * r + 5.5504109e-2f;
    p = p * r + 2.4022651e-1f;
    p = p * r + 6.9314718e-1f;
    p = p * r + 1.0f;
    return scaled(p, whole);
}

// How many elements of a row are written: whole vectors where there is room.
INLINE size_t written(size_t columns, size_t stride, size_t out_stride) {
    return out_stride < stride ? columns : stride;
}

// The largest of a row after the columns' bias is added; its end is filled so that whole vectors can be computed.
INLINE float row_maximum(float *restrict x, const float *restrict bias, size_t columns, size_t stride) {
    if (bias)
        for (size_t i = 0; i < columns; i++) x[i] += bias[i];
    for (size_t i = columns; i < stride; i++) x[i] = -3e38f;
    float lanes[MV_LANES];
    memcpy(lanes, x, sizeof lanes);
    for (size_t i = MV_LANES; i < stride; i += MV_LANES)
        for (int l = 0; l < MV_LANES; l++) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
    return highest(lanes);
}

MV_CLONES
void mv_softmax(float *x, const float *bias, float *out, size_t rows, size_t columns, size_t stride,
                size_t out_stride) {
    size_t count = written(columns, stride, out_stride);
    for (size_t row = 0; row < rows; row++, x += stride, out += out_stride) {
        float largest = row_maximum(x, bias, columns, stride), sums[MV_LANES] = {0};
        for (size_t i = 0; i < stride; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) {
                x[i + l] = exponential_of_negative(x[i + l] - largest);
                sums[l] += x[i + l];
            }
        float factor = 1 / total(sums);
        // Each element is read before it is written, so that vectors are right where out is x.
#pragma clang loop vectorize(assume_safety)
        for (size_t i = 0; i < count; i++) out[i] = x[i] * factor;
    }
}

// As `rounded`, for what a processor computes: its NaN, which has only upper bits, stays one.
INLINE uint16_t rounded_result(float value) {
    uint32_t bits = to_bits(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

MV_CLONES
void mv_bf16_softmax(float *restrict x, const float *restrict bias, uint16_t *restrict out, size_t rows,
                     size_t columns, size_t stride, size_t out_stride) {
    size_t count = written(columns, stride, out_stride);
    for (size_t row = 0; row < rows; row++, x += stride, out += out_stride) {
        float largest = row_maximum(x, bias, columns, stride) * LOG2_E, sums[MV_LANES] = {0};
        for (size_t i = 0; i < stride; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) {
                x[i + l] = power_of_two(x[i + l] * LOG2_E - largest);
                sums[l] += x[i + l];
            }
        float factor = 1 / total(sums);
        for (size_t i = 0; i < count; i++) out[i] = rounded_result(x[i] * factor);
    }
}
