// Writes a picture in one of the kinds that a reader of image folders meets.
#ifndef ENCODE_H
#define ENCODE_H

#include "canvas.h"

typedef enum {
    PNG_RGB8, PNG_RGB16, PNG_RGBA8, PNG_INTERLACED, // colour
    PNG_GRAY8, PNG_GRAY16, PNG_GRAY_ALPHA, PNG_BILEVEL, // gray; bilevel is dithered to 1 bit
    PNG_PALETTE, PNG_PALETTE_ALPHA, // up to 256 colours; with tRNS
    JPEG_420, JPEG_444, JPEG_PROGRESSIVE, JPEG_GRAY, JPEG_CMYK, // CMYK is stored inverted with an Adobe marker
    WEBP, TIFF_TILES, BMP, GIF // for encode_other
} Format;

// `orientation` is the EXIF value (1 to 8; JPEG only): the pixels are stored turned so that a reader that
// obeys the tag sees the picture upright. Exits with a message if the file cannot be written.
void encode(const Image *im, const char *path, Format format, int orientation);

// The same for the formats of encode_formats.c. Opacity is kept in WebP alone.
void encode_other(const Image *im, const char *path, Format format);

// Reduces the picture to at most `limit` colours by median cut; `index` has w * h entries.
int quantize(const Image *im, int limit, unsigned char (*palette)[4], unsigned char *index);

#endif
