#ifndef MV_CODECS_H
#define MV_CODECS_H

// What the files of the codecs share.

#include "CImageCodecs.h"

// MV_WITH_TIFF and the like come from Package.swift, which looks for headers when SwiftPM first reads it.
#if !defined(MV_WITH_WEBP) && !defined(MV_WITHOUT_WEBP) && __has_include(<webp/demux.h>)
#error "libwebp has been installed since this package was first built: run 'swift package purge-cache'; build again"
#endif
#if !defined(MV_WITH_TIFF) && !defined(MV_WITHOUT_TIFF) && __has_include(<tiffio.h>)
#error "libtiff has been installed since this package was first built: run 'swift package purge-cache'; build again"
#endif
#if !defined(MV_WITH_GIF) && !defined(MV_WITHOUT_GIF) && __has_include(<gif_lib.h>)
#error "giflib has been installed since this package was first built: run 'swift package purge-cache'; build again"
#endif

// The table's entries, each defined in the file of its codec.
extern const mv_codec mv_png_codec;
extern const mv_codec mv_jpeg_codec;
extern const mv_codec mv_webp_codec;
extern const mv_codec mv_tiff_codec;
extern const mv_codec mv_bmp_codec;
extern const mv_codec mv_gif_codec;

// A sample of 16 bits in 8, rounded: the nearest to value * 255 / 65535.
static inline uint8_t mv_sample16(uint32_t value) { return (uint8_t)((value * 255 + 32767) / 65535); }

// A sample over a background of 0 or 255, both in 8 bits, rounded half up.
static inline uint8_t mv_composite(uint32_t colour, uint32_t opacity, uint32_t background) {
    // floor(n / 255 + 1/2) with n = colour * opacity + background * (255 - opacity)
    return (uint8_t)((2 * (colour * opacity + background * (255 - opacity)) + 255) / 510);
}

// The background of an alpha policy that has one.
static inline uint32_t mv_background(int alpha) { return alpha == MV_ALPHA_BLACK ? 0 : 255; }

// Writes pixels of RGB and opacity by the alpha policy, `out` with three bytes a pixel. It may be `rgba`.
void mv_write_rgba(const uint8_t *rgba, uint32_t count, int alpha, uint8_t *out);

// The `finish` of codecs whose pixels are intact once they are read; what follows the last one harms none.
int mv_finish_nothing(mv_reader *reader, char *message);

// Writes the reason to `message` and returns the status.
int mv_fail(int status, char *message, const char *format, ...) __attribute__((format(printf, 3, 4)));

// "premature end of data: 5 x 7 pixels cannot be in 20 bytes".
int mv_fail_too_short(uint64_t width, uint64_t height, size_t size, char *message);

#endif
