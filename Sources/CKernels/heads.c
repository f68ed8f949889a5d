#include "heads.h"

#include <string.h>

#include "clones.h"

MV_CLONES
void mv_heads_down(const float *restrict x, const float *restrict b, float *restrict z, size_t heads, size_t size,
                   size_t rank) {
    memset(z, 0, heads * rank * sizeof *z);
    for (size_t h = 0; h < heads; h++, z += rank)
        for (size_t i = 0; i < size; i++, x++, b += rank)
            for (size_t k = 0; k < rank; k++) z[k] += *x * b[k];
}

MV_CLONES
void mv_heads_up(const float *restrict z, const float *restrict b, float *restrict y, size_t heads, size_t size,
                 size_t rank) {
    size_t width = heads * size;
    for (size_t h = 0; h < heads; h++, z += rank, y += size)
        for (size_t k = 0; k < rank; k++) {
            const float *row = b + k * width + h * size;
            for (size_t i = 0; i < size; i++) y[i] += z[k] * row[i];
        }
}
