#include "encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h> // needs stdio.h before it
#include <png.h>

static void fail(const char *path, const char *why) {
    fprintf(stderr, "draw: %s: %s\n", path, why);
    exit(1);
}

static void *must_alloc(size_t n) {
    void *p = calloc(1, n);
    if (!p) fail("encode", "out of memory");
    return p;
}

// Channel `ch` of a pixel over white, and its gray value.
static double over_white(const float *q, int ch) { return q[ch] * q[3] + (1 - q[3]); }
static double luma(double r, double g, double b) { return 0.299 * r + 0.587 * g + 0.114 * b; }
static double gray_over_white(const float *q) {
    return luma(over_white(q, 0), over_white(q, 1), over_white(q, 2));
}
static unsigned byte_of(double v) { return (unsigned)(v * 255 + 0.5); }

// ---- PNG ----

static void put16(unsigned char *p, double v) {
    unsigned n = (unsigned)(v * 65535 + 0.5);
    p[0] = (unsigned char)(n >> 8);
    p[1] = (unsigned char)n;
}

// Floyd-Steinberg: the error of every pixel goes to its right and lower neighbours.
static void dither(const Image *im, unsigned char *bits, size_t row) {
    double *g = must_alloc((size_t)im->w * im->h * sizeof *g);
    for (int i = 0; i < im->w * im->h; i++) g[i] = gray_over_white(im->px + (size_t)i * 4);
    for (int y = 0; y < im->h; y++)
        for (int x = 0; x < im->w; x++) {
            size_t i = (size_t)y * im->w + x;
            int white = g[i] >= 0.5;
            double error = g[i] - white;
            if (white) bits[y * row + x / 8] |= (unsigned char)(0x80 >> x % 8);
            if (x + 1 < im->w) g[i + 1] += error * 7 / 16;
            if (y + 1 == im->h) continue;
            if (x > 0) g[i + im->w - 1] += error * 3 / 16;
            g[i + im->w] += error * 5 / 16;
            if (x + 1 < im->w) g[i + im->w + 1] += error / 16;
        }
    free(g);
}

static void png_pixel(const float *q, Format format, unsigned char *p) {
    switch (format) {
    case PNG_RGB16: for (int ch = 0; ch < 3; ch++) put16(p + 2 * ch, over_white(q, ch)); break;
    case PNG_RGBA8: for (int ch = 0; ch < 4; ch++) p[ch] = (unsigned char)byte_of(q[ch]); break;
    case PNG_GRAY8: p[0] = (unsigned char)byte_of(gray_over_white(q)); break;
    case PNG_GRAY16: put16(p, gray_over_white(q)); break;
    case PNG_GRAY_ALPHA:
        p[0] = (unsigned char)byte_of(luma(q[0], q[1], q[2]));
        p[1] = (unsigned char)byte_of(q[3]);
        break;
    default: for (int ch = 0; ch < 3; ch++) p[ch] = (unsigned char)byte_of(over_white(q, ch)); break;
    }
}

static void png_palette(png_structp png, png_infop info, const Image *im, int alpha, unsigned char *index) {
    unsigned char palette[256][4];
    png_color colors[256];
    png_byte trans[256];
    int n = quantize(im, 256, palette, index);
    for (int i = 0; i < n; i++) {
        colors[i] = (png_color){palette[i][0], palette[i][1], palette[i][2]};
        trans[i] = palette[i][3];
    }
    png_set_PLTE(png, info, colors, n);
    if (alpha) png_set_tRNS(png, info, trans, n, NULL);
}

static void png_failed(png_structp png, png_const_charp why) { fail(png_get_error_ptr(png), why); }

static void encode_png(const Image *im, const char *path, Format format, FILE *file) {
    static const struct { int depth, type, bytes; } kind[] = {
        [PNG_RGB8] = {8, PNG_COLOR_TYPE_RGB, 3}, [PNG_RGB16] = {16, PNG_COLOR_TYPE_RGB, 6},
        [PNG_RGBA8] = {8, PNG_COLOR_TYPE_RGBA, 4}, [PNG_INTERLACED] = {8, PNG_COLOR_TYPE_RGB, 3},
        [PNG_GRAY8] = {8, PNG_COLOR_TYPE_GRAY, 1}, [PNG_GRAY16] = {16, PNG_COLOR_TYPE_GRAY, 2},
        [PNG_GRAY_ALPHA] = {8, PNG_COLOR_TYPE_GRAY_ALPHA, 2}, [PNG_BILEVEL] = {1, PNG_COLOR_TYPE_GRAY, 1},
        [PNG_PALETTE] = {8, PNG_COLOR_TYPE_PALETTE, 1}, [PNG_PALETTE_ALPHA] = {8, PNG_COLOR_TYPE_PALETTE, 1},
    };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, (png_voidp)path, png_failed, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) fail(path, "out of memory");
    size_t row = (size_t)im->w * (size_t)kind[format].bytes;
    unsigned char *data = must_alloc(row * (size_t)im->h);
    png_bytep *rows = must_alloc((size_t)im->h * sizeof *rows);
    png_init_io(png, file);
    png_set_compression_level(png, 9);
    png_set_IHDR(png, info, (png_uint_32)im->w, (png_uint_32)im->h, kind[format].depth, kind[format].type,
                 format == PNG_INTERLACED ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (format == PNG_PALETTE || format == PNG_PALETTE_ALPHA)
        png_palette(png, info, im, format == PNG_PALETTE_ALPHA, data);
    else if (format == PNG_BILEVEL)
        dither(im, data, row);
    else
        for (int i = 0; i < im->w * im->h; i++)
            png_pixel(im->px + (size_t)i * 4, format, data + (size_t)i * (size_t)kind[format].bytes);
    for (int y = 0; y < im->h; y++) rows[y] = data + (size_t)y * row;
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(rows);
    free(data);
}

// ---- JPEG ----

// Where the stored pixel (x, y) of a w x h file lies in the upright picture.
static const float *stored_pixel(const Image *im, int orientation, int w, int h, int x, int y) {
    int mirror = orientation == 2 || orientation == 4 || orientation == 5 || orientation == 7, u = x, v = y;
    switch (orientation) {
    case 3: case 4: u = w - 1 - x; v = h - 1 - y; break;
    case 5: case 6: u = h - 1 - y; v = x; break;
    case 7: case 8: u = y; v = w - 1 - x; break;
    default: break;
    }
    if (mirror) u = im->w - 1 - u;
    return im->px + ((size_t)v * im->w + u) * 4;
}

// The smallest EXIF block that carries an orientation: a TIFF header and one directory with one entry.
static void write_exif(j_compress_ptr jpeg, int orientation) {
    const JOCTET block[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                            0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, (JOCTET)orientation, 0, 0, 0, 0, 0, 0};
    jpeg_write_marker(jpeg, JPEG_APP0 + 1, block, sizeof block);
}

static void jpeg_pixel(const float *q, Format format, JSAMPLE *p) {
    double c[3] = {over_white(q, 0), over_white(q, 1), over_white(q, 2)};
    if (format == JPEG_GRAY) {
        p[0] = (JSAMPLE)byte_of(luma(c[0], c[1], c[2]));
    } else if (format == JPEG_CMYK) {
        double white = c[0] > c[1] ? c[0] : c[1];
        if (c[2] > white) white = c[2];
        // Inverted: 255 means no ink, so C, M and Y are the colour relative to its own white, and K that white.
        for (int ch = 0; ch < 3; ch++) p[ch] = (JSAMPLE)byte_of(white > 0 ? c[ch] / white : 1);
        p[3] = (JSAMPLE)byte_of(white);
    } else {
        for (int ch = 0; ch < 3; ch++) p[ch] = (JSAMPLE)byte_of(c[ch]);
    }
}

static void encode_jpeg(const Image *im, Format format, int orientation, FILE *file) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    int turned = orientation >= 5, w = turned ? im->h : im->w, h = turned ? im->w : im->h;
    jpeg.image_width = (JDIMENSION)w;
    jpeg.image_height = (JDIMENSION)h;
    jpeg.input_components = format == JPEG_GRAY ? 1 : format == JPEG_CMYK ? 4 : 3;
    jpeg.in_color_space = format == JPEG_GRAY ? JCS_GRAYSCALE : format == JPEG_CMYK ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&jpeg); // 4:2:0 for colour; an Adobe marker for CMYK
    jpeg_set_quality(&jpeg, 88, TRUE);
    jpeg.dct_method = JDCT_ISLOW;
    jpeg.optimize_coding = TRUE;
    if (format == JPEG_444) jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
    if (format == JPEG_PROGRESSIVE) jpeg_simple_progression(&jpeg);
    if (orientation != 1) jpeg.write_JFIF_header = FALSE; // as cameras do: EXIF comes first
    jpeg_start_compress(&jpeg, TRUE);
    if (orientation != 1) write_exif(&jpeg, orientation);
    JSAMPLE *line = must_alloc((size_t)w * 4);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++)
            jpeg_pixel(stored_pixel(im, orientation, w, h, x, y), format,
                       line + (size_t)x * (size_t)jpeg.input_components);
        jpeg_write_scanlines(&jpeg, &line, 1);
    }
    free(line);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}

void encode(const Image *im, const char *path, Format format, int orientation) {
    FILE *file = fopen(path, "wb");
    if (!file) fail(path, strerror(errno));
    if (format >= JPEG_420) encode_jpeg(im, format, orientation, file);
    else encode_png(im, path, format, file);
    if (fclose(file) != 0) fail(path, strerror(errno));
}
