#include "int8_weights.h"

#include "clones.h"
#include "rows.h"

INLINE float magnitude(float x) { return x < 0 ? -x : x; }

// A row of zeros stays one.
INLINE float inverse(float scale) { return scale > 0 ? 1 / scale : 0; }

// The nearest whole number of -127...127; what is no number has to become one.
INLINE float nearest_whole(float x) {
    float whole = (x + NEAREST) - NEAREST;
    return whole > 127 ? 127 : whole >= -127 ? whole : -127;
}

MV_CLONES
void mv_int8_weight_scales(const float *restrict weight, float *restrict scale, size_t outputs, size_t inputs) {
    for (size_t row = 0; row < outputs; row++, weight += inputs) {
        float largest = 0;
        for (size_t i = 0; i < inputs; i++) {
            float m = magnitude(weight[i]);
            largest = m > largest ? m : largest;
        }
        scale[row] = largest / 127;
    }
}

MV_CLONES
void mv_int8_round_weights(const float *restrict weight, const float *restrict scale, int8_t *restrict out,
                           size_t outputs, size_t inputs) {
    for (size_t row = 0; row < outputs; row++, weight += inputs, out += inputs) {
        float factor = inverse(scale[row]);
        for (size_t i = 0; i < inputs; i++) out[i] = (int8_t)nearest_whole(weight[i] * factor);
    }
}

MV_CLONES
void mv_int8_round_weights_in_turn(const float *restrict weight, const float *restrict factor,
                                   const float *restrict scale, int8_t *restrict out, float *restrict errors,
                                   size_t outputs, size_t inputs) {
    for (size_t first = 0; first < outputs; first += MV_INT8_TILE) {
        size_t rows = outputs - first < MV_INT8_TILE ? outputs - first : MV_INT8_TILE;
        for (size_t j = inputs; j-- > 0;) {
            float wanted[MV_INT8_TILE] = {0};
            for (size_t k = j + 1; k < inputs; k++)
                for (int l = 0; l < MV_INT8_TILE; l++)
                    wanted[l] += factor[j * inputs + k] * errors[k * MV_INT8_TILE + l];
            for (size_t l = rows; l < MV_INT8_TILE; l++) errors[j * MV_INT8_TILE + l] = 0;
            for (size_t l = 0; l < rows; l++) {
                size_t place = (first + l) * inputs + j;
                float step = scale[first + l], whole = nearest_whole((weight[place] + wanted[l]) * inverse(step));
                out[place] = (int8_t)whole;
                errors[j * MV_INT8_TILE + l] = weight[place] - whole * step;
            }
        }
    }
}
