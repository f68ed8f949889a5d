#ifndef MV_INT8_H
#define MV_INT8_H

// Eight-bit numbers with a scale for each row. A row x is held as q = round((x + offset) / s), so that x is about s q - offset;
// `offset` is a number of the caller's, or -1 for half of the range: q = round(x / s) + 128, x about s (q - 128).
//
// A product of such a row with eight-bit weights is a whole number for each output column; times the row's and the column's scale,
// plus the bias, it is what the layer gives. Products come in f32 or, where `bf16` is nonzero, in bf16.

#include <stddef.h>
#include <stdint.h>

#define MV_INT8_CENTRED (-1.0f)

// What mv_int8_activate computes of a value before it is quantised.
typedef enum {
    MV_INT8_GELU = 0,   // by a polynomial, to an absolute error of 1e-4
    MV_INT8_GELU_TANH,
    MV_INT8_SWISH,      // x * sigmoid(alpha * x)
    MV_INT8_RELU,
} mv_int8_activation;

// Weights, `outputs` dense rows of `inputs` elements: out = round(weight / scale), whole numbers of -127...127 for each row;
// sums, the sum of each row of out.
void mv_int8_quantize_weights(const float *weight, float *out, float *scale, float *sums, size_t outputs, size_t inputs);

// Layer normalization of dense rows with scale and shift, quantised, centred. `row` is memory for one row.
void mv_int8_layer_norm(const float *x, const float *scale, const float *shift, float epsilon, uint8_t *q, float *row_scale,
                        float *row, size_t rows, size_t columns);

// Dense rows quantised, centred.
void mv_int8_quantize(const void *x, int bf16, uint8_t *q, float *row_scale, size_t rows, size_t columns);

// What a layer gives of its products, dense rows: y = x * row_scale * column_scale + bias, in rows that lie `stride` apart.
void mv_int8_dequantize(const void *x, int bf16, const float *row_scale, const float *column_scale, const float *bias, void *y,
                        size_t rows, size_t columns, size_t stride);

// y += x * row_scale * column_scale + bias, in dense rows.
void mv_int8_add(const float *x, const float *row_scale, const float *column_scale, const float *bias, float *y, size_t rows,
                 size_t columns);

// A layer's products and what makes its results of them.
typedef struct {
    const void *products;
    const float *column_scale, *bias;
} mv_int8_layer;

// Dense rows of a = activation(first), or of a * up where there is one, quantised with an offset. `scales` are of the rows that both
// layers multiplied, `row_scale` receives those of q; `row` is memory for one row.
void mv_int8_activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation, float alpha,
                      float offset, const float *scales, uint8_t *q, float *row_scale, float *row, size_t rows, size_t columns);

#endif
