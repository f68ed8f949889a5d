#ifndef MV_BMP_H
#define MV_BMP_H

// What the two files of the BMP decoder share.

#include "codecs.h"

// The bits of a pixel that are one channel.
typedef struct {
    uint32_t mask, most;
    unsigned shift;
    uint8_t scaled[256];  // by value, for a channel of up to 8 bits
} mv_bmp_channel;

// Where a row of an RLE picture begins: at which byte of the compressed data plus one, 0 if it has no pixels, and in
// which column.
typedef struct {
    uint32_t place, column;
} mv_bmp_rle_row;

struct mv_reader {
    const uint8_t *data;
    size_t size;
    size_t header_end;  // with the masks that follow
    uint32_t width, height, bits, compression, colour_count;
    int is_top_down, is_rle, is_bgr, alpha;
    mv_bmp_channel channels[4];  // red, green, blue, opacity
    uint8_t colours[256][3];
    const uint8_t *pixels;
    size_t pixels_size;
    uint64_t stride;
    uint32_t next_row;  // from the top
    mv_bmp_rle_row *rle_rows;
    uint8_t *indexes;  // a row of an RLE picture
};

// Reads an RLE picture to its end to find where each row begins: rows are stored from below, and needed from the top.
int mv_bmp_find_rle_rows(struct mv_reader *reader, uint64_t most_memory, char *message);

// Decodes a row, counted as stored, to `indexes`. Pixels that the file leaves out have index 0, as in Pillow.
int mv_bmp_read_rle_row(struct mv_reader *reader, uint32_t row, char *message);

#endif
