#include "token_merging.h"

#include <math.h>

#include "clones.h"
#include "rows.h"

// Divides a row by its length.
INLINE void normalize(float *x, size_t count) {
    float square = dot(x, x, count), factor = square > 0 ? 1 / sqrtf(square) : 0;
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

MV_CLONES
void mv_mean_keys(const float *restrict keys, size_t rows, size_t stride, size_t heads, size_t size,
                  float *restrict out) {
    for (size_t row = 0; row < rows; row++, keys += stride, out += size) {
        for (size_t i = 0; i < size; i++) out[i] = keys[i];
        for (size_t h = 1; h < heads; h++)
            for (size_t i = 0; i < size; i++) out[i] += keys[h * size + i];
        normalize(out, size);
    }
}

MV_CLONES
void mv_bf16_mean_keys(const uint16_t *restrict keys, size_t rows, size_t stride, size_t heads, size_t size,
                       float *restrict out) {
    for (size_t row = 0; row < rows; row++, keys += stride, out += size) {
        for (size_t i = 0; i < size; i++) out[i] = widened(keys[i]);
        for (size_t h = 1; h < heads; h++)
            for (size_t i = 0; i < size; i++) out[i] += widened(keys[h * size + i]);
        normalize(out, size);
    }
}

MV_CLONES
void mv_row_maxima(const float *restrict x, size_t rows, size_t columns, float *restrict largest,
                   uint32_t *restrict column) {
    for (size_t row = 0; row < rows; row++, x += columns) {
        // The largest first, which takes vectors, and then where it is.
        float lanes[MV_LANES], maximum;
        for (int l = 0; l < MV_LANES; l++) lanes[l] = -INFINITY;
        size_t i = 0;
        for (; i + MV_LANES <= columns; i += MV_LANES)
            for (int l = 0; l < MV_LANES; l++) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
        for (int l = 0; i < columns; i++, l++) lanes[l] = x[i] > lanes[l] ? x[i] : lanes[l];
        maximum = highest(lanes);
        uint32_t found = 0;
        for (i = 0; i < columns; i++)
            if (x[i] == maximum) {
                found = (uint32_t)i;
                break;
            }
        largest[row] = maximum;
        column[row] = found;
    }
}

MV_CLONES
void mv_blend(float *restrict x, const float *restrict y, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] += factor * (y[i] - x[i]);
}
