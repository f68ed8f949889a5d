#include "tiff.h"

#include <string.h>

static int matches(const uint8_t *data, size_t size) {
    static const char *const starts[] = {"II*\0", "MM\0*", "II+\0", "MM\0+"};
    for (int i = 0; i < 4; i++)
        if (size >= 8 && memcmp(data, starts[i], 4) == 0) return 1;
    return 0;
}

#ifdef MV_WITH_TIFF
#include <tiffio.h>
#endif

// Before libtiff 4.5 messages went to handlers of the process, and nothing bounded its memory.
#if defined(MV_WITH_TIFF) && TIFFLIB_VERSION >= 20221213

#include <stdio.h>
#include <stdlib.h>

// What libtiff takes for a file.
typedef struct {
    const uint8_t *data;
    uint64_t size, position;
} source;

struct mv_reader {
    source sources[MV_TIFF_PLANES];
    TIFF *files[MV_TIFF_PLANES];  // one for each plane that has strips, since a file reads the rows of one in order
    mv_tiff_directory first;
    uint64_t directory;  // the offset of another that is read instead; 0 for the first
    mv_tiff_layout layout;
    char fault[MV_MESSAGE_SIZE];  // the first message of a failure
    int is_faulty, alpha;
    uint32_t width, height, next;        // the size, and the next row
    uint32_t block_width, block_height;  // of a tile, or the rows that libtiff converts at once
    int is_tiled;
    size_t row_size;                     // of a row or of a tile's
    uint8_t *planes[MV_TIFF_PLANES];     // a row or a tile of each
    uint32_t *raster;                    // what libtiff converts
    uint8_t *band;  // a row of tiles, in RGB
};

typedef struct mv_reader reader;

static void keep(reader *r, const char *format, va_list arguments) {
    if (r->is_faulty) return;
    r->is_faulty = 1;
    vsnprintf(r->fault, sizeof r->fault, format, arguments);
}

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    keep(user, format, arguments);
    return 1;
}

// Whether pixels were made up although this is only a warning: fax lines of a wrong length, and damaged JPEG data.
static int is_harmful(const char *module, const char *text) {
    if (module == NULL) return 0;
    if (strncmp(module, "Fax", 3) == 0) return 1;
    if (strcmp(module, "JPEGLib") != 0) return 0;
    static const char *const harmless[] = {"Unknown Adobe", "Corrupt JPEG data: bad ICC", "Warning: unknown JFIF",
                                           "Invalid SOS parameters", "Application transferred"};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strncmp(text, harmless[i], strlen(harmless[i])) == 0) return 0;
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff;
    char text[MV_MESSAGE_SIZE];
    va_list copy;
    va_copy(copy, arguments);
    vsnprintf(text, sizeof text, format, copy);
    va_end(copy);
    if (is_harmful(module, text)) keep(user, format, arguments);
    return 1;
}

static tmsize_t read_source(thandle_t handle, void *out, tmsize_t count) {
    source *s = handle;
    if (count <= 0 || s->position >= s->size) return 0;
    uint64_t left = s->size - s->position, taken = (uint64_t)count < left ? (uint64_t)count : left;
    memcpy(out, s->data + s->position, taken);
    s->position += taken;
    return (tmsize_t)taken;
}

static tmsize_t write_source(thandle_t handle, void *data, tmsize_t count) {
    (void)handle, (void)data, (void)count;
    return -1;
}

static toff_t seek_source(thandle_t handle, toff_t offset, int whence) {
    source *s = handle;
    s->position = whence == SEEK_SET ? offset : whence == SEEK_CUR ? s->position + offset : s->size + offset;
    return s->position;
}

static int close_source(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t source_size(thandle_t handle) { return ((source *)handle)->size; }

// libtiff reads what is mapped in place, and does not change it.
static int map_source(thandle_t handle, void **base, toff_t *size) {
    *base = (void *)(uintptr_t)((source *)handle)->data;
    *size = ((source *)handle)->size;
    return 1;
}

static void unmap_source(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

static int fail(reader *r, const char *otherwise, char *message) {
    const char *text = r->is_faulty ? r->fault : otherwise;
    int is_memory = strstr(text, "memory") != NULL || strstr(text, "MaxSingleMemAlloc") != NULL;
    return mv_fail(is_memory ? MV_NO_MEMORY : MV_DAMAGED, message, "%s", text);
}

// Opens the data once more, for a plane. One strip stays one strip ("c").
static TIFF *open_file(reader *r, int plane, uint64_t most_memory) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL) return NULL;
    tmsize_t most = most_memory > INT64_MAX ? INT64_MAX : (tmsize_t)most_memory;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, most);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, r);
    r->sources[plane] = (source){r->sources[0].data, r->sources[0].size, 0};
    TIFF *file = TIFFClientOpenExt("TIFF", "rc", &r->sources[plane], read_source, write_source, seek_source,
                                   close_source, source_size, map_source, unmap_source, options);
    TIFFOpenOptionsFree(options);
    if (file == NULL || r->directory == 0 || TIFFSetSubDirectory(file, r->directory)) return file;
    TIFFClose(file);
    return NULL;
}

static void close_picture(reader *r) {
    if (r == NULL) return;
    for (int i = 0; i < MV_TIFF_PLANES; i++) {
        if (r->files[i] != NULL) TIFFClose(r->files[i]);
        free(r->planes[i]);
    }
    free(r->raster);
    free(r->band);
    free(r);
}

// Compares what libtiff writes to buffers with what it should, and with the limit.
static int find_blocks(reader *r, uint64_t most_memory, char *message) {
    TIFF *file = r->files[0];
    uint32_t rows = r->height;
    r->is_tiled = TIFFIsTiled(file);
    r->block_width = r->width;
    if (r->is_tiled) {
        TIFFGetField(file, TIFFTAG_TILEWIDTH, &r->block_width);
        TIFFGetField(file, TIFFTAG_TILELENGTH, &rows);
    } else if (r->layout.is_converted) {
        TIFFGetFieldDefaulted(file, TIFFTAG_ROWSPERSTRIP, &rows);
        if (rows > r->height) rows = r->height;
    }
    r->block_height = rows;
    if (r->block_width == 0 || rows == 0) return mv_fail(MV_DAMAGED, message, "tiles or strips of no size");
    uint64_t row = r->is_tiled ? TIFFTileRowSize64(file) : TIFFScanlineSize64(file);
    uint64_t block = r->is_tiled ? TIFFTileSize64(file) : r->layout.is_converted ? TIFFStripSize64(file) : row;
    uint64_t pixel = r->layout.is_converted ? 4 : r->is_tiled ? 3 : 0, band = r->width * (uint64_t)rows * pixel;
    uint64_t planes = (uint64_t)mv_tiff_planes(&r->layout);
    if (row == 0 || block == 0) return fail(r, "rows of no size", message);
    if (block > most_memory / planes || band > most_memory - block * planes)
        return mv_fail(MV_NO_MEMORY, message, "%s of %llu bytes", r->is_tiled ? "tiles" : "strips",
                       (unsigned long long)(block * planes > band ? block * planes : band));
    if (!r->layout.is_converted) {
        uint64_t expected = mv_tiff_row_size(&r->layout, r->block_width);
        if (row != expected || (r->is_tiled && block != expected * rows))
            return mv_fail(MV_UNSUPPORTED, message, "rows of %llu bytes instead of %llu", (unsigned long long)row,
                           (unsigned long long)expected);
    }
    r->row_size = (size_t)row;
    return MV_OK;
}

// How many bytes of pixels a byte of compressed data can be at most; 0 if there is no such limit.
static double expansion(TIFF *file) {
    uint16_t compression;
    TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &compression);
    switch (compression) {
    case COMPRESSION_NONE: return 1;
    case COMPRESSION_PACKBITS: return 64;
    case COMPRESSION_LZW: return 4096;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE: return 1032;
    default: return 0;
    }
}

static int read_header(reader *r, const mv_tiff_directory *directory, char *message) {
    if (!TIFFGetField(r->files[0], TIFFTAG_IMAGEWIDTH, &r->width) ||
        !TIFFGetField(r->files[0], TIFFTAG_IMAGELENGTH, &r->height) || r->width == 0 || r->height == 0)
        return fail(r, "no width or height", message);
    return mv_tiff_find_layout(r->files[0], directory, &r->layout, message);
}

// Whether a directory has a smaller copy of the picture, which is large enough.
static int is_copy(const reader *r, const mv_tiff_directory *d, const mv_options *options) {
    int64_t across = (int64_t)d->width * r->height, down = (int64_t)d->height * r->width;
    return d->is_reduced && d->width >= options->least_width && d->height >= options->least_height &&
           d->width < r->width && llabs(across - down) <= (int64_t)r->width + r->height;
}

// Turns to the smallest copy of the picture that the file has and that is large enough, among some directories.
static int find_copy(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    if (options->least_width == 0 || options->least_height == 0) return MV_OK;
    mv_tiff_directory d, best = {.width = r->width};
    uint64_t offset = r->first.next;
    for (uint32_t i = 0; i < 16 + r->first.sub_directory_count; i++) {
        if (i >= 16) offset = r->first.sub_directories[i - 16];
        if (offset == 0) continue;
        if (mv_tiff_read_directory(r->sources[0].data, (size_t)r->sources[0].size, offset, &d, message) != MV_OK)
            d = (mv_tiff_directory){0};
        if (d.width < best.width && is_copy(r, &d, options)) {
            best = d;
            r->directory = offset;
        }
        offset = d.next;
    }
    if (r->directory == 0) return MV_OK;
    if (!TIFFSetSubDirectory(r->files[0], r->directory)) return fail(r, "damaged directory", message);
    int status = read_header(r, &best, message);
    picture->width = r->width;
    picture->height = r->height;
    return status;
}

static int open_picture(const uint8_t *data, size_t size, const mv_options *options, reader **result,
                        mv_picture *picture, char *message) {
    *result = NULL;
    *picture = (mv_picture){.orientation = MV_NO_ORIENTATION};
    mv_tiff_directory first;
    int status = mv_tiff_read_directory(data, size, 0, &first, message);
    if (status != MV_OK) return status;
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) return mv_fail(MV_NO_MEMORY, message, "out of memory");
    r->first = first;
    r->sources[0] = (source){data, size, 0};
    r->files[0] = open_file(r, 0, options->most_memory);
    if (r->files[0] == NULL) status = fail(r, "damaged directory", message);
    else status = read_header(r, &first, message);
    if (status != MV_OK) {
        close_picture(r);
        return status;
    }
    double needed = (double)mv_tiff_row_size(&r->layout, r->width) * r->height * mv_tiff_planes(&r->layout);
    double most = expansion(r->files[0]) * (double)size;
    if (most > 0 && needed > most && !r->layout.is_converted) {
        status = mv_fail_too_short(r->width, r->height, size, message);
        close_picture(r);
        return status;
    }
    picture->width = r->width;
    picture->height = r->height;
    picture->orientation = first.orientation;
    picture->xmp = first.xmp;
    picture->xmp_size = first.xmp_size;
    *result = r;
    return MV_OK;
}

static int start(reader *r, const mv_options *options, mv_picture *picture, char *message) {
    r->alpha = options->alpha;
    int status = find_copy(r, options, picture, message);
    if (status == MV_OK) status = find_blocks(r, options->most_memory, message);
    if (status != MV_OK) return status;
    int planes = mv_tiff_planes(&r->layout);
    for (int i = 1; i < planes && !r->is_tiled && !r->layout.is_converted; i++) {
        r->files[i] = open_file(r, i, options->most_memory);
        if (r->files[i] == NULL) return fail(r, "out of memory", message);
    }
    size_t rows = r->is_tiled ? r->block_height : 1;
    for (int i = 0; i < planes && !r->layout.is_converted; i++)
        if ((r->planes[i] = malloc(r->row_size * rows)) == NULL) return fail(r, "out of memory", message);
    size_t pixels = (size_t)r->width * r->block_height;
    if (r->layout.is_converted) r->raster = malloc(pixels * sizeof *r->raster);
    else if (r->is_tiled) r->band = malloc(pixels * 3);
    if ((r->layout.is_converted && r->raster == NULL) || (r->is_tiled && !r->layout.is_converted && r->band == NULL))
        return fail(r, "out of memory", message);
    // What was wrong with tags and did not keep the file from being opened.
    r->is_faulty = 0;
    return MV_OK;
}

// Whether the library has failed; its warnings may say so when its result does not.
static int has_failed(const reader *r, int is_fine) { return !is_fine || r->is_faulty; }

static int read_strip_row(reader *r, uint8_t *rgb, char *message) {
    for (int i = 0; i < mv_tiff_planes(&r->layout); i++) {
        uint16_t sample = (uint16_t)(r->layout.opacity >= 0 && i == r->layout.colours ? r->layout.opacity : i);
        int status = TIFFReadScanline(r->files[i], r->planes[i], r->next, sample);
        if (has_failed(r, status == 1)) return fail(r, "premature end of data", message);
    }
    mv_tiff_convert(&r->layout, (const uint8_t *const *)r->planes, r->width, r->alpha, rgb);
    return MV_OK;
}

// Decodes the tiles of as many rows as one of them has.
static int read_tiles(reader *r, char *message) {
    uint32_t rows = r->height - r->next < r->block_height ? r->height - r->next : r->block_height;
    for (uint32_t x = 0; x < r->width; x += r->block_width) {
        for (int i = 0; i < mv_tiff_planes(&r->layout); i++) {
            uint16_t sample = (uint16_t)(r->layout.opacity >= 0 && i == r->layout.colours ? r->layout.opacity : i);
            tmsize_t count = TIFFReadTile(r->files[0], r->planes[i], x, r->next, 0, sample);
            if (has_failed(r, count >= 0 && (size_t)count == r->row_size * r->block_height))
                return fail(r, "premature end of data", message);
        }
        uint32_t columns = r->width - x < r->block_width ? r->width - x : r->block_width;
        for (size_t y = 0; y < rows; y++) {
            const uint8_t *planes[MV_TIFF_PLANES] = {0};
            for (int i = 0; i < mv_tiff_planes(&r->layout); i++) planes[i] = r->planes[i] + y * r->row_size;
            mv_tiff_convert(&r->layout, planes, columns, r->alpha, r->band + (y * r->width + x) * 3);
        }
        if (r->width - x <= r->block_width) break;
    }
    return MV_OK;
}

// Lets the library convert the rows of a strip or of tiles.
static int convert_rows(reader *r, char *message) {
    TIFFRGBAImage image;
    char text[1024] = "";
    uint32_t rows = r->height - r->next < r->block_height ? r->height - r->next : r->block_height;
    if (!TIFFRGBAImageOK(r->files[0], text) || !TIFFRGBAImageBegin(&image, r->files[0], 1, text))
        return mv_fail(MV_UNSUPPORTED, message, "%s", text);
    image.orientation = image.req_orientation = ORIENTATION_TOPLEFT;
    image.row_offset = (int)r->next;
    image.col_offset = 0;
    int is_fine = TIFFRGBAImageGet(&image, r->raster, r->width, rows);
    TIFFRGBAImageEnd(&image);
    return has_failed(r, is_fine) ? fail(r, "premature end of data", message) : MV_OK;
}

static int read_rows(reader *r, uint8_t *rgb, uint32_t rows, char *message) {
    for (uint32_t end = r->next + rows; r->next < end; r->next++, rgb += (size_t)r->width * 3) {
        uint32_t row = r->next % r->block_height;
        int status = MV_OK;
        if (!r->is_tiled && !r->layout.is_converted) status = read_strip_row(r, rgb, message);
        else if (row == 0) status = r->layout.is_converted ? convert_rows(r, message) : read_tiles(r, message);
        if (status != MV_OK) return status;
        if (r->layout.is_converted) {
            const uint32_t *in = r->raster + (size_t)row * r->width;
            for (uint32_t x = 0; x < r->width; x++) {
                rgb[3 * x] = (uint8_t)TIFFGetR(in[x]);
                rgb[3 * x + 1] = (uint8_t)TIFFGetG(in[x]);
                rgb[3 * x + 2] = (uint8_t)TIFFGetB(in[x]);
            }
        } else if (r->is_tiled) {
            memcpy(rgb, r->band + (size_t)row * r->width * 3, (size_t)r->width * 3);
        }
    }
    return MV_OK;
}

static int finish(reader *r, char *message) { return r->is_faulty ? fail(r, "damaged", message) : MV_OK; }

const mv_codec mv_tiff_codec = {.name = "TIFF",
                                .package = "libtiff-dev",
                                .matches = matches,
                                .open = open_picture,
                                .start = start,
                                .read_rows = read_rows,
                                .finish = finish,
                                .close = close_picture};

#else

const mv_codec mv_tiff_codec = {.name = "TIFF", .package = "libtiff-dev", .matches = matches};

#endif
