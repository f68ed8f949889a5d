#ifndef MV_CODEC_LIMITS_H
#define MV_CODEC_LIMITS_H

// What decoding costs at least: the libraries by themselves, as their manuals have it, nothing done with the rows. Each
// gives 0, or -1 when the picture cannot be decoded. GIF's gives indexes of colours; WebP's needs the whole picture.

#include <stddef.h>
#include <stdint.h>

int mv_jpeg_limit(const uint8_t *data, size_t size);
int mv_png_limit(const uint8_t *data, size_t size);
int mv_webp_limit(const uint8_t *data, size_t size);
int mv_tiff_limit(const uint8_t *data, size_t size);
int mv_gif_limit(const uint8_t *data, size_t size);

// Writes width * height * 3 bytes as a PNG of libpng's own settings into `data`, which holds `capacity` bytes. Gives
// its length, or 0 when it does not fit.
size_t mv_png_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity);

// The same for the other formats: lossy WebP of quality 80; TIFF with LZW and differences, in strips of 16 rows; GIF of
// 256 fixed colours. 0 also when the library is missing.
size_t mv_webp_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity);
size_t mv_tiff_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity);
size_t mv_gif_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity);

#endif
