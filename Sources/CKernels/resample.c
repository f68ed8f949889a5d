#include "resample.h"

#include "clones.h"

static inline uint8_t clip(uint32_t sum) {
    int32_t value = (int32_t)sum >> MV_RESAMPLE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

MV_CLONES
void mv_resample_row(const uint8_t *row, const int32_t *starts, const int32_t *weights, size_t taps, size_t outputs,
                     uint8_t *out) {
    enum { LANES = 3 * MV_RESAMPLE_GROUP };
    for (size_t x = 0; x < outputs; x++) {
        const uint8_t *p = row + (size_t)starts[x] * 3;
        const int32_t *w = weights + x * taps * 3;
        uint32_t lanes[LANES] = {0};
        for (size_t t = 0; t < taps * 3; t += LANES)
            for (int i = 0; i < LANES; i++) lanes[i] += (uint32_t)p[t + i] * (uint32_t)w[t + i];
        for (int c = 0; c < 3; c++) {
            uint32_t sum = 1u << (MV_RESAMPLE_BITS - 1);
            for (int i = c; i < LANES; i += 3) sum += lanes[i];
            out[3 * x + (size_t)c] = clip(sum);
        }
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
