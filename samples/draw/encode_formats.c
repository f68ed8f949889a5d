// Pictures in formats other than PNG and JPEG, one kind of each.
#include "encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>
#include <tiffio.h>
#include <webp/encode.h>

// 8-bit pixels of 4 channels.
static unsigned char *bytes_of(const Image *im) {
    size_t count = (size_t)im->w * (size_t)im->h * 4;
    unsigned char *bytes = malloc(count);
    for (size_t i = 0; bytes != NULL && i < count; i++) bytes[i] = (unsigned char)(im->px[i] * 255 + 0.5f);
    return bytes;
}

static int write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return 0;
    int is_written = fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && is_written;
}

static int encode_webp(const unsigned char *rgba, const Image *im, const char *path) {
    uint8_t *data = NULL;
    size_t size = WebPEncodeRGBA(rgba, im->w, im->h, im->w * 4, 80, &data);
    int is_written = size > 0 && write_file(path, data, size);
    WebPFree(data);
    return is_written;
}

// Deflated tiles, as aerial images have them.
static int encode_tiff(const unsigned char *rgba, const Image *im, const char *path) {
    enum { SIDE = 64 };
    TIFF *tiff = TIFFOpen(path, "wl");
    if (tiff == NULL) return 0;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, im->w);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, im->h);
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, SIDE);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, SIDE);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    int is_written = 1;
    for (int top = 0; top < im->h; top += SIDE)
        for (int left = 0; left < im->w; left += SIDE) {
            unsigned char tile[SIDE * SIDE * 3] = {0};
            for (int y = 0; y < SIDE && top + y < im->h; y++)
                for (int x = 0; x < SIDE && left + x < im->w; x++)
                    memcpy(tile + (y * SIDE + x) * 3, rgba + ((size_t)(top + y) * im->w + left + x) * 4, 3);
            is_written &= TIFFWriteTile(tiff, tile, (uint32_t)left, (uint32_t)top, 0, 0) >= 0;
        }
    TIFFClose(tiff);
    return is_written;
}

static void put(unsigned char *p, unsigned value, int count) {
    for (int i = 0; i < count; i++) p[i] = (unsigned char)(value >> (8 * i));
}

// 24 bits, from the bottom row.
static int encode_bmp(const unsigned char *rgba, const Image *im, const char *path) {
    size_t row = ((size_t)im->w * 3 + 3) / 4 * 4, size = 54 + row * (size_t)im->h;
    unsigned char *data = calloc(1, size);
    if (data == NULL) return 0;
    memcpy(data, "BM", 2);
    put(data + 2, (unsigned)size, 4);
    put(data + 10, 54, 4);
    put(data + 14, 40, 4);
    put(data + 18, (unsigned)im->w, 4);
    put(data + 22, (unsigned)im->h, 4);
    put(data + 26, 1, 2);
    put(data + 28, 24, 2);
    put(data + 34, (unsigned)(row * (size_t)im->h), 4);
    for (int y = 0; y < im->h; y++)
        for (int x = 0; x < im->w; x++)
            for (int c = 0; c < 3; c++)
                data[54 + row * (size_t)(im->h - 1 - y) + (size_t)x * 3 + (size_t)c] =
                    rgba[((size_t)y * im->w + x) * 4 + 2 - (size_t)c];
    int is_written = write_file(path, data, size);
    free(data);
    return is_written;
}

static int encode_gif(const Image *im, const char *path) {
    unsigned char palette[256][4], *index = malloc((size_t)im->w * (size_t)im->h);
    if (index == NULL) return 0;
    int count = quantize(im, 256, palette, index), error;
    ColorMapObject *map = GifMakeMapObject(256, NULL);
    GifFileType *gif = EGifOpenFileName(path, 0, &error);
    int is_written = map != NULL && gif != NULL;
    for (int i = 0; i < count && map != NULL; i++)
        map->Colors[i] = (GifColorType){palette[i][0], palette[i][1], palette[i][2]};
    is_written = is_written && EGifPutScreenDesc(gif, im->w, im->h, 8, 0, map) == GIF_OK &&
                 EGifPutImageDesc(gif, 0, 0, im->w, im->h, 0, NULL) == GIF_OK;
    for (int y = 0; y < im->h && is_written; y++)
        is_written = EGifPutLine(gif, index + (size_t)y * im->w, im->w) == GIF_OK;
    if (gif != NULL) is_written &= EGifCloseFile(gif, &error) == GIF_OK;
    GifFreeMapObject(map);
    free(index);
    return is_written;
}

void encode_other(const Image *im, const char *path, Format format) {
    unsigned char *rgba = bytes_of(im);
    int is_written = rgba != NULL;
    if (is_written) {
        switch (format) {
        case WEBP: is_written = encode_webp(rgba, im, path); break;
        case TIFF_TILES: is_written = encode_tiff(rgba, im, path); break;
        case BMP: is_written = encode_bmp(rgba, im, path); break;
        default: is_written = encode_gif(im, path); break;
        }
    }
    free(rgba);
    if (is_written) return;
    fprintf(stderr, "draw: %s: cannot be written\n", path);
    exit(1);
}
