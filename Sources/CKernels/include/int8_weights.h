#ifndef MV_INT8_WEIGHTS_H
#define MV_INT8_WEIGHTS_H

// Weights in eight bits: dense rows, one for each output, of whole numbers of -127...127, each row with a scale.

#include <stddef.h>
#include <stdint.h>

// The step of each row that lets its largest magnitude be 127.
void mv_int8_weight_scales(const float *weight, float *scale, size_t outputs, size_t inputs);

// out = round(weight / scale).
void mv_int8_round_weights(const float *weight, const float *scale, int8_t *out, size_t outputs, size_t inputs);

// The number of rows that are rounded together.
#define MV_INT8_TILE 64

// Rounds the weights of a row from the last to the first, each corrected for the errors of those behind it:
// out_j = round((weight_j + sum over k > j of factor_jk error_k) / scale), error = weight - scale out. `factor` is
// [inputs, inputs], of which the part above the diagonal is read; `errors` is memory for [inputs, MV_INT8_TILE].
void mv_int8_round_weights_in_turn(const float *weight, const float *factor, const float *scale, int8_t *out,
                                   float *errors, size_t outputs, size_t inputs);

#endif
