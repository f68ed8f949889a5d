#include "bmp.h"

#include <stdlib.h>
#include <string.h>

// The run-length coding of BMP files with 4 and 8 bits: pairs of a count and a value, or 0 and a command.

enum { END_OF_ROW = 0, END_OF_PICTURE = 1, DELTA = 2 };  // larger commands: that number of pixels follows

typedef struct mv_reader reader;

typedef struct {
    size_t place;     // in the compressed data
    uint32_t x, row;  // the next pixel
} cursor;

static int fail_short(char *message) { return mv_fail(MV_DAMAGED, message, "premature end of data"); }

// Decodes up to the end of a row, and moves the cursor to the next row that has pixels, or to r->height after the last.
// Pixels go to `out` unless it is NULL.
static int decode_row(const reader *r, cursor *c, uint8_t *out, char *message) {
    const uint8_t *data = r->pixels;
    int has_nibbles = r->bits == 4;
    // What follows the last pixel is of no use.
    while (c->row + 1 < r->height || c->x < r->width) {
        if (r->pixels_size - c->place < 2) return fail_short(message);
        uint32_t count = data[c->place], value = data[c->place + 1];
        c->place += 2;
        if (count > 0) {
            // Writers that do not end their runs with the row are common enough.
            if (count > r->width - c->x) count = r->width - c->x;
            for (uint32_t i = 0; out != NULL && i < count; i++)
                out[c->x + i] = (uint8_t)(!has_nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15);
            c->x += count;
            continue;
        }
        if (value == END_OF_ROW) {
            c->row++, c->x = 0;
            return MV_OK;
        }
        if (value == END_OF_PICTURE) break;
        if (value == DELTA) {
            if (r->pixels_size - c->place < 2) return fail_short(message);
            uint32_t right = data[c->place], rows = data[c->place + 1];
            c->place += 2;
            if (right > r->width - c->x || rows > r->height - c->row)
                return mv_fail(MV_DAMAGED, message, "RLE: a jump out of the picture");
            c->x += right, c->row += rows;
            if (rows > 0) return MV_OK;
            continue;
        }
        size_t bytes = has_nibbles ? (value + 1) / 2 : value;
        if (r->pixels_size - c->place < bytes) return fail_short(message);
        if (value > r->width - c->x) return mv_fail(MV_DAMAGED, message, "RLE: pixels beyond the end of a row");
        for (uint32_t i = 0; out != NULL && i < value; i++) {
            const uint8_t *in = data + c->place;
            out[c->x + i] = !has_nibbles ? in[i] : i % 2 == 0 ? in[i / 2] >> 4 : in[i / 2] & 15;
        }
        c->x += value;
        size_t padded = bytes + bytes % 2;
        c->place = r->pixels_size - c->place < padded ? r->pixels_size : c->place + padded;
    }
    c->row = r->height;
    return MV_OK;
}

int mv_bmp_find_rle_rows(reader *r, uint64_t most_memory, char *message) {
    if (r->pixels_size >= UINT32_MAX) return mv_fail(MV_UNSUPPORTED, message, "RLE: more than 4 GiB of data");
    if ((uint64_t)r->height * sizeof *r->rle_rows + r->width > most_memory)
        return mv_fail(MV_NO_MEMORY, message, "no memory for %u rows", (unsigned)r->height);
    r->rle_rows = calloc(r->height, sizeof *r->rle_rows);
    r->indexes = malloc(r->width);
    if (r->rle_rows == NULL || r->indexes == NULL) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    cursor c = {0};
    while (c.row < r->height) {
        r->rle_rows[c.row] = (mv_bmp_rle_row){.place = (uint32_t)c.place + 1, .column = c.x};
        int status = decode_row(r, &c, NULL, message);
        if (status != MV_OK) return status;
    }
    return MV_OK;
}

int mv_bmp_read_rle_row(reader *r, uint32_t row, char *message) {
    memset(r->indexes, 0, r->width);
    mv_bmp_rle_row start = r->rle_rows[row];
    if (start.place == 0) return MV_OK;
    cursor c = {.place = start.place - 1, .x = start.column, .row = row};
    return decode_row(r, &c, r->indexes, message);
}
