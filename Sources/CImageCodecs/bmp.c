#include "bmp.h"

#include <stdlib.h>
#include <string.h>

// BMP files of Windows and OS/2. The only libraries for them are parts of larger ones.
//
// Formats: "Bitmap Storage" in the documentation of the Windows GDI; "OS/2 Bitmap File Format".

typedef struct mv_reader reader;

// The values of the header's field for compression.
enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, MASKS = 3, JPEG = 4, PNG = 5, ALPHA_MASKS = 6 };

// Of the file's own header, before that of the bitmap.
#define FILE_HEADER 14

static uint32_t two_bytes(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t four_bytes(const uint8_t *p) { return two_bytes(p) | two_bytes(p + 2) << 16; }

// Text can start with the two letters, but has no zeros.
static int matches(const uint8_t *data, size_t size) {
    if (size < 3 || data[0] != 'B' || data[1] != 'M') return 0;
    return size < FILE_HEADER + 4 ? memchr(data, 0, size) != NULL : four_bytes(data + FILE_HEADER) < 0x10000;
}

// 12: OS/2 1, and Windows 2. 16 to 64: OS/2 2, which may leave out fields at the end. 40, 52, 56, 108, 124: Windows.
static int is_header_size(uint32_t size) {
    return size == 12 || (size >= 16 && size <= 64 && (size % 4 == 0 || size == 42 || size == 46)) || size == 108 ||
           size == 124;
}

// Whether the header is one that only OS/2 has.
static int is_os2(uint32_t header) {
    return header < 40 || (header > 40 && header <= 64 && header != 52 && header != 56);
}

static int fail_short(char *message) { return mv_fail(MV_DAMAGED, message, "premature end of data"); }

static int check_compression(const reader *r, uint32_t header, char *message) {
    if (is_os2(header) && r->compression == 3)
        return mv_fail(MV_UNSUPPORTED, message, "Huffman compression of OS/2 is not supported");
    if (is_os2(header) && r->compression == 4)
        return mv_fail(MV_UNSUPPORTED, message, "RLE24 compression of OS/2 is not supported");
    // Masks would be where such a header has other fields, or has ended.
    if (is_os2(header) && r->compression > RLE4)
        return mv_fail(MV_UNSUPPORTED, message, "compression %u of OS/2 is not supported", (unsigned)r->compression);
    const char *expected = NULL;
    switch (r->compression) {
    case PLAIN: break;
    case RLE8: expected = r->bits == 8 ? NULL : "8"; break;
    case RLE4: expected = r->bits == 4 ? NULL : "4"; break;
    case MASKS:
    case ALPHA_MASKS: expected = r->bits == 16 || r->bits == 24 || r->bits == 32 ? NULL : "16, 24 or 32"; break;
    case JPEG: return mv_fail(MV_UNSUPPORTED, message, "a JPEG inside a BMP is not supported; extract it");
    case PNG: return mv_fail(MV_UNSUPPORTED, message, "a PNG inside a BMP is not supported; extract it");
    default: return mv_fail(MV_UNSUPPORTED, message, "compression %u is not supported", (unsigned)r->compression);
    }
    if (expected != NULL)
        return mv_fail(MV_DAMAGED, message, "%u bits per pixel with compression %u; expected %s", (unsigned)r->bits,
                       (unsigned)r->compression, expected);
    switch (r->bits) {
    case 1:
    case 2:
    case 4:
    case 8:
    case 16:
    case 24:
    case 32: return MV_OK;
    default: return mv_fail(MV_UNSUPPORTED, message, "%u bits per pixel are not supported", (unsigned)r->bits);
    }
}

// Reads everything of the bitmap's header but masks and palette.
static int read_header(reader *r, uint32_t header, char *message) {
    const uint8_t *p = r->data + FILE_HEADER;
    int64_t width, height;
    uint32_t planes;
    if (header == 12) {
        width = two_bytes(p + 4), height = two_bytes(p + 6);
        planes = two_bytes(p + 8), r->bits = two_bytes(p + 10);
    } else {
        width = (int32_t)four_bytes(p + 4), height = (int32_t)four_bytes(p + 8);
        planes = two_bytes(p + 12), r->bits = two_bytes(p + 14);
    }
    r->compression = header >= 20 ? four_bytes(p + 16) : PLAIN;
    r->colour_count = header >= 36 ? four_bytes(p + 32) : 0;
    r->is_top_down = height < 0;
    if (height < 0) height = -height;
    if (width <= 0 || height == 0 || height > INT32_MAX)
        return mv_fail(MV_DAMAGED, message, "size of %lld x %lld pixels", (long long)width, (long long)height);
    if (planes > 1) return mv_fail(MV_UNSUPPORTED, message, "%u planes; expected 1", (unsigned)planes);
    r->width = (uint32_t)width, r->height = (uint32_t)height;
    return check_compression(r, header, message);
}

// A channel is a run of bits of a pixel. Without bits it is 0, as in other readers.
static int set_channel(mv_bmp_channel *channel, uint32_t mask, const char *name, char *message) {
    *channel = (mv_bmp_channel){.mask = mask};
    if (mask == 0) return MV_OK;
    channel->shift = (unsigned)__builtin_ctz(mask);
    channel->most = mask >> channel->shift;
    if ((channel->most & (channel->most + 1)) != 0)
        return mv_fail(MV_UNSUPPORTED, message, "the bits of %s are not in a row (mask %08X)", name, (unsigned)mask);
    if (channel->most <= 255)
        for (uint32_t value = 0; value <= channel->most; value++)
            channel->scaled[value] = (uint8_t)(value * 255 / channel->most);
    return MV_OK;
}

// The bits of red, green, blue and opacity in a pixel. Masks follow a header of 40 bytes, and are in longer ones.
static int read_masks(reader *r, uint32_t header, char *message) {
    static const char *const names[4] = {"red", "green", "blue", "opacity"};
    uint32_t masks[4] = {0xFF0000, 0xFF00, 0xFF, 0};
    if (r->bits == 16) masks[0] = 0x7C00, masks[1] = 0x3E0, masks[2] = 0x1F;
    if (r->compression == MASKS || r->compression == ALPHA_MASKS) {
        int count = header >= 56 || (header == 40 && r->compression == ALPHA_MASKS) ? 4 : 3;
        const uint8_t *p = r->data + FILE_HEADER + 40;
        if (header == 40) r->header_end += 4 * (size_t)count;
        if (r->header_end > r->size) return fail_short(message);
        uint32_t all = 0;
        for (int i = 0; i < count; i++) all |= masks[i] = four_bytes(p + 4 * i);
        // Without any mask, the usual ones, as in Pillow.
        if (all == 0 && r->bits == 32) masks[0] = 0xFF0000, masks[1] = 0xFF00, masks[2] = 0xFF, masks[3] = 0xFF000000;
        else if (all == 0)
            return mv_fail(MV_DAMAGED, message, "all masks are 0; expected some of red, green and blue");
    }
    uint32_t taken = 0;
    for (int i = 0; i < 4; i++) {
        if ((taken & masks[i]) != 0) return mv_fail(MV_UNSUPPORTED, message, "the bits of %s overlap", names[i]);
        taken |= masks[i];
        int status = set_channel(&r->channels[i], masks[i], names[i], message);
        if (status != MV_OK) return status;
    }
    if (r->bits < 32 && taken >> r->bits != 0)
        return mv_fail(MV_DAMAGED, message, "masks of more than %u bits", (unsigned)r->bits);
    r->is_bgr = masks[0] == 0xFF0000 && masks[1] == 0xFF00 && masks[2] == 0xFF && masks[3] == 0;
    return MV_OK;
}

// Reads the palette, and finds the pixels behind it. Indexes beyond the palette are black, as in Pillow.
static int read_palette(reader *r, uint32_t header, char *message) {
    size_t entry = header == 12 ? 3 : 4, most = r->bits <= 8 ? (size_t)1 << r->bits : 0;
    size_t count = r->colour_count == 0 ? most : r->colour_count;
    // A longer one than the pixels can name is harmless.
    if (most > 0 && count > 65536)
        return mv_fail(MV_DAMAGED, message, "a palette of %zu colours; expected 65536 at most", count);
    size_t pixels = four_bytes(r->data + 10);
    // Some writers give the end of the header although a palette follows.
    if (pixels == 0 || (pixels == FILE_HEADER + header && most > 0)) pixels = r->header_end + entry * count;
    if (pixels < r->header_end)
        return mv_fail(MV_DAMAGED, message, "pixels at byte %zu, inside the header that ends at %zu", pixels,
                       r->header_end);
    if (pixels > r->size) return fail_short(message);
    // Some palettes are shorter than the header says.
    size_t present = (pixels - r->header_end) / entry;
    if (count > present) count = present;
    if (count > most) count = most;
    const uint8_t *p = r->data + r->header_end;
    for (size_t i = 0; i < count; i++, p += entry)
        for (int c = 0; c < 3; c++) r->colours[i][c] = p[2 - c];
    r->pixels = r->data + pixels;
    r->pixels_size = r->size - pixels;
    return MV_OK;
}

// The padding after the last row is not needed.
static int check_size(reader *r, char *message) {
    uint64_t row = ((uint64_t)r->width * r->bits + 7) / 8;
    r->stride = (row + 3) / 4 * 4;
    if (row > r->pixels_size || (r->pixels_size - row) / r->stride < r->height - 1)
        return mv_fail_too_short(r->width, r->height, r->size, message);
    return MV_OK;
}

static int read_all_headers(reader *r, char *message) {
    if (r->size < FILE_HEADER + 4) return fail_short(message);
    uint32_t header = four_bytes(r->data + FILE_HEADER);
    if (!is_header_size(header))
        return mv_fail(MV_UNSUPPORTED, message, "a header of %u bytes; expected 12, 16 to 64, 108 or 124",
                       (unsigned)header);
    r->header_end = FILE_HEADER + header;
    if (r->header_end > r->size) return fail_short(message);
    int status = read_header(r, header, message);
    if (status == MV_OK && r->bits >= 16) status = read_masks(r, header, message);
    if (status == MV_OK) status = read_palette(r, header, message);
    r->is_rle = r->compression == RLE8 || r->compression == RLE4;
    if (status == MV_OK && !r->is_rle) status = check_size(r, message);
    return status;
}

static void close_picture(reader *r) {
    if (r == NULL) return;
    free(r->rle_rows);
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
    r->data = data, r->size = size;
    int status = read_all_headers(r, message);
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
    r->alpha = options->alpha;
    return r->is_rle ? mv_bmp_find_rle_rows(r, options->most_memory, message) : MV_OK;
}

static void convert_indexes(const reader *r, const uint8_t *in, uint8_t *out) {
    uint32_t bits = r->bits, mask = (1u << bits) - 1, left = 8;
    for (uint32_t x = 0; x < r->width; x++, out += 3) {
        left -= bits;
        memcpy(out, r->colours[*in >> left & mask], 3);
        if (left == 0) in++, left = 8;
    }
}

static uint8_t sample(const mv_bmp_channel *channel, uint32_t pixel) {
    uint32_t value = (pixel & channel->mask) >> channel->shift;
    // As in Pillow, rounded down: at most 1 less than the nearest.
    return channel->most <= 255 ? channel->scaled[value] : (uint8_t)((uint64_t)value * 255 / channel->most);
}

static void convert_pixels(const reader *r, const uint8_t *in, uint8_t *out) {
    const mv_bmp_channel *opacities = &r->channels[3];
    int has_alpha = opacities->mask != 0 && r->alpha != MV_ALPHA_IGNORE;
    uint32_t background = mv_background(r->alpha), step = r->bits / 8;
    for (uint32_t x = 0; x < r->width; x++, in += step, out += 3) {
        if (r->is_bgr && step >= 3) {
            out[0] = in[2], out[1] = in[1], out[2] = in[0];
            continue;
        }
        uint32_t pixel = two_bytes(in);
        if (step >= 3) pixel |= (uint32_t)in[2] << 16;
        if (step == 4) pixel |= (uint32_t)in[3] << 24;
        uint32_t opacity = has_alpha ? sample(opacities, pixel) : 255;
        for (int c = 0; c < 3; c++) {
            uint8_t colour = sample(&r->channels[c], pixel);
            out[c] = opacity == 255 ? colour : mv_composite(colour, opacity, background);
        }
    }
}

// Rows come from the top; most files have the lowest row first.
static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    for (uint32_t i = 0; i < rows; i++, rgb += (size_t)r->width * 3) {
        uint32_t row = r->is_top_down ? r->next_row : r->height - 1 - r->next_row;
        r->next_row++;
        if (r->is_rle) {
            int status = mv_bmp_read_rle_row(r, row, message);
            if (status != MV_OK) return status;
            for (uint32_t x = 0; x < r->width; x++) memcpy(rgb + (size_t)x * 3, r->colours[r->indexes[x]], 3);
            continue;
        }
        const uint8_t *in = r->pixels + r->stride * row;
        if (r->bits <= 8) convert_indexes(r, in, rgb);
        else convert_pixels(r, in, rgb);
    }
    return MV_OK;
}

const mv_codec mv_bmp_codec = {
    .name = "BMP",
    .package = NULL,
    .matches = matches,
    .open = open_picture,
    .start = start,
    .read_rows = read_rows,
    .finish = mv_finish_nothing,
    .close = close_picture,
};
