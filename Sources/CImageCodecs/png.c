#include "CImageCodecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t size;
    size_t position;
    jmp_buf jump;
    char *message;
    int status;
} reader;

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
// it finds out that the data is shorter.
static int chunks_fit(const uint8_t *data, size_t size) {
    size_t position = 8;
    // libpng reads a length and a name, 8 bytes; 4 of checksum have to follow what they announce.
    while (size - position >= 8) {
        size_t rest = size - position;
        uint32_t length = big_endian(data + position);
        if (rest < 12 || length > rest - 12) return 0;
        if (memcmp(data + position + 4, "IEND", 4) == 0) break;
        position += 12 + (size_t)length;
    }
    return 1;
}

int mv_png_read_size(const uint8_t *data, size_t size, uint32_t *width, uint32_t *height, char *message) {
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
    if (!chunks_fit(data, size)) {
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
    if (channels == 3 && depth == 8 && step == 3) {
        memcpy(out, in, (size_t)count * 3);
        return;
    }
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

int mv_png_decode(const uint8_t *data, size_t size, uint32_t width, uint32_t height, int alpha, uint8_t *rgb,
                  uint8_t *exif, size_t exif_capacity, size_t *exif_size, char *message) {
    reader r = {.data = data, .size = size, .message = message, .status = MV_NO_MEMORY};
    png_structp volatile png = NULL;
    png_infop volatile info = NULL;
    png_byte *volatile row = NULL;
    *exif_size = 0;
    snprintf(message, MV_MESSAGE_SIZE, "out of memory");
    if (setjmp(r.jump) != 0) goto done;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    if (png == NULL) goto done;
    info = png_create_info_struct(png);
    if (info == NULL) goto done;
    png_set_read_fn(png, &r, on_read);
    // A wrong checksum anywhere is damage: the chunk may have been tRNS or eXIf, whose loss changes pixels.
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, INT32_MAX, INT32_MAX);
    png_set_chunk_cache_max(png, 128);
    png_set_chunk_malloc_max(png, 8000000);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped_chunks, (int)(sizeof skipped_chunks / 5));
    png_read_info(png, info);
    if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height)
        png_error(png, "size differs from the header's");
    png_set_expand(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info), depth = png_get_bit_depth(png, info);
    if (channels < 1 || channels > 4 || (depth != 8 && depth != 16)) png_error(png, "unexpected sample layout");
    size_t row_bytes = png_get_rowbytes(png, info), pitch = (size_t)width * 3;
    row = malloc(row_bytes);
    if (row == NULL) goto done;
    // Interlaced pictures are read as their seven smaller ones, so that only one row is held besides the result.
    int interlaced = png_get_interlace_type(png, info) == PNG_INTERLACE_ADAM7;
    for (int pass = 0; pass < (interlaced ? 7 : 1); pass++) {
        uint32_t x0 = 0, y0 = 0, dx = 1, dy = 1, columns = width;
        if (interlaced) {
            x0 = PNG_PASS_START_COL(pass), dx = PNG_PASS_COL_OFFSET(pass), columns = PNG_PASS_COLS(width, pass);
            y0 = PNG_PASS_START_ROW(pass), dy = PNG_PASS_ROW_OFFSET(pass);
        }
        if (columns == 0) continue;
        for (uint64_t y = y0; y < height; y += dy) {
            png_read_row(png, row, NULL);
            convert_row(row, columns, channels, depth, alpha, rgb + y * pitch + (size_t)x0 * 3, (size_t)dx * 3);
        }
    }
    png_read_end(png, info);
    png_uint_32 length = 0;
    png_bytep chunk = NULL;
    if (png_get_eXIf_1(png, info, &length, &chunk) != 0 && length <= exif_capacity) {
        memcpy(exif, chunk, length);
        *exif_size = length;
    }
    r.status = MV_OK;
done:
    free(row);
    if (png != NULL) {
        png_structp p = png;
        png_infop i = info;
        png_destroy_read_struct(&p, &i, NULL);
    }
    return r.status;
}
