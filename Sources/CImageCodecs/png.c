#include "CImageCodecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mv_png_reader {
    const uint8_t *data;
    size_t size;
    size_t position;
    jmp_buf jump;
    char *message;
    int status;
    png_structp png;
    png_infop info;
    png_byte *row;  // a row as stored, where that is not RGB8
    uint32_t width, height;
    int channels, depth, alpha;
    int is_interlaced, has_late_exif;
};

typedef struct mv_png_reader reader;

static void on_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, MV_MESSAGE_SIZE, "%s", text);
    r->status = strstr(text, "memory") ? MV_NO_MEMORY : MV_DAMAGED;
    longjmp(r->jump, 1);
}

// libpng drops a chunk it warns about. That is harmless for all but tRNS, whose loss would change pixels.
static void on_warning(png_structp png, png_const_charp text) {
    if (strncmp(text, "tRNS", 4) == 0) on_error(png, text);
}

static void on_read(png_structp png, png_bytep out, size_t length) {
    reader *r = png_get_io_ptr(png);
    if (length > r->size - r->position) png_error(png, "premature end of data");
    memcpy(out, r->data + r->position, length);
    r->position += length;
}

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Whether every chunk's length, up to IEND or the end of the data, lies within the data. libpng takes memory by that length before
// it finds out that the data is shorter. Notes whether there is an eXIf chunk behind the first IDAT.
static int chunks_fit(const uint8_t *data, size_t size, int *has_late_exif) {
    size_t position = 8;
    int has_data = 0;
    // libpng reads a length and a name, 8 bytes; 4 of checksum have to follow what they announce.
    while (size - position >= 8) {
        size_t rest = size - position;
        uint32_t length = big_endian(data + position);
        if (rest < 12 || length > rest - 12) return 0;
        const uint8_t *name = data + position + 4;
        if (memcmp(name, "IEND", 4) == 0) break;
        if (memcmp(name, "IDAT", 4) == 0) has_data = 1;
        if (has_data && memcmp(name, "eXIf", 4) == 0) *has_late_exif = 1;
        position += 12 + (size_t)length;
    }
    return 1;
}

// Checks the header and the lengths of the chunks; libpng has no part in it.
static int read_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, int *has_late_exif,
                     char *message) {
    if (size < 8 + 8 + 13 + 4) {
        snprintf(message, MV_MESSAGE_SIZE, "premature end of data");
        return MV_DAMAGED;
    }
    if (big_endian(data + 8) != 13 || memcmp(data + 12, "IHDR", 4) != 0) {
        snprintf(message, MV_MESSAGE_SIZE, "no IHDR chunk at the start");
        return MV_DAMAGED;
    }
    uint64_t w = big_endian(data + 16), h = big_endian(data + 20);
    if (w == 0 || h == 0 || w > INT32_MAX || h > INT32_MAX) {
        snprintf(message, MV_MESSAGE_SIZE, "size of %lu x %lu pixels in IHDR", (unsigned long)w, (unsigned long)h);
        return MV_DAMAGED;
    }
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    uint64_t depth = data[24], samples = data[25] < 7 ? channels[data[25]] : 0;
    // Deflate expands at most 1032-fold. 2^31 * 2^31 / 8 * (4 channels * 16 bits) does not fit 64 bits, a double is enough.
    if ((double)w * (double)h * (double)(depth * samples) / 8 > 1032.0 * (double)size) {
        snprintf(message, MV_MESSAGE_SIZE, "premature end of data: %lu x %lu pixels cannot be in %zu bytes",
                 (unsigned long)w, (unsigned long)h, size);
        return MV_DAMAGED;
    }
    if (!chunks_fit(data, size, has_late_exif)) {
        snprintf(message, MV_MESSAGE_SIZE, "premature end of data");
        return MV_DAMAGED;
    }
    *width = (uint32_t)w;
    *height = (uint32_t)h;
    return MV_OK;
}

static uint8_t composite(uint32_t colour, uint32_t alpha, uint32_t background) {
    // floor(n / 255 + 1/2) with n = colour * alpha + background * (255 - alpha)
    return (uint8_t)((2 * (colour * alpha + background * (255 - alpha)) + 255) / 510);
}

static uint8_t sample(const png_byte *in, size_t index, int depth) {
    if (depth == 8) return in[index];
    uint32_t value = (uint32_t)in[2 * index] << 8 | in[2 * index + 1];
    return (uint8_t)((value * 255 + 32767) / 65535);
}

// One decoded row of 1 to 4 channels of 8 or 16 bits to RGB8; pixels land `step` bytes apart.
static void convert_row(const png_byte *in, uint32_t count, int channels, int depth, int alpha, uint8_t *out, size_t step) {
    int colours = channels >= 3 ? 3 : 1, has_alpha = channels == 2 || channels == 4;
    uint32_t background = alpha == MV_ALPHA_BLACK ? 0 : 255;
    for (uint32_t i = 0; i < count; i++, out += step) {
        size_t first = (size_t)i * (size_t)channels;
        uint32_t opacity = 255;
        if (has_alpha && alpha != MV_ALPHA_IGNORE) opacity = sample(in, first + (size_t)colours, depth);
        for (int c = 0; c < 3; c++) {
            uint8_t value = sample(in, first + (size_t)(colours == 3 ? c : 0), depth);
            out[c] = opacity == 255 ? value : composite(value, opacity, background);
        }
    }
}

static const png_byte skipped_chunks[] =
    "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";

static int no_memory(char *message) {
    snprintf(message, MV_MESSAGE_SIZE, "out of memory");
    return MV_NO_MEMORY;
}

int mv_png_open(const uint8_t *data, size_t size, reader **result, uint32_t *width, uint32_t *height, char *message) {
    *result = NULL;
    int has_late_exif = 0;
    int status = read_size(data, size, width, height, &has_late_exif, message);
    if (status != MV_OK) return status;
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) return no_memory(message);
    r->data = data;
    r->size = size;
    r->width = *width;
    r->height = *height;
    r->has_late_exif = has_late_exif;
    *result = r;
    return MV_OK;
}

// Each call that can fail has its own setjmp, so that no jump leaves the function that the caller is in.
int mv_png_start(reader *r, int alpha, int *is_whole, char *message) {
    r->message = message;
    r->alpha = alpha;
    if (setjmp(r->jump) != 0) return r->status;
    png_structp png = r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    if (png == NULL) return no_memory(message);
    png_infop info = r->info = png_create_info_struct(png);
    if (info == NULL) return no_memory(message);
    png_set_read_fn(png, r, on_read);
    // A wrong checksum anywhere is damage: the chunk may have been tRNS or eXIf, whose loss changes pixels.
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, INT32_MAX, INT32_MAX);
    png_set_chunk_cache_max(png, 128);
    png_set_chunk_malloc_max(png, 8000000);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped_chunks, (int)(sizeof skipped_chunks / 5));
    png_read_info(png, info);
    if (png_get_image_width(png, info) != r->width || png_get_image_height(png, info) != r->height)
        png_error(png, "size differs from the header's");
    png_set_expand(png);
    png_read_update_info(png, info);
    r->channels = png_get_channels(png, info);
    r->depth = png_get_bit_depth(png, info);
    if (r->channels < 1 || r->channels > 4 || (r->depth != 8 && r->depth != 16))
        png_error(png, "unexpected sample layout");
    r->is_interlaced = png_get_interlace_type(png, info) == PNG_INTERLACE_ADAM7;
    if (r->is_interlaced || r->channels != 3 || r->depth != 8) {
        r->row = malloc(png_get_rowbytes(png, info));
        if (r->row == NULL) return no_memory(message);
    }
    *is_whole = r->is_interlaced || r->has_late_exif;
    return MV_OK;
}

// Interlaced pictures are read as their seven smaller ones, so that only one row is held besides the result.
static void read_interlaced(reader *r, uint8_t *rgb) {
    for (int pass = 0; pass < 7; pass++) {
        uint32_t x0 = PNG_PASS_START_COL(pass), dx = PNG_PASS_COL_OFFSET(pass), columns = PNG_PASS_COLS(r->width, pass);
        uint32_t y0 = PNG_PASS_START_ROW(pass), dy = PNG_PASS_ROW_OFFSET(pass);
        if (columns == 0) continue;
        for (uint64_t y = y0; y < r->height; y += dy) {
            png_read_row(r->png, r->row, NULL);
            uint8_t *out = rgb + (y * r->width + x0) * 3;
            convert_row(r->row, columns, r->channels, r->depth, r->alpha, out, (size_t)dx * 3);
        }
    }
}

int mv_png_read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    if (r->is_interlaced) {
        if (rows != r->height) png_error(r->png, "an interlaced picture has no rows by themselves");
        read_interlaced(r, rgb);
        return MV_OK;
    }
    for (uint32_t y = 0; y < rows; y++, rgb += (size_t)r->width * 3) {
        png_read_row(r->png, r->row == NULL ? rgb : r->row, NULL);
        if (r->row != NULL) convert_row(r->row, r->width, r->channels, r->depth, r->alpha, rgb, 3);
    }
    return MV_OK;
}

int mv_png_finish(reader *r, char *message) {
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    png_read_end(r->png, r->info);
    return MV_OK;
}

const uint8_t *mv_png_exif(reader *r, size_t *size) {
    png_uint_32 length = 0;
    png_bytep chunk = NULL;
    *size = 0;
    if (png_get_eXIf_1(r->png, r->info, &length, &chunk) == 0) return NULL;
    *size = length;
    return chunk;
}

void mv_png_close(reader *r) {
    if (r == NULL) return;
    free(r->row);
    if (r->png != NULL) png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r);
}
