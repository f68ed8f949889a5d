#include "codecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// A part of what libpng reads.
typedef struct {
    const uint8_t *data;
    size_t size;
} piece;

enum { BEFORE_TRANSPARENCY, TRANSPARENCY, UP_TO_PIXELS, END, PIECES };

struct mv_reader {
    const uint8_t *data;
    // The data passed to libpng: the file up to the end of its pixels, with a tRNS chunk that it accepts, and IEND.
    piece pieces[PIECES];
    int piece;
    size_t position;  // in that piece
    uint8_t transparency[12 + 256];
    int has_all_rows;
    jmp_buf jump;
    char *message;
    int status;
    png_structp png;
    png_infop info;
    png_byte *row;  // a row as stored, where that is not RGB8
    uint32_t width, height;
    int channels, depth, alpha;
    int is_interlaced;
};

typedef struct mv_reader reader;

static void on_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, MV_MESSAGE_SIZE, "%s", text);
    r->status = strstr(text, "memory") ? MV_NO_MEMORY : MV_DAMAGED;
    longjmp(r->jump, 1);
}

// libpng drops a chunk it warns about. That is harmless except for tRNS, whose loss would change pixels: only the low
// bits of a sample count, an alpha channel overrides the chunk, and the first of several counts.
static void on_warning(png_structp png, png_const_charp text) {
    if (strstr(text, "tRNS") == NULL) return;
    static const char *const harmless[] = {"tRNS chunk has out-of-range samples for bit_depth",
                                           "tRNS: invalid with alpha channel", "tRNS: duplicate"};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcmp(text, harmless[i]) == 0) return;
    on_error(png, text);
}

// A chunk is never split between two pieces, and neither is a read of libpng.
static void on_read(png_structp png, png_bytep out, size_t length) {
    reader *r = png_get_io_ptr(png);
    while (r->piece < END && r->position == r->pieces[r->piece].size) {
        r->piece++;
        r->position = 0;
    }
    if (r->piece == END && !r->has_all_rows) png_error(png, "premature end of data");
    const piece *p = &r->pieces[r->piece];
    if (length > p->size - r->position) png_error(png, "premature end of data");
    memcpy(out, p->data + r->position, length);
    r->position += length;
}

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_big_endian(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int is_chunk(const uint8_t *chunk, const char *name) { return memcmp(chunk + 4, name, 4) == 0; }

// Entries beyond the palette have no colour, and an empty chunk applies to none; libpng would drop either chunk.
static void fit_transparency(reader *r, const uint8_t *chunk, uint32_t length, uint32_t colours) {
    if (length != 0 && length <= colours) return;
    uint32_t checksum = (uint32_t)crc32(crc32(0, NULL, 0), chunk + 4, length + 4);
    if (checksum != big_endian(chunk + 8 + length)) return;  // libpng says so
    piece *rest = &r->pieces[UP_TO_PIXELS];
    const uint8_t *end = rest->data + rest->size, *next = chunk + 12 + length;
    r->pieces[BEFORE_TRANSPARENCY] = (piece){rest->data, (size_t)(chunk - rest->data)};
    *rest = (piece){next, (size_t)(end - next)};
    if (length == 0) return;
    uint8_t *fitting = r->transparency;
    put_big_endian(fitting, colours);
    memcpy(fitting + 4, chunk + 4, 4 + colours);
    put_big_endian(fitting + 8 + colours, (uint32_t)crc32(crc32(0, NULL, 0), fitting + 4, colours + 4));
    r->pieces[TRANSPARENCY] = (piece){fitting, 12 + colours};
}

// Finds the pieces. Every chunk up to the end of the pixels must be within the data: libpng allocates memory by its
// length before it finds that the data is shorter. libpng does not get the data after the pixels: damage there harms no
// pixel.
static int find_pieces(reader *r, size_t size) {
    static const uint8_t end_chunk[12] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};
    const uint8_t *data = r->data, *transparency = NULL;
    uint32_t most = data[25] == PNG_COLOR_TYPE_PALETTE && data[24] <= 8 ? 1u << data[24] : 0, colours = 0;
    size_t position = 8, end = 0;
    while (size - position >= 8) {
        const uint8_t *chunk = data + position;
        int is_data = is_chunk(chunk, "IDAT");
        if (end != 0 && !is_data) break;
        if (is_chunk(chunk, "IEND")) break;
        size_t rest = size - position;
        uint32_t length = big_endian(chunk);
        if (rest < 12 || length > rest - 12) return 0;
        if (is_chunk(chunk, "PLTE") && colours == 0) colours = length / 3 < most ? length / 3 : most;
        if (is_chunk(chunk, "tRNS") && transparency == NULL && colours != 0) transparency = chunk;
        position += 12 + (size_t)length;
        if (is_data) end = position;
    }
    if (end == 0) end = size;  // no pixels: libpng says so
    r->pieces[UP_TO_PIXELS] = (piece){data, end};
    r->pieces[END] = (piece){end_chunk, sizeof end_chunk};
    if (transparency != NULL) fit_transparency(r, transparency, big_endian(transparency), colours);
    return 1;
}

// Checks the header, without libpng.
static int read_size(const uint8_t *data, size_t size, mv_picture *picture, char *message) {
    if (size < 8 + 8 + 13 + 4) return mv_fail(MV_DAMAGED, message, "premature end of data");
    if (big_endian(data + 8) != 13 || memcmp(data + 12, "IHDR", 4) != 0)
        return mv_fail(MV_DAMAGED, message, "no IHDR chunk at the start");
    uint64_t w = big_endian(data + 16), h = big_endian(data + 20);
    if (w == 0 || h == 0 || w > INT32_MAX || h > INT32_MAX)
        return mv_fail(MV_DAMAGED, message, "size of %lu x %lu pixels in IHDR", (unsigned long)w, (unsigned long)h);
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    uint64_t depth = data[24], samples = data[25] < 7 ? channels[data[25]] : 0;
    // Deflate expands at most 1032-fold. 2^31 * 2^31 / 8 * (4 channels * 16 bits) exceeds 64 bits; a double suffices.
    if ((double)w * (double)h * (double)(depth * samples) / 8 > 1032.0 * (double)size)
        return mv_fail_too_short(w, h, size, message);
    picture->width = (uint32_t)w;
    picture->height = (uint32_t)h;
    return MV_OK;
}

static uint8_t sample(const png_byte *in, size_t index, int depth) {
    if (depth == 8) return in[index];
    return mv_sample16((uint32_t)in[2 * index] << 8 | in[2 * index + 1]);
}

// One decoded row of 1 to 4 channels of 8 or 16 bits to RGB8; pixels land `step` bytes apart.
static void convert_row(const png_byte *in, uint32_t count, int channels, int depth, int alpha, uint8_t *out,
                        size_t step) {
    int colours = channels >= 3 ? 3 : 1, has_alpha = channels == 2 || channels == 4;
    uint32_t background = mv_background(alpha);
    for (uint32_t i = 0; i < count; i++, out += step) {
        size_t first = (size_t)i * (size_t)channels;
        uint32_t opacity = 255;
        if (has_alpha && alpha != MV_ALPHA_IGNORE) opacity = sample(in, first + (size_t)colours, depth);
        for (int c = 0; c < 3; c++) {
            uint8_t value = sample(in, first + (size_t)(colours == 3 ? c : 0), depth);
            out[c] = opacity == 255 ? value : mv_composite(value, opacity, background);
        }
    }
}

static const png_byte skipped_chunks[] =
    "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";

static int no_memory(char *message) { return mv_fail(MV_NO_MEMORY, message, "out of memory"); }

static int matches(const uint8_t *data, size_t size) {
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0;
}

static int open_picture(const uint8_t *data, size_t size, const mv_options *options, reader **result,
                        mv_picture *picture, char *message) {
    (void)options;
    *result = NULL;
    *picture = (mv_picture){.orientation = MV_NO_ORIENTATION};
    int status = read_size(data, size, picture, message);
    if (status != MV_OK) return status;
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) return no_memory(message);
    r->data = data;
    if (!find_pieces(r, size)) {
        free(r);
        return mv_fail(MV_DAMAGED, message, "premature end of data");
    }
    r->width = picture->width;
    r->height = picture->height;
    *result = r;
    return MV_OK;
}

// Each call that can fail has its own setjmp, so that no jump crosses a function.
static int start(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    r->message = message;
    r->alpha = options->alpha;
    if (setjmp(r->jump) != 0) return r->status;
    png_structp png = r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    if (png == NULL) return no_memory(message);
    png_infop info = r->info = png_create_info_struct(png);
    if (info == NULL) return no_memory(message);
    png_set_read_fn(png, r, on_read);
    // A wrong checksum up to the pixels is damage: the chunk may have been tRNS or eXIf, whose loss changes pixels.
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
    picture->is_whole = r->is_interlaced;
    return MV_OK;
}

// Interlaced pictures are read as their seven passes, so that only one row is held besides the result.
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

static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
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

static int finish(reader *r, char *message) {
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    r->has_all_rows = 1;
    png_read_end(r->png, r->info);
    return MV_OK;
}

static void close_picture(reader *r) {
    if (r == NULL) return;
    free(r->row);
    if (r->png != NULL) png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r);
}

const mv_codec mv_png_codec = {.name = "PNG",
                               .package = "libpng-dev",
                               .matches = matches,
                               .open = open_picture,
                               .start = start,
                               .read_rows = read_rows,
                               .finish = finish,
                               .close = close_picture};
