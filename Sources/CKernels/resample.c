#include "resample.h"

#include <string.h>

#include "clones.h"

static inline uint8_t clip(uint32_t sum) {
    int32_t value = (int32_t)sum >> MV_RESAMPLE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint32_t lanes8 __attribute__((vector_size(32)));
typedef uint32_t lanes16 __attribute__((vector_size(64)));

_Static_assert(MV_RESAMPLE_GROUP == 8, "a group of pixels is 16 and 8 samples");

MV_CLONES
void mv_resample_row(const uint8_t *row, const int32_t *starts, const int32_t *weights, size_t taps, size_t outputs,
                     uint8_t *out) {
    for (size_t x = 0; x < outputs; x++) {
        const uint8_t *p = row + (size_t)starts[x] * 3;
        const int32_t *w = weights + x * taps;
        lanes16 low = {0};
        lanes8 high = {0};
        for (size_t t = 0; t < taps * 3; t += 24) {
            bytes16 low_samples;
            bytes8 high_samples;
            lanes8 pixels;
            memcpy(&low_samples, p + t, sizeof low_samples);
            memcpy(&high_samples, p + t + 16, sizeof high_samples);
            memcpy(&pixels, w + t / 3, sizeof pixels);
            low += __builtin_convertvector(low_samples, lanes16)
                   * __builtin_shufflevector(pixels, pixels, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
            high += __builtin_convertvector(high_samples, lanes8)
                    * __builtin_shufflevector(pixels, pixels, 5, 5, 6, 6, 6, 7, 7, 7);
        }
        // Sample i belongs to channel i mod 3: 24 sums become 12, 6 and then 3.
        lanes8 sums = __builtin_shufflevector(low, low, 0, 1, 2, 3, 4, 5, 6, 7);
        lanes8 middle = __builtin_shufflevector(low, low, 8, 9, 10, 11, 12, 13, 14, 15);
        // Lanes 0...5 and 6...11 of both halves of 12.
        sums += __builtin_shufflevector(middle, high, 4, 5, 6, 7, 8, 9, 10, 11);
        lanes8 rest = middle + __builtin_shufflevector(high, high, 4, 5, 6, 7, 0, 1, 2, 3);
        sums += __builtin_shufflevector(sums, rest, 6, 7, 8, 9, 10, 11, 6, 7);
        sums += __builtin_shufflevector(sums, sums, 3, 4, 5, 3, 4, 5, 3, 4);
        for (int c = 0; c < 3; c++) out[3 * x + (size_t)c] = clip(sums[c] + (1u << (MV_RESAMPLE_BITS - 1)));
    }
}

MV_CLONES
void mv_resample_accumulate(const uint8_t *restrict row, int32_t weight, int32_t *restrict sums, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)row[i] * (uint32_t)weight);
}

void mv_resample_start(int32_t *sums, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] = 1 << (MV_RESAMPLE_BITS - 1);
}

MV_CLONES
void mv_resample_finish(const int32_t *restrict sums, uint8_t *restrict out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = clip((uint32_t)sums[i]);
}
