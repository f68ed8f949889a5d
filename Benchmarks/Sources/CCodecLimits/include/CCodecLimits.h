#ifndef MV_CODEC_LIMITS_H
#define MV_CODEC_LIMITS_H

// What decoding costs at least: libjpeg and libpng by themselves, as their manuals have it, one row of memory, nothing
// done with the rows. Both give 0, or -1 when the picture cannot be decoded.

#include <stddef.h>
#include <stdint.h>

int mv_jpeg_limit(const uint8_t *data, size_t size);
int mv_png_limit(const uint8_t *data, size_t size);

// Writes width * height * 3 bytes as a PNG of libpng's own settings into `data`, which holds `capacity` bytes. Gives
// its length, or 0 when it does not fit.
size_t mv_png_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity);

#endif
