#ifndef MV_IMAGE_CODECS_H
#define MV_IMAGE_CODECS_H

// libpng and libjpeg report errors by longjmp, which Swift cannot express: every jump starts and ends inside these
// functions. They read from memory, return a status, and on failure write the reason as text to `message`.

#include <stddef.h>
#include <stdint.h>

#define MV_MESSAGE_SIZE 240

enum {
    MV_OK = 0,
    MV_DAMAGED = 1,      // cut short, bad checksum, bad code
    MV_UNSUPPORTED = 2,  // well-formed, but not supported
    MV_NO_MEMORY = 3,
};

// How transparency is decoded.
enum {
    MV_ALPHA_WHITE = 0,   // composited on white
    MV_ALPHA_BLACK = 1,   // composited on black
    MV_ALPHA_IGNORE = 2,  // dropped; colours stay as stored
};

// A decoder of one picture. The functions are called in the order below, each once except for reading rows; after a
// failure, only close. `data` must stay valid until then.
typedef struct mv_png_reader mv_png_reader;
typedef struct mv_jpeg_reader mv_jpeg_reader;

// Reads the size from the header, without allocating memory for the picture, and refuses data too short for that many
// pixels. Sets `reader` to NULL on failure.
int mv_png_open(const uint8_t *data, size_t size, mv_png_reader **reader, uint32_t *width, uint32_t *height,
                char *message);
int mv_jpeg_open(const uint8_t *data, size_t size, mv_jpeg_reader **reader, uint32_t *width, uint32_t *height,
                 char *message);

// Reads everything before the pixels. Sets `is_whole` to 1 if all rows must be read by one call, because the pixels are
// not stored row by row.
int mv_png_start(mv_png_reader *reader, int alpha, int *is_whole, char *message);

// The same for JPEG, at 1/denominator of the size (1, 2, 4 or 8): width and height must be those of the header
// divided by it, rounded up. Only the lowest frequencies of each block are decoded, which is several times faster.
int mv_jpeg_start(mv_jpeg_reader *reader, unsigned denominator, uint32_t width, uint32_t height, char *message);

// Decodes the next `rows` rows to `rgb`, which holds rows * width * 3 bytes.
int mv_png_read_rows(mv_png_reader *reader, uint8_t *rgb, uint32_t rows, char *message);
int mv_jpeg_read_rows(mv_jpeg_reader *reader, uint8_t *rgb, uint32_t rows, char *message);

// Checks the end of the pixels, after the last row. Only if this succeeds is the picture intact.
int mv_png_finish(mv_png_reader *reader, char *message);
int mv_jpeg_finish(mv_jpeg_reader *reader, char *message);

// Frees the reader, at any time. NULL is ignored.
void mv_png_close(mv_png_reader *reader);
void mv_jpeg_close(mv_jpeg_reader *reader);

// Encodes width * height * 3 bytes as a baseline JPEG of a quality from 1 to 100 into `data`, which holds `capacity`
// bytes, and sets `size` to its length. The same pixels give the same bytes with the same library.
int mv_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t *data, size_t capacity,
                   size_t *size, char *message);

// Unpacks a zlib stream into `out`, and sets `count` to the number of bytes. A truncated stream gives the bytes before
// its end. Returns MV_DAMAGED if it is not a zlib stream, MV_UNSUPPORTED if it unpacks to more than `capacity` bytes.
int mv_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t capacity, size_t *count);

// The CRC-32 of a PNG chunk's name and content.
uint32_t mv_crc32(const uint8_t *data, size_t size);

#endif
