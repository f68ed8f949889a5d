#ifndef MV_LINEAR_H
#define MV_LINEAR_H

// Linear layers in bf16 by matrix instructions (AMX): result = activation(source · weightsᵀ + bias), or added to
// what the result holds. Sums are in f32, the same as oneDNN's bit for bit; oneDNN takes 1.1 to 1.5 times as
// long. In int8 such loops were no faster.

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t rows, inputs, outputs;
    size_t source_stride, result_stride;  // elements from row to row
    int has_gelu;   // whether the activation is GELU; else there is none
    int is_wide;    // whether results are in f32; else in bf16
    int is_added;   // whether results are added to what is there; wide ones alone
} mv_linear;

// Whether the system lets this process use tiles, for which it is asked. The processor is not.
int mv_linear_is_permitted(void);

// Whether the loops are for a layer: rows and columns that fill tiles.
int mv_linear_is_supported(const mv_linear *layer);

// Bytes of packed weights, and of the memory that a call needs.
size_t mv_linear_packed_size(const mv_linear *layer);
size_t mv_linear_scratch(const mv_linear *layer);

// Packs weights that come as (outputs, inputs), or transposed as (inputs, outputs).
void mv_linear_pack(const mv_linear *layer, const float *weights, int is_transposed, void *packed);

// To be called only where the processor has AMX. `bias` may be null.
void mv_linear_compute(const mv_linear *layer, const uint16_t *source, const void *packed, const float *bias,
                       void *result, void *scratch);

#endif
