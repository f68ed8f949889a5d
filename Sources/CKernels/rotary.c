#include "rotary.h"

#include "clones.h"
#include "rows.h"

MV_CLONES
void mv_rotate(float *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosines,
               const float *sines) {
    for (size_t row = 0; row < rows; row++, x += stride, cosines += half, sines += half)
        for (size_t head = 0; head < heads; head++) {
            float *restrict a = x + head * 2 * half, *restrict b = a + half;
            for (size_t i = 0; i < half; i++) {
                float first = a[i], second = b[i];
                a[i] = first * cosines[i] - second * sines[i];
                b[i] = second * cosines[i] + first * sines[i];
            }
        }
}

MV_CLONES
void mv_bf16_rotate(uint16_t *x, size_t rows, size_t stride, size_t heads, size_t half, const float *cosines,
                    const float *sines) {
    for (size_t row = 0; row < rows; row++, x += stride, cosines += half, sines += half)
        for (size_t head = 0; head < heads; head++) {
            uint16_t *restrict a = x + head * 2 * half, *restrict b = a + half;
            for (size_t i = 0; i < half; i++) {
                float first = from_bits((uint32_t)a[i] << 16), second = from_bits((uint32_t)b[i] << 16);
                a[i] = rounded(first * cosines[i] - second * sines[i]);
                b[i] = rounded(second * cosines[i] + first * sines[i]);
            }
        }
}
