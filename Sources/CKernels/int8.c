#include "int8.h"

#include <math.h>

#include "clones.h"
#include "rows.h"

INLINE uint8_t nearest_byte(float x) { return (uint8_t)to_bits(x + NEAREST); }

INLINE float magnitude(float x) { return x < 0 ? -x : x; }

// 127 / the largest magnitude; a row of zeros stays one.
INLINE float centred_factor(float largest, float *row_scale) {
    *row_scale = largest / 127;
    return largest > 0 ? 127 / largest : 0;
}

MV_CLONES
void mv_int8_quantize_weights(const float *restrict weight, float *restrict out, float *restrict scale,
                              float *restrict sums, size_t outputs, size_t inputs) {
    for (size_t row = 0; row < outputs; row++, weight += inputs, out += inputs) {
        float largest = 0, sum = 0;
        for (size_t i = 0; i < inputs; i++) {
            float m = magnitude(weight[i]);
            largest = m > largest ? m : largest;
        }
        float factor = centred_factor(largest, scale + row);
        for (size_t i = 0; i < inputs; i++) out[i] = (weight[i] * factor + NEAREST) - NEAREST;
        for (size_t i = 0; i < inputs; i++) sum += out[i];
        sums[row] = sum;
    }
}

INLINE float value(const void *x, int bf16, size_t i) {
    return bf16 ? widened(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

INLINE void quantize(const void *x, int bf16, uint8_t *restrict q, float *row_scale, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++) {
        float lanes[MV_LANES] = {0};
        size_t start = row * columns, i = 0;
        for (; i + MV_LANES <= columns; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) {
                float m = magnitude(value(x, bf16, start + i + (size_t)l));
                lanes[l] = m > lanes[l] ? m : lanes[l];
            }
        for (; i < columns; i++) {
            float m = magnitude(value(x, bf16, start + i));
            lanes[0] = m > lanes[0] ? m : lanes[0];
        }
        float factor = centred_factor(highest(lanes), row_scale + row);
        for (i = 0; i < columns; i++) q[start + i] = nearest_byte(value(x, bf16, start + i) * factor + 128);
    }
}

MV_CLONES
void mv_int8_quantize(const void *x, int bf16, uint8_t *q, float *row_scale, size_t rows, size_t columns) {
    if (bf16)
        quantize(x, 1, q, row_scale, rows, columns);
    else
        quantize(x, 0, q, row_scale, rows, columns);
}

MV_CLONES
void mv_int8_layer_norm(const float *restrict x, const float *restrict scale, const float *restrict shift, float epsilon,
                        uint8_t *restrict q, float *restrict row_scale, float *restrict row, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        float mean, variance;
        moments(x + r * columns, columns, &mean, &variance);
        float inverse = 1 / sqrtf(variance + epsilon);
        for (size_t i = 0; i < columns; i++) row[i] = (x[r * columns + i] - mean) * inverse * scale[i] + shift[i];
        quantize(row, 0, q + r * columns, row_scale + r, 1, columns);
    }
}

MV_CLONES
void mv_int8_dequantize(const void *restrict x, int bf16, const float *restrict row_scale,
                        const float *restrict column_scale, const float *restrict bias, void *restrict y, size_t rows,
                        size_t columns, size_t stride) {
    for (size_t row = 0; row < rows; row++) {
        float scale = row_scale[row];
        const uint16_t *narrow = (const uint16_t *)x + row * columns;
        const float *wide = (const float *)x + row * columns;
        uint16_t *narrow_out = (uint16_t *)y + row * stride;
        float *wide_out = (float *)y + row * stride;
        if (bf16)
            for (size_t i = 0; i < columns; i++)
                narrow_out[i] = rounded(widened(narrow[i]) * (scale * column_scale[i]) + bias[i]);
        else
            for (size_t i = 0; i < columns; i++) wide_out[i] = wide[i] * (scale * column_scale[i]) + bias[i];
    }
}

MV_CLONES
void mv_int8_add(const float *restrict x, const float *restrict row_scale, const float *restrict column_scale,
                 const float *restrict bias, float *restrict y, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++, x += columns, y += columns) {
        float scale = row_scale[row];
        for (size_t i = 0; i < columns; i++) y[i] += x[i] * (scale * column_scale[i]) + bias[i];
    }
}

// x Φ(x). Φ(x) - 1/2 is x times a polynomial in x², fitted to the least largest error of the product over |x| <= 4.2; beyond
// that it counts as constant.
INLINE float gelu(float x) {
    float c = x < -4.2f ? -4.2f : x;
    c = c > 4.2f ? 4.2f : c;
    float z = c * c, p = 4.923653845745335e-11f;
    p = p * z - 4.795512431599036e-09f;
    p = p * z + 2.072422944365826e-07f;
    p = p * z - 5.289468845148804e-06f;
    p = p * z + 8.983505540527403e-05f;
    p = p * z - 0.0010864551877602935f;
    p = p * z + 0.009740936569869518f;
    p = p * z - 0.06622209399938583f;
    p = p * z + 0.39883455634117126f;
    return x * (0.5f + c * p);
}

INLINE float swish(float x, float argument) { return x / (1 + exponential(-argument)); }

INLINE float activated(mv_int8_activation activation, float alpha, float x) {
    switch (activation) {
        case MV_INT8_GELU: return gelu(x);
        // tanh(t) = 2 sigmoid(2t) - 1
        case MV_INT8_GELU_TANH: return swish(x, 1.5957691216f * (x + 0.044715f * x * x * x));
        case MV_INT8_SWISH: return swish(x, alpha * x);
        case MV_INT8_RELU: return x > 0 ? x : 0;
    }
    return x;
}

INLINE float result(const mv_int8_layer *layer, int bf16, size_t start, size_t i, float scale) {
    return value(layer->products, bf16, start + i) * (scale * layer->column_scale[i]) + layer->bias[i];
}

INLINE void activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation,
                     float alpha, float offset, const float *scales, uint8_t *restrict q, float *row_scale,
                     float *restrict row_values, size_t rows, size_t columns) {
    const mv_int8_layer a = *first;
    int centred = offset == MV_INT8_CENTRED;
    for (size_t row = 0; row < rows; row++) {
        float scale = scales[row];
        size_t start = row * columns;
        for (size_t i = 0; i < columns; i++)
            row_values[i] = activated(activation, alpha, result(&a, bf16, start, i, scale));
        if (up)
            for (size_t i = 0; i < columns; i++) row_values[i] *= result(up, bf16, start, i, scale);
        if (centred) {
            quantize(row_values, 0, q + start, row_scale + row, 1, columns);
            continue;
        }
        float lanes[MV_LANES];
        for (int l = 0; l < MV_LANES; l++) lanes[l] = -offset;
        size_t i = 0;
        for (; i + MV_LANES <= columns; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++)
                lanes[l] = row_values[i + (size_t)l] > lanes[l] ? row_values[i + (size_t)l] : lanes[l];
        for (; i < columns; i++) lanes[0] = row_values[i] > lanes[0] ? row_values[i] : lanes[0];
        float range = highest(lanes) + offset;
        float factor = range > 0 ? 255 / range : 0;
        row_scale[row] = range / 255;
        for (i = 0; i < columns; i++) q[start + i] = nearest_byte((row_values[i] + offset) * factor);
    }
}

MV_CLONES
void mv_int8_activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation,
                      float alpha, float offset, const float *scales, uint8_t *q, float *row_scale, float *row, size_t rows,
                      size_t columns) {
    if (bf16 && !up && activation == MV_INT8_GELU)
        activate(first, 0, 1, MV_INT8_GELU, alpha, offset, scales, q, row_scale, row, rows, columns);
    else
        activate(first, up, bf16, activation, alpha, offset, scales, q, row_scale, row, rows, columns);
}
