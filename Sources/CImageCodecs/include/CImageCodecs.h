#ifndef MV_IMAGE_CODECS_H
#define MV_IMAGE_CODECS_H

// libpng and libjpeg report errors by longjmp, which Swift cannot express: every jump starts and ends inside these
// functions. They read from memory, return a status, and on failure write the reason as text to `message`.

#include <stddef.h>
#include <stdint.h>

#define MV_MESSAGE_SIZE 240

enum {
    MV_OK = 0,
    MV_DAMAGED = 1,      // not what the format promises: cut short, bad checksum, bad code
    MV_UNSUPPORTED = 2,  // well-formed, but of a kind that is not decoded
    MV_NO_MEMORY = 3,
};

// What becomes of transparency.
enum {
    MV_ALPHA_WHITE = 0,   // composited on white
    MV_ALPHA_BLACK = 1,   // composited on black
    MV_ALPHA_IGNORE = 2,  // dropped; colours stay as stored
};

// Reads the size from the header. Nothing of the size of the picture is allocated; data too short to hold that many
// pixels is refused here.
int mv_png_read_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, char *message);
int mv_jpeg_read_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, char *message);

// Decodes to `rgb`, which holds width * height * 3 bytes, of the size the header gave.
// An eXIf chunk of at most `exif_capacity` bytes is copied to `exif`, its length to `exif_size` (0 when there is none).
int mv_png_decode(const uint8_t *data, size_t size, uint32_t width, uint32_t height, int alpha, uint8_t *rgb,
                  uint8_t *exif, size_t exif_capacity, size_t *exif_size, char *message);

// The same for JPEG, at 1/denominator of the size (1, 2, 4 or 8): width and height are those of the header divided by it,
// rounded up. Samples come from the lowest frequencies of each block alone, which is several times faster.
int mv_jpeg_decode(const uint8_t *data, size_t size, uint32_t width, uint32_t height, unsigned denominator,
                   uint8_t *rgb, char *message);

// Encodes width * height * 3 bytes as a baseline JPEG of a quality from 1 to 100 into `data`, which holds `capacity` bytes, and
// puts its length into `size`. The same pixels give the same bytes with the same library.
int mv_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t *data, size_t capacity,
                   size_t *size, char *message);

#endif
