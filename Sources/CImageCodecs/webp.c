#include "codecs.h"

#include <string.h>

static int matches(const uint8_t *data, size_t size) {
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

#ifdef MV_WITH_WEBP

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <webp/decode.h>
#include <webp/demux.h>

// libwebp decodes to a buffer of the whole picture. Data is given to it in steps, and the pages of rows that have been
// read are given back to the system, so that memory holds a few rows of it. A picture of a single step is decoded at
// once, which takes a fifth less time at 64 x 64.
#define STEP_SIZE ((size_t)1 << 20)

struct mv_reader {
    const uint8_t *data;  // the chunks of the picture, or of the first frame
    size_t size, given, step;
    uint32_t left, top, width, height;  // the place of the frame, whose size may be that of a fraction
    uint32_t canvas, next;              // the width of the canvas, and the next of its rows
    int alpha, has_alpha, is_done;
    WebPDecoderConfig config;
    WebPIDecoder *decoder;
    uint8_t *pixels;
    size_t pixel_size, stride, reserved, released;
    uint32_t ready;  // rows that have been decoded
};

typedef struct mv_reader reader;

static int is_single_step(const reader *r) { return r->reserved <= STEP_SIZE; }

static void close_picture(reader *r) {
    if (r == NULL) return;
    WebPIDelete(r->decoder);
    if (is_single_step(r)) free(r->pixels);
    else if (r->pixels != NULL) munmap(r->pixels, r->reserved);
    free(r);
}

static int cut(char *message) { return mv_fail(MV_DAMAGED, message, "premature end of data"); }

// The first frame, and where it lies on the canvas.
static int find_frame(reader *r, WebPDemuxer *demuxer, mv_picture *picture, char *message) {
    picture->width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    picture->height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) return cut(message);
    r->data = frame.fragment.bytes;
    r->size = frame.fragment.size;
    int64_t left = frame.x_offset, top = frame.y_offset, width = frame.width, height = frame.height;
    WebPDemuxReleaseIterator(&frame);
    if (r->size == 0) return cut(message);
    if (width <= 0 || height <= 0 || left < 0 || top < 0 || left + width > picture->width ||
        top + height > picture->height)
        return mv_fail(MV_DAMAGED, message, "a frame outside the canvas");
    r->left = (uint32_t)left, r->top = (uint32_t)top, r->width = (uint32_t)width, r->height = (uint32_t)height;
    return MV_OK;
}

// The first chunk of a name: its content lies within the file's data.
static const uint8_t *find_chunk(WebPDemuxer *demuxer, const char *name, size_t *size) {
    WebPChunkIterator chunk;
    *size = 0;
    if (!WebPDemuxGetChunk(demuxer, name, 1, &chunk)) return NULL;
    const uint8_t *content = chunk.chunk.bytes;
    *size = chunk.chunk.size;
    WebPDemuxReleaseChunkIterator(&chunk);
    return content;
}

static int open_picture(const uint8_t *data, size_t size, const mv_options *options, reader **result,
                        mv_picture *picture, char *message) {
    (void)options;
    *result = NULL;
    *picture = (mv_picture){.orientation = MV_NO_ORIENTATION};
    WebPDemuxState state;
    WebPDemuxer *demuxer = WebPDemuxPartial(&(WebPData){data, size}, &state);
    if (demuxer == NULL)
        return state == WEBP_DEMUX_PARSE_ERROR ? mv_fail(MV_DAMAGED, message, "the chunks contradict each other")
                                               : cut(message);
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        WebPDemuxDelete(demuxer);
        return mv_fail(MV_NO_MEMORY, message, "out of memory");
    }
    int status = find_frame(r, demuxer, picture, message);
    picture->exif = find_chunk(demuxer, "EXIF", &picture->exif_size);
    picture->xmp = find_chunk(demuxer, "XMP ", &picture->xmp_size);
    // The orientation is behind the pixels: a file that promises it may have been cut before it.
    uint32_t flags = WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS);
    int is_missing = (flags & EXIF_FLAG && picture->exif == NULL) || (flags & XMP_FLAG && picture->xmp == NULL);
    if (status == MV_OK && state != WEBP_DEMUX_DONE && is_missing) status = cut(message);
    WebPDemuxDelete(demuxer);
    // Whether opacity counts is said in the header, if there is one, and not by the frame.
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(data, size, &features);
    if (status == MV_OK && code != VP8_STATUS_OK)
        status = code == VP8_STATUS_NOT_ENOUGH_DATA ? cut(message) : mv_fail(MV_DAMAGED, message, "damaged header");
    if (status != MV_OK) {
        close_picture(r);
        return status;
    }
    r->has_alpha = features.has_alpha;
    r->canvas = picture->width;
    *result = r;
    return MV_OK;
}

// Scales down by 2, 4 or 8 if the result is not below the least size.
static void scale(reader *r, const mv_options *options, mv_picture *picture) {
    uint64_t width = options->least_width, height = options->least_height;
    if (width == 0 || height == 0 || r->width != picture->width || r->height != picture->height) return;
    for (unsigned by = 8; by > 1; by /= 2) {
        if (r->width < width * by || r->height < height * by) continue;
        r->canvas = picture->width = r->width = (r->width + by - 1) / by;
        picture->height = r->height = (r->height + by - 1) / by;
        r->config.options.use_scaling = 1;
        r->config.options.scaled_width = (int)r->width;
        r->config.options.scaled_height = (int)r->height;
        return;
    }
}

static int start(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    if (!WebPInitDecoderConfig(&r->config))
        return mv_fail(MV_UNSUPPORTED, message, "libwebp of another version than its header");
    scale(r, options, picture);
    r->alpha = options->alpha;
    r->pixel_size = r->has_alpha ? 4 : 3;
    r->stride = r->width * r->pixel_size;
    r->reserved = r->stride * r->height;
    if (r->reserved > options->most_memory) return mv_fail(MV_NO_MEMORY, message, "more memory than allowed");
    void *pixels = is_single_step(r) ? malloc(r->reserved)
                                     : mmap(NULL, r->reserved, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pixels == NULL || pixels == MAP_FAILED) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    r->pixels = pixels;
    WebPDecBuffer *output = &r->config.output;
    output->colorspace = r->has_alpha ? MODE_RGBA : MODE_RGB;
    output->is_external_memory = 1;
    output->u.RGBA = (WebPRGBABuffer){.rgba = r->pixels, .stride = (int)r->stride, .size = r->reserved};
    if (is_single_step(r)) return MV_OK;
    size_t rows = STEP_SIZE / r->stride + 1;
    r->step = (size_t)((double)r->size * (double)rows / r->height) + 1;
    r->decoder = WebPIDecode(NULL, 0, &r->config);
    return r->decoder == NULL ? mv_fail(MV_NO_MEMORY, message, "out of memory") : MV_OK;
}

// Gives the decoder more data.
static int advance(reader *r, char *message) {
    if (r->given == r->size) return cut(message);
    VP8StatusCode status;
    if (is_single_step(r)) {
        r->given = r->size;
        status = WebPDecode(r->data, r->size, &r->config);
    } else {
        r->given = r->step < r->size - r->given ? r->given + r->step : r->size;
        status = WebPIUpdate(r->decoder, r->data, r->given);
    }
    switch (status) {
    case VP8_STATUS_OK: r->is_done = 1; break;
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: break;
    case VP8_STATUS_OUT_OF_MEMORY: return mv_fail(MV_NO_MEMORY, message, "out of memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE: return mv_fail(MV_UNSUPPORTED, message, "a feature that libwebp lacks");
    default: return mv_fail(MV_DAMAGED, message, "damaged pixels");
    }
    int ready = 0;
    if (r->decoder != NULL && WebPIDecGetRGB(r->decoder, &ready, NULL, NULL, NULL) != NULL) r->ready = (uint32_t)ready;
    if (r->is_done) r->ready = r->height;
    return MV_OK;
}

// Gives back the pages before a row.
static void release(reader *r, uint32_t row) {
    if (is_single_step(r)) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), end = row * r->stride / page * page;
    if (end < r->released + STEP_SIZE) return;
    madvise(r->pixels + r->released, end - r->released, MADV_DONTNEED);
    r->released = end;
}

// What no frame covers is transparent, or black in a file without opacity.
static void fill(reader *r, uint8_t *rgb, uint32_t count) {
    memset(rgb, r->has_alpha && r->alpha == MV_ALPHA_WHITE ? 255 : 0, (size_t)count * 3);
}

static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    for (uint32_t end = r->next + rows; r->next < end; r->next++, rgb += (size_t)r->canvas * 3) {
        if (r->next < r->top || r->next >= r->top + r->height) {
            fill(r, rgb, r->canvas);
            continue;
        }
        uint32_t row = r->next - r->top, right = r->left + r->width;
        while (r->ready <= row) {
            int status = advance(r, message);
            if (status != MV_OK) return status;
        }
        const uint8_t *in = r->pixels + row * r->stride;
        fill(r, rgb, r->left);
        if (r->has_alpha) mv_write_rgba(in, r->width, r->alpha, rgb + (size_t)r->left * 3);
        else memcpy(rgb + (size_t)r->left * 3, in, (size_t)r->width * 3);
        fill(r, rgb + (size_t)right * 3, r->canvas - right);
        release(r, row);
    }
    return MV_OK;
}

static int finish(reader *r, char *message) {
    while (!r->is_done) {
        int status = advance(r, message);
        if (status != MV_OK) return status;
    }
    return MV_OK;
}

const mv_codec mv_webp_codec = {.name = "WebP",
                                .package = "libwebp-dev",
                                .matches = matches,
                                .open = open_picture,
                                .start = start,
                                .read_rows = read_rows,
                                .finish = finish,
                                .close = close_picture};

#else

const mv_codec mv_webp_codec = {.name = "WebP", .package = "libwebp-dev", .matches = matches};

#endif
