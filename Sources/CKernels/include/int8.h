#ifndef MV_INT8_H
#define MV_INT8_H

// Eight-bit numbers with a scale and an offset for each row, which spread its whole range over 255 steps: a row x is
// held as q = round((x - minimum) / scale), so that x is about scale * (q - 128) + offset.
//
// The product of a row, less 128, with eight-bit weights is a whole number per output column. The layer gives it
// times both scales, plus the row's offset times the sum of the column's weights, plus the bias. Products come in
// f32 or, where `bf16` is nonzero, in bf16.

#include <stddef.h>
#include <stdint.h>

// What mv_int8_activate computes of a value before it is quantized.
typedef enum {
    MV_INT8_GELU = 0,   // by a polynomial, to an absolute error of 1.5e-4
    MV_INT8_GELU_TANH,
    MV_INT8_SWISH,      // x * sigmoid(alpha * x)
    MV_INT8_RELU,
} mv_int8_activation;

// Dense rows of bytes, with the scale and the offset of each.
typedef struct {
    uint8_t *bytes;
    float *scale, *offset;
} mv_int8_rows;

// Dense rows of a layer's products, and for each column what turns them into results: the weights' scale, the sum of
// the weights, and the bias.
typedef struct {
    const void *products;
    const float *column_scale, *column_sum, *bias;
} mv_int8_layer;

// Layer normalization of dense rows with scale and shift, quantized. `row` is memory for one row.
void mv_int8_layer_norm(const float *x, const float *scale, const float *shift, float epsilon,
                        const mv_int8_rows *result, float *row, size_t rows, size_t columns);

// Dense rows quantized.
void mv_int8_quantize(const void *x, int bf16, const mv_int8_rows *result, size_t rows, size_t columns);

// A layer's results for quantized rows, `source`, in rows at a distance of `stride`, stored as the products are.
void mv_int8_dequantize(const mv_int8_layer *layer, int bf16, const mv_int8_rows *source, void *y, size_t rows,
                        size_t columns, size_t stride);

// The same, of products in f32, added to dense rows.
void mv_int8_add(const mv_int8_layer *layer, const mv_int8_rows *source, float *y, size_t rows, size_t columns);

// Dense rows of activation(first) * factor, or of activation(first) * up * factor where there is another layer,
// quantized; a factor for each column. Both layers multiplied `source`. `row` is memory for one row.
void mv_int8_activate(const mv_int8_layer *first, const mv_int8_layer *up, int bf16, mv_int8_activation activation,
                      float alpha, const float *factor, const mv_int8_rows *source, const mv_int8_rows *result,
                      float *row, size_t rows, size_t columns);

#endif
