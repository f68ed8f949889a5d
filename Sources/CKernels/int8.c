#include "int8.h"

#include <math.h>

#include "clones.h"
#include "rows.h"

INLINE uint8_t nearest_byte(float x) { return (uint8_t)to_bits(x + NEAREST); }

INLINE float value(const void *x, int bf16, size_t i) {
    return bf16 ? widened(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

INLINE float lesser(float a, float b) { return a < b ? a : b; }
INLINE float greater(float a, float b) { return a > b ? a : b; }

// One row of elements start... of x.
INLINE void quantize_row(const void *x, int bf16, size_t start, const mv_int8_rows *result, size_t row,
                         size_t columns) {
    float low[MV_LANES], high[MV_LANES];
    for (int l = 0; l < MV_LANES; l++) low[l] = high[l] = value(x, bf16, start);
    size_t i = 0;
    for (; i + MV_LANES <= columns; i += MV_LANES)
        for (int l = 0; l < MV_LANES; l++) {
            float v = value(x, bf16, start + i + (size_t)l);
            low[l] = lesser(v, low[l]);
            high[l] = greater(v, high[l]);
        }
    for (; i < columns; i++) {
        float v = value(x, bf16, start + i);
        low[0] = lesser(v, low[0]);
        high[0] = greater(v, high[0]);
    }
    for (int l = 0; l < MV_LANES; l++) low[l] = -low[l];
    float least = -highest(low), range = highest(high) - least;
    // A row whose elements are all the same keeps them by its offset.
    float factor = range > 0 ? 255 / range : 0, scale = range / 255;
    result->scale[row] = scale;
    result->offset[row] = least + 128 * scale;
    uint8_t *restrict q = result->bytes + row * columns;
    for (i = 0; i < columns; i++) q[i] = nearest_byte((value(x, bf16, start + i) - least) * factor);
}

INLINE void quantize(const void *x, int bf16, const mv_int8_rows *result, size_t rows, size_t columns) {
    for (size_t row = 0; row < rows; row++) quantize_row(x, bf16, row * columns, result, row, columns);
}

MV_CLONES
void mv_int8_quantize(const void *x, int bf16, const mv_int8_rows *result, size_t rows, size_t columns) {
    if (bf16)
        quantize(x, 1, result, rows, columns);
    else
        quantize(x, 0, result, rows, columns);
}

MV_CLONES
void mv_int8_layer_norm(const float *restrict x, const float *restrict scale, const float *restrict shift,
                        float epsilon, const mv_int8_rows *result, float *restrict row, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++) {
        float mean, variance;
        moments(x + r * columns, columns, &mean, &variance);
        float inverse = 1 / sqrtf(variance + epsilon);
        for (size_t i = 0; i < columns; i++) row[i] = (x[r * columns + i] - mean) * inverse * scale[i] + shift[i];
        quantize_row(row, 0, 0, result, r, columns);
    }
}

// What a layer gives for element i of a row that starts at `start`, of an input row with this scale and offset.
INLINE float result_at(const mv_int8_layer *layer, int bf16, size_t start, size_t i, float scale, float offset) {
    return value(layer->products, bf16, start + i) * (scale * layer->column_scale[i]) +
           (offset * layer->column_sum[i] + layer->bias[i]);
}

MV_CLONES
void mv_int8_dequantize(const mv_int8_layer *layer, int bf16, const mv_int8_rows *source, void *restrict y, size_t rows,
                        size_t columns, size_t stride) {
    const mv_int8_layer own = *layer;
    for (size_t row = 0; row < rows; row++) {
        float scale = source->scale[row], offset = source->offset[row];
        size_t start = row * columns;
        uint16_t *restrict narrow = (uint16_t *)y + row * stride;
        float *restrict wide = (float *)y + row * stride;
        if (bf16)
            for (size_t i = 0; i < columns; i++) narrow[i] = rounded(result_at(&own, 1, start, i, scale, offset));
        else
            for (size_t i = 0; i < columns; i++) wide[i] = result_at(&own, 0, start, i, scale, offset);
    }
}

MV_CLONES
void mv_int8_add(const mv_int8_layer *layer, const mv_int8_rows *source, float *restrict y, size_t rows,
                 size_t columns) {
    const mv_int8_layer own = *layer;
    for (size_t row = 0; row < rows; row++, y += columns) {
        float scale = source->scale[row], offset = source->offset[row];
        for (size_t i = 0; i < columns; i++) y[i] += result_at(&own, 0, row * columns, i, scale, offset);
    }
}

// x Φ(x). Φ(x) - 1/2 is x times a polynomial in x², fitted to the least largest error of the product over |x| <= 3.9;
// beyond that it counts as constant.
INLINE float gelu(float x) {
    float c = x < -3.9f ? -3.9f : x;
    c = c > 3.9f ? 3.9f : c;
    float z = c * c, p = 2.6270266e-08f;
    p = p * z - 1.7704366e-06f;
    p = p * z + 5.1236184e-05f;
    p = p * z - 0.00084450206f;
    p = p * z + 0.008913742f;
    p = p * z - 0.06486938f;
    p = p * z + 0.39808553f;
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

INLINE void activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation,
                     float alpha, const float *restrict factor, const mv_int8_rows *source, const mv_int8_rows *result,
                     float *restrict values, size_t rows, size_t columns) {
    const mv_int8_layer own = *first;
    for (size_t row = 0; row < rows; row++) {
        float scale = source->scale[row], offset = source->offset[row];
        size_t start = row * columns;
        for (size_t i = 0; i < columns; i++)
            values[i] = activated(activation, alpha, result_at(&own, bf16, start, i, scale, offset)) * factor[i];
        if (up)
            for (size_t i = 0; i < columns; i++) values[i] *= result_at(up, bf16, start, i, scale, offset);
        quantize_row(values, 0, 0, result, row, columns);
    }
}

MV_CLONES
void mv_int8_activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation,
                      float alpha, const float *factor, const mv_int8_rows *source, const mv_int8_rows *result,
                      float *row, size_t rows, size_t columns) {
    if (bf16 && !up && activation == MV_INT8_GELU)
        activate(first, 0, 1, MV_INT8_GELU, alpha, factor, source, result, row, rows, columns);
    else
        activate(first, up, bf16, activation, alpha, factor, source, result, row, rows, columns);
}
