#include "codecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// Progressive files describe one picture in many scans; a hostile one asks for the whole picture to be revisited
// thousands of times. Encoders write about ten scans.
#define MAXIMUM_SCANS 500
#define MAXIMUM_SCANNED_PIXELS 5e9

struct mv_reader {
    struct jpeg_error_mgr errors;  // first, so that the library's pointer to it is a pointer to this
    const uint8_t *data;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf jump;
    char *message;
    int status;
    unsigned scanned_components;
    int has_header, is_cut;
    size_t checked;  // left-over bytes before this offset have been counted
    JSAMPARRAY scratch;  // a row as stored, where that is not RGB
};

typedef struct mv_reader reader;

static void fail(j_common_ptr jpeg, int status, const char *text) {
    reader *r = (reader *)jpeg->err;
    snprintf(r->message, MV_MESSAGE_SIZE, "%s", text);
    r->status = status;
    longjmp(r->jump, 1);
}

static void fail_with_library_message(j_common_ptr jpeg) {
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    static const char prefix[] = "Corrupt JPEG data: ";
    size_t skip = strncmp(text, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    int status = MV_DAMAGED;
    switch (jpeg->err->msg_code) {
    case JERR_OUT_OF_MEMORY: status = MV_NO_MEMORY; break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED: status = MV_UNSUPPORTED; break;
    }
    fail(jpeg, status, text + skip);
}

// The number of bytes before `place` that are zeros or all ones.
static size_t padding_before(const uint8_t *place, const uint8_t *start) {
    const uint8_t *p = place;
    while (p > start && (p[-1] == 0 || p[-1] == 0xFF)) p--;
    return (size_t)(place - p);
}

// Whether the bytes left over before a restart marker can be padding. The library has read the marker, but may not have
// recorded it yet; and its count includes bytes that it had read ahead and skipped silently at earlier restart markers.
static int is_padding(reader *r, int count, int marker) {
    const uint8_t *place = r->source.next_input_byte, *start = r->data + r->checked;
    if (place - start >= 2 && place[-1] == marker && place[-2] == 0xFF) place -= 2;
    size_t padding = padding_before(place, start);
    r->checked = (size_t)(place - r->data);
    for (const uint8_t *p = place - 2; padding < (size_t)count && p >= start; p--) {
        if (p[0] != 0xFF || p[1] == 0) continue;
        if (p[1] == 0xDA) break;
        if (p[1] < 0xD0 || p[1] > 0xD7) continue;
        size_t earlier = padding_before(p, start);
        // The last byte of the interval may itself be all ones, which is written as FF 00.
        int is_stuffed = earlier >= 2 && p[-(ptrdiff_t)earlier] == 0xFF && p[1 - (ptrdiff_t)earlier] == 0;
        padding += is_stuffed ? earlier - 2 : earlier;
    }
    return padding >= (size_t)count;
}

// Warnings that leave every pixel as encoded are ignored; the others mean that the library invented pixels.
static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA: return;
    case JWRN_EXTRANEOUS_DATA: {
        // Data left over before a restart marker means that the interval was misread, unless it is padding.
        int count = jpeg->err->msg_parm.i[0], marker = jpeg->err->msg_parm.i[1];
        if (marker < 0xD0 || marker > 0xD7 || is_padding((reader *)jpeg->err, count, marker)) return;
    }
    }
    if (jpeg->err->msg_code == JWRN_HIT_MARKER && ((reader *)jpeg->err)->is_cut)
        fail(jpeg, MV_DAMAGED, "premature end of data");
    fail_with_library_message(jpeg);
}

static void on_output(j_common_ptr jpeg) { (void)jpeg; }
static void on_source_event(j_decompress_ptr jpeg) { (void)jpeg; }

static void fail_at_end(j_decompress_ptr jpeg) { fail((j_common_ptr)jpeg, MV_DAMAGED, "premature end of data"); }

// Supplies an end marker where the data ends without one. If bits of a pixel are missing, the library warns, which is
// an error; mv_jpeg_finish checks for missing scans. The arithmetic decoder does not warn.
static boolean on_empty(j_decompress_ptr jpeg) {
    static const uint8_t end_marker[2] = {0xFF, JPEG_EOI};
    reader *r = (reader *)jpeg->err;
    if (!r->has_header || jpeg->arith_code) fail_at_end(jpeg);
    r->is_cut = 1;
    jpeg->src->next_input_byte = end_marker;
    jpeg->src->bytes_in_buffer = sizeof end_marker;
    return TRUE;
}

static void on_skip(j_decompress_ptr jpeg, long count) {
    if (count <= 0) return;
    if ((size_t)count > jpeg->src->bytes_in_buffer) fail_at_end(jpeg);
    jpeg->src->next_input_byte += count;
    jpeg->src->bytes_in_buffer -= (size_t)count;
}

static void on_progress(j_common_ptr common) {
    reader *r = (reader *)common->err;
    if (!common->is_decompressor) return;
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    for (int i = 0; i < jpeg->comps_in_scan; i++)
        r->scanned_components |= 1u << jpeg->cur_comp_info[i]->component_index;
    double pixels = (double)jpeg->image_width * jpeg->image_height;
    if (jpeg->input_scan_number > MAXIMUM_SCANS ||
        jpeg->input_scan_number * pixels > MAXIMUM_SCANNED_PIXELS + 20 * pixels)
        fail(common, MV_UNSUPPORTED, "too many scans");
}

// Called after setjmp, since creating the decompressor can already fail.
static void open_reader(reader *r, const uint8_t *data, size_t size) {
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = fail_with_library_message;
    r->errors.emit_message = on_message;
    r->errors.output_message = on_output;
    jpeg_create_decompress(&r->jpeg);
    r->source = (struct jpeg_source_mgr){.next_input_byte = data,
                                         .bytes_in_buffer = size,
                                         .init_source = on_source_event,
                                         .fill_input_buffer = on_empty,
                                         .skip_input_data = on_skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = on_source_event};
    r->data = data;
    r->jpeg.src = &r->source;
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    jpeg_read_header(&r->jpeg, TRUE);
    r->has_header = 1;
}

static void close_picture(reader *r) {
    if (r == NULL) return;
    jpeg_destroy_decompress(&r->jpeg);
    free(r);
}

static int matches(const uint8_t *data, size_t size) { return size >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0; }

// Each call that can fail has its own setjmp, so that no jump crosses a function.
static int open_picture(const uint8_t *data, size_t size, const mv_options *options, reader **result,
                        mv_picture *picture, char *message) {
    (void)options;
    *result = NULL;
    *picture = (mv_picture){.orientation = MV_NO_ORIENTATION};
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    r->message = message;
    if (setjmp(r->jump) == 0) {
        open_reader(r, data, size);
        // Each 8 x 8 block takes one bit or more, unless it is arithmetically coded.
        double blocks = 0;
        for (int i = 0; i < r->jpeg.num_components; i++)
            blocks += (double)r->jpeg.comp_info[i].width_in_blocks * r->jpeg.comp_info[i].height_in_blocks;
        picture->width = r->jpeg.image_width;
        picture->height = r->jpeg.image_height;
        if (!r->jpeg.arith_code && blocks > 8.0 * (double)size)
            r->status = mv_fail_too_short(picture->width, picture->height, size, message);
    }
    int status = r->status;
    if (status == MV_OK) *result = r;
    else close_picture(r);
    return status;
}

// CMYK as Adobe stores it, inverted: each sample is 255 minus the ink. As in Pillow, k - round((255 - c) * k / 255).
static void convert_cmyk(const uint8_t *in, uint8_t *out, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, in += 4, out += 3) {
        uint32_t k = in[3];
        for (int c = 0; c < 3; c++) {
            uint32_t t = (255u - in[c]) * k + 128;
            out[c] = (uint8_t)(k - (((t >> 8) + t) >> 8));
        }
    }
}

// The largest of 8, 4, 2 and 1 by which the size can be divided without falling below the least.
static unsigned denominator(const struct jpeg_decompress_struct *jpeg, const mv_options *options) {
    uint64_t width = options->least_width, height = options->least_height;
    if (width == 0 || height == 0) return 1;
    for (unsigned by = 8; by > 1; by /= 2)
        if (jpeg->image_width >= width * by && jpeg->image_height >= height * by) return by;
    return 1;
}

// Decodes at 1/2, 1/4 or 1/8 of the size, if asked for, only the lowest frequencies of each block, which is several
// times faster.
static int start(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    j_common_ptr common = (j_common_ptr)jpeg;
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    switch (jpeg->num_components) {
    case 1: jpeg->out_color_space = JCS_GRAYSCALE; break;
    case 3: jpeg->out_color_space = JCS_RGB; break;
    case 4: jpeg->out_color_space = JCS_CMYK; break;
    default: fail(common, MV_UNSUPPORTED, "number of components other than 1, 3 and 4");
    }
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    jpeg->scale_num = 1;
    jpeg->scale_denom = denominator(jpeg, options);
    jpeg_start_decompress(jpeg);
    picture->width = jpeg->output_width;
    picture->height = jpeg->output_height;
    if (jpeg->num_components != 3)
        r->scratch = jpeg->mem->alloc_sarray(
            common, JPOOL_IMAGE, jpeg->output_width * (JDIMENSION)jpeg->output_components, 1);
    return MV_OK;
}

static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    uint32_t width = jpeg->output_width;
    for (uint32_t y = 0; y < rows; y++) {
        uint8_t *out = rgb + (size_t)y * width * 3;
        JSAMPROW row = r->scratch == NULL ? out : r->scratch[0];
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1) fail((j_common_ptr)jpeg, MV_DAMAGED, "premature end of data");
        if (jpeg->num_components == 4) convert_cmyk(row, out, width);
        if (jpeg->num_components == 1)
            for (uint32_t x = 0; x < width; x++) out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = row[x];
    }
    return MV_OK;
}

// Whether every coefficient of a progressive picture has its last bit, so that no scan can be missing.
static int has_every_bit(const struct jpeg_decompress_struct *jpeg) {
    if (!jpeg->progressive_mode) return 1;
    for (int component = 0; component < jpeg->num_components; component++)
        for (int i = 0; i < DCTSIZE2; i++)
            if (jpeg->coef_bits[component][i] != 0) return 0;
    return 1;
}

static int finish(reader *r, char *message) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    r->message = message;
    if (setjmp(r->jump) != 0) return r->status;
    on_progress((j_common_ptr)jpeg);
    if (r->scanned_components != (1u << jpeg->num_components) - 1)
        fail((j_common_ptr)jpeg, MV_DAMAGED, "a colour component is missing");
    // After a single scan the picture is complete, whatever follows.
    if (!jpeg_has_multiple_scans(jpeg) && !jpeg->arith_code) return MV_OK;
    if (r->is_cut && !has_every_bit(jpeg)) fail_at_end(jpeg);
    jpeg_finish_decompress(jpeg);
    return MV_OK;
}

const mv_codec mv_jpeg_codec = {.name = "JPEG",
                                .package = "libjpeg-dev",
                                .matches = matches,
                                .open = open_picture,
                                .start = start,
                                .read_rows = read_rows,
                                .finish = finish,
                                .close = close_picture};
