#include "codecs.h"

#include <string.h>

static int matches(const uint8_t *data, size_t size) {
    return size >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

#ifdef MV_WITH_GIF

#include <stdlib.h>

#include <gif_lib.h>

// The first picture of a GIF. giflib reads the blocks and the codes. The codes are made into pixels here: giflib's own
// function for it, DGifGetLine, does not notice codes that cannot be, and invents pixels for them.

#define CODES 4096  // of at most 12 bits

// What a code stands for: the pixels of another code, its prefix, and one more.
typedef struct {
    uint16_t prefix, length;
    uint8_t first, last;
} string;

struct mv_reader {
    const uint8_t *data;
    size_t size, position;
    int is_cut;  // whether giflib asked for more than there is
    GifFileType *gif;
    uint32_t width, height, left, top, right, bottom;  // of the canvas; of the picture in it
    int transparent;                                   // an index, or -1
    uint8_t colours[256][3];
    uint32_t next_row;
    uint8_t *indexes;  // a row of the picture; if it is interlaced, all of them
    unsigned clear_code, next_code;
    int last_code;  // -1 after a clear code
    string strings[CODES];
    uint8_t pending[CODES];  // ends with pixels that did not fit their row, of which `pending_count` are left
    size_t pending_count;
};

typedef struct mv_reader reader;

// A code stands for fewer pixels than there are codes of its length, so 12 bits, the most, bring the most for a bit.
#define MOST_PIXELS_PER_BYTE (CODES * 8 / 12 + 1)

static int on_read(GifFileType *gif, GifByteType *out, int count) {
    reader *r = gif->UserData;
    size_t rest = r->size - r->position, length = count < 0 ? 0 : (size_t)count;
    if (length > rest) {
        r->is_cut = 1;
        length = rest;
    }
    memcpy(out, r->data + r->position, length);
    r->position += length;
    return (int)length;
}

// The reason for which giflib's last function failed.
static int fail(const reader *r, int error, char *message) {
    if (error == D_GIF_ERR_NOT_ENOUGH_MEM) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    if (r->is_cut) return mv_fail(MV_DAMAGED, message, "premature end of data");
    const char *text = error == 0 ? NULL : GifErrorString(error);
    return mv_fail(MV_DAMAGED, message, "%s", text == NULL ? "damaged data" : text);
}

// Reads an extension; of those before the picture, one may name the transparent colour.
static int read_extension(reader *r, char *message) {
    int kind;
    GifByteType *block;
    if (DGifGetExtension(r->gif, &kind, &block) != GIF_OK) return fail(r, r->gif->Error, message);
    // The first byte is the length.
    if (kind == GRAPHICS_EXT_FUNC_CODE && block != NULL) {
        if (block[0] < 4) return mv_fail(MV_DAMAGED, message, "a graphic control extension of %d bytes", block[0]);
        if ((block[1] & 1) != 0) r->transparent = block[4];
    }
    while (block != NULL)
        if (DGifGetExtensionNext(r->gif, &block) != GIF_OK) return fail(r, r->gif->Error, message);
    return MV_OK;
}

// Reads up to the pixels of the first picture.
static int find_picture(reader *r, char *message) {
    for (;;) {
        GifRecordType kind;
        if (DGifGetRecordType(r->gif, &kind) != GIF_OK) return fail(r, r->gif->Error, message);
        if (kind == TERMINATE_RECORD_TYPE) return mv_fail(MV_DAMAGED, message, "no picture before the end marker");
        if (kind == IMAGE_DESC_RECORD_TYPE) break;
        int status = read_extension(r, message);
        if (status != MV_OK) return status;
    }
    int status = DGifGetImageDesc(r->gif);
    // The last byte that giflib has read is the code size, but it has no function that gives it.
    unsigned code_size = r->data[r->position - 1];
    if (status != GIF_OK && !r->is_cut && code_size > 8)
        return mv_fail(MV_UNSUPPORTED, message, "codes for pixels of %u bits; expected 1 to 8", code_size);
    if (status != GIF_OK) return fail(r, r->gif->Error, message);
    if (code_size == 0) return mv_fail(MV_DAMAGED, message, "codes for pixels of 0 bits; expected 1 to 8");
    r->clear_code = 1u << code_size;
    r->next_code = r->clear_code + 2;
    r->last_code = -1;
    for (unsigned i = 0; i < r->clear_code; i++)
        r->strings[i] = (string){.length = 1, .first = (uint8_t)i, .last = (uint8_t)i};
    return MV_OK;
}

// Like Pillow: without a palette, indexes are gray values; those beyond a palette are black.
static void set_colours(reader *r) {
    const ColorMapObject *map = r->gif->Image.ColorMap != NULL ? r->gif->Image.ColorMap : r->gif->SColorMap;
    for (int i = 0; i < 256; i++) {
        GifColorType colour = {0, 0, 0};
        if (map == NULL) colour = (GifColorType){(GifByteType)i, (GifByteType)i, (GifByteType)i};
        else if (i < map->ColorCount) colour = map->Colors[i];
        r->colours[i][0] = colour.Red, r->colours[i][1] = colour.Green, r->colours[i][2] = colour.Blue;
    }
}

static int read_header(reader *r, char *message) {
    int error = 0;
    r->gif = DGifOpen(r, on_read, &error);
    if (r->gif == NULL) return fail(r, error, message);
    int status = find_picture(r, message);
    if (status != MV_OK) return status;
    const GifImageDesc *picture = &r->gif->Image;
    uint32_t width = (uint32_t)picture->Width, height = (uint32_t)picture->Height;
    if (width == 0 || height == 0)
        return mv_fail(MV_DAMAGED, message, "size of %u x %u pixels", (unsigned)width, (unsigned)height);
    r->left = (uint32_t)picture->Left, r->top = (uint32_t)picture->Top;
    r->right = r->left + width, r->bottom = r->top + height;
    // A picture that does not fit its canvas makes it larger, as in Pillow.
    r->width = (uint32_t)r->gif->SWidth, r->height = (uint32_t)r->gif->SHeight;
    if (r->width < r->right) r->width = r->right;
    if (r->height < r->bottom) r->height = r->bottom;
    if ((uint64_t)width * height > MOST_PIXELS_PER_BYTE * (uint64_t)(r->size - r->position))
        return mv_fail_too_short(width, height, r->size, message);
    set_colours(r);
    return MV_OK;
}

static void close_picture(reader *r) {
    if (r == NULL) return;
    int error;
    if (r->gif != NULL) DGifCloseFile(r->gif, &error);
    free(r->indexes);
    free(r);
}

static int open_picture(const uint8_t *data, size_t size, const mv_options *options, reader **result,
                        mv_picture *picture, char *message) {
    (void)options;
    *result = NULL;
    *picture = (mv_picture){.orientation = MV_NO_ORIENTATION};
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    r->data = data, r->size = size, r->transparent = -1;
    int status = read_header(r, message);
    if (status == MV_OK) {
        picture->width = r->width, picture->height = r->height;
        *result = r;
    } else {
        close_picture(r);
    }
    return status;
}

static int start(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    (void)picture;
    uint64_t count = r->right - r->left;
    if (r->gif->Image.Interlace) count *= r->bottom - r->top;
    r->indexes = count > options->most_memory ? NULL : malloc(count);
    if (r->indexes == NULL)
        return mv_fail(MV_NO_MEMORY, message, "no memory for %llu pixels", (unsigned long long)count);
    if (r->transparent >= 0 && options->alpha != MV_ALPHA_IGNORE)
        memset(r->colours[r->transparent], (int)mv_background(options->alpha), 3);
    return MV_OK;
}

// Reads a code that stands for pixels, and defines another by it and the code before.
static int read_code(reader *r, unsigned *result, char *message) {
    int code;
    for (;;) {
        if (DGifGetLZCodes(r->gif, &code) != GIF_OK) return fail(r, r->gif->Error, message);
        if (code < 0) return mv_fail(MV_DAMAGED, message, "the pixels end too soon");
        if ((unsigned)code != r->clear_code) break;
        r->next_code = r->clear_code + 2;
        r->last_code = -1;
    }
    // The first code is a pixel. A later one may also be the code that it defines.
    unsigned next = r->next_code, current = (unsigned)code;
    if (r->last_code < 0 ? current >= r->clear_code : current > next)
        return mv_fail(MV_DAMAGED, message, "a code without a meaning");
    if (r->last_code >= 0 && next < CODES) {
        const string *last = &r->strings[r->last_code];
        r->strings[next] = (string){.prefix = (uint16_t)r->last_code,
                                    .length = (uint16_t)(last->length + 1),
                                    .first = last->first,
                                    .last = current == next ? last->first : r->strings[current].first};
        r->next_code++;
    }
    r->last_code = code;
    *result = current;
    return MV_OK;
}

static void write_string(const reader *r, unsigned code, uint8_t *out) {
    for (unsigned i = r->strings[code].length; i > 0; i--, code = r->strings[code].prefix)
        out[i - 1] = r->strings[code].last;
}

static int read_indexes(reader *r, uint8_t *out, size_t count, char *message) {
    while (count > 0) {
        if (r->pending_count == 0) {
            unsigned code = 0;
            int status = read_code(r, &code, message);
            if (status != MV_OK) return status;
            size_t length = r->strings[code].length;
            if (length <= count) {
                write_string(r, code, out);
                out += length, count -= length;
                continue;
            }
            r->pending_count = length;
            write_string(r, code, r->pending + CODES - length);
        }
        size_t length = r->pending_count < count ? r->pending_count : count;
        memcpy(out, r->pending + CODES - r->pending_count, length);
        r->pending_count -= length;
        out += length, count -= length;
    }
    return MV_OK;
}

// Reads the rows of an interlaced picture: every eighth, those between them, and so on.
static int read_interlaced(reader *r, char *message) {
    static const struct { uint32_t start, step; } passes[4] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
    uint32_t width = r->right - r->left, height = r->bottom - r->top;
    for (int pass = 0; pass < 4; pass++)
        for (uint32_t y = passes[pass].start; y < height; y += passes[pass].step) {
            int status = read_indexes(r, r->indexes + (size_t)y * width, width, message);
            if (status != MV_OK) return status;
        }
    return MV_OK;
}

// Around the picture the canvas is transparent, or has the first colour, as in Pillow.
static void fill(const reader *r, uint8_t *rgb, uint32_t count) {
    for (; count > 0; count--, rgb += 3) memcpy(rgb, r->colours[r->transparent < 0 ? 0 : r->transparent], 3);
}

static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    uint32_t width = r->right - r->left;
    for (uint32_t i = 0; i < rows; i++, rgb += (size_t)r->width * 3) {
        uint32_t y = r->next_row++;
        if (y < r->top || y >= r->bottom) {
            fill(r, rgb, r->width);
            continue;
        }
        const uint8_t *in = r->indexes;
        int status = MV_OK;
        if (!r->gif->Image.Interlace) {
            status = read_indexes(r, r->indexes, width, message);
        } else {
            if (y == r->top) status = read_interlaced(r, message);
            in += (size_t)(y - r->top) * width;
        }
        if (status != MV_OK) return status;
        fill(r, rgb, r->left);
        uint8_t *out = rgb + (size_t)r->left * 3;
        for (uint32_t x = 0; x < width; x++, out += 3) memcpy(out, r->colours[in[x]], 3);
        fill(r, out, r->width - r->right);
    }
    return MV_OK;
}

const mv_codec mv_gif_codec = {
    .name = "GIF",
    .package = "libgif-dev",
    .matches = matches,
    .open = open_picture,
    .start = start,
    .read_rows = read_rows,
    .finish = mv_finish_nothing,
    .close = close_picture,
};

#else

const mv_codec mv_gif_codec = {.name = "GIF", .package = "libgif-dev", .matches = matches};

#endif
