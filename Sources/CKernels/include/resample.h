#ifndef MV_RESAMPLE_H
#define MV_RESAMPLE_H

// The two passes of Pillow's resampling of 8-bit samples: weights are fixed point with 22 fraction bits, each pass
// rounds to 8 bits. Sums wrap in 32 bits, as no sum of valid weights comes near.

#include <stddef.h>
#include <stdint.h>

#define MV_RESAMPLE_BITS 22
// Weights of an output pixel are padded with zeros to a multiple of this many input pixels.
#define MV_RESAMPLE_GROUP 8

// Horizontal pass over one row of RGB8. Output pixel x is the sum over `taps` input pixels from starts[x], each
// multiplied by its weight, weights[x * taps ...].
// `taps` is a multiple of MV_RESAMPLE_GROUP, and starts[x] + taps pixels are readable.
void mv_resample_row(const uint8_t *row, const int32_t *starts, const int32_t *weights, size_t taps, size_t outputs,
                     uint8_t *out);

// Vertical pass: adds weight * row to the sums of an output row of `count` samples.
void mv_resample_accumulate(const uint8_t *row, int32_t weight, int32_t *sums, size_t count);

// Starts the sums of an output row at one half, or takes the finished row out of them.
void mv_resample_start(int32_t *sums, size_t count);
void mv_resample_finish(const int32_t *sums, uint8_t *out, size_t count);

#endif
