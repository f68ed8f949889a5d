#include "CCodecLimits.h"

#include <stdlib.h>
#include <string.h>

// Libraries that may be missing: their formats are then not measured. Package.swift of the folder above links them.

#if __has_include(<webp/decode.h>)
#include <webp/decode.h>
#include <webp/encode.h>

int mv_webp_limit(const uint8_t *data, size_t size) {
    int width, height;
    if (!WebPGetInfo(data, size, &width, &height)) return -1;
    size_t bytes = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(bytes);
    int is_decoded = rgb != NULL && WebPDecodeRGBInto(data, size, rgb, bytes, width * 3) != NULL;
    free(rgb);
    return is_decoded ? 0 : -1;
}

size_t mv_webp_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    uint8_t *encoded = NULL;
    size_t size = WebPEncodeRGB(rgb, (int)width, (int)height, (int)width * 3, 80, &encoded);
    if (size > capacity) size = 0;
    if (size > 0) memcpy(data, encoded, size);
    WebPFree(encoded);
    return size;
}
#else
int mv_webp_limit(const uint8_t *data, size_t size) { return (void)data, (void)size, -1; }
size_t mv_webp_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    return (void)rgb, (void)width, (void)height, (void)data, (void)capacity, 0;
}
#endif

#if __has_include(<tiffio.h>)
#include <stdio.h>
#include <tiffio.h>

// A file in memory.
typedef struct {
    uint8_t *data;
    size_t size, capacity, position;
} memory;

static tmsize_t on_read(thandle_t handle, void *out, tmsize_t count) {
    memory *m = handle;
    size_t left = m->position < m->size ? m->size - m->position : 0;
    size_t taken = (size_t)count < left ? (size_t)count : left;
    memcpy(out, m->data + m->position, taken);
    m->position += taken;
    return (tmsize_t)taken;
}

static tmsize_t on_write(thandle_t handle, void *in, tmsize_t count) {
    memory *m = handle;
    if ((size_t)count > m->capacity || m->position > m->capacity - (size_t)count) return -1;
    memcpy(m->data + m->position, in, (size_t)count);
    m->position += (size_t)count;
    if (m->position > m->size) m->size = m->position;
    return count;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    memory *m = handle;
    m->position = whence == SEEK_SET ? offset : whence == SEEK_CUR ? m->position + offset : m->size + offset;
    return m->position;
}

static int on_close(thandle_t handle) { return (void)handle, 0; }
static toff_t on_size(thandle_t handle) { return ((memory *)handle)->size; }

static int on_map(thandle_t handle, void **base, toff_t *size) {
    *base = ((memory *)handle)->data;
    *size = ((memory *)handle)->size;
    return 1;
}

static void on_unmap(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

static TIFF *open_memory(memory *m, const char *mode) {
    return TIFFClientOpen("memory", mode, m, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap);
}

int mv_tiff_limit(const uint8_t *data, size_t size) {
    memory m = {.data = (uint8_t *)(uintptr_t)data, .size = size};
    TIFF *tiff = open_memory(&m, "r");
    if (tiff == NULL) return -1;
    uint32_t height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    uint8_t *row = malloc((size_t)TIFFScanlineSize(tiff));
    int result = row == NULL ? -1 : 0;
    for (uint32_t y = 0; y < height && result == 0; y++)
        if (TIFFReadScanline(tiff, row, y, 0) != 1) result = -1;
    free(row);
    TIFFClose(tiff);
    return result;
}

size_t mv_tiff_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    memory m = {.data = data, .capacity = capacity};
    TIFF *tiff = open_memory(&m, "w");
    if (tiff == NULL) return 0;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
    TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 16);
    int is_written = 1;
    for (uint32_t y = 0; y < height && is_written; y++)
        is_written = TIFFWriteScanline(tiff, (void *)(uintptr_t)(rgb + (size_t)y * width * 3), y, 0) == 1;
    TIFFClose(tiff);
    return is_written ? m.size : 0;
}
#else
int mv_tiff_limit(const uint8_t *data, size_t size) { return (void)data, (void)size, -1; }
size_t mv_tiff_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    return (void)rgb, (void)width, (void)height, (void)data, (void)capacity, 0;
}
#endif

#if __has_include(<gif_lib.h>)
#include <gif_lib.h>

typedef struct {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static int on_gif_read(GifFileType *gif, GifByteType *out, int count) {
    bytes *b = gif->UserData;
    size_t taken = (size_t)count < b->capacity - b->size ? (size_t)count : b->capacity - b->size;
    memcpy(out, b->data + b->size, taken);
    b->size += taken;
    return (int)taken;
}

static int on_gif_write(GifFileType *gif, const GifByteType *in, int count) {
    bytes *b = gif->UserData;
    if ((size_t)count > b->capacity - b->size) return 0;
    memcpy(b->data + b->size, in, (size_t)count);
    b->size += (size_t)count;
    return count;
}

int mv_gif_limit(const uint8_t *data, size_t size) {
    bytes source = {(uint8_t *)(uintptr_t)data, 0, size};
    int error, result = -1;
    GifFileType *gif = DGifOpen(&source, on_gif_read, &error);
    GifRecordType type;
    if (gif == NULL) return -1;
    uint8_t *row = malloc((size_t)gif->SWidth);
    if (row != NULL && DGifGetRecordType(gif, &type) == GIF_OK && type == IMAGE_DESC_RECORD_TYPE &&
        DGifGetImageDesc(gif) == GIF_OK) {
        result = 0;
        for (int y = 0; y < gif->Image.Height && result == 0; y++)
            if (DGifGetLine(gif, row, gif->Image.Width) != GIF_OK) result = -1;
    }
    free(row);
    DGifCloseFile(gif, &error);
    return result;
}

size_t mv_gif_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    bytes target = {data, 0, capacity};
    int error;
    GifFileType *gif = EGifOpen(&target, on_gif_write, &error);
    ColorMapObject *map = GifMakeMapObject(256, NULL);
    uint8_t *row = malloc(width);
    int is_written = gif != NULL && map != NULL && row != NULL;
    // Three bits of red and green, two of blue.
    for (int i = 0; i < 256 && is_written; i++)
        map->Colors[i] = (GifColorType){(uint8_t)(i / 32 * 36), (uint8_t)(i / 4 % 8 * 36), (uint8_t)(i % 4 * 85)};
    is_written = is_written && EGifPutScreenDesc(gif, (int)width, (int)height, 8, 0, map) == GIF_OK &&
                 EGifPutImageDesc(gif, 0, 0, (int)width, (int)height, 0, NULL) == GIF_OK;
    for (uint32_t y = 0; y < height && is_written; y++) {
        const uint8_t *in = rgb + (size_t)y * width * 3;
        for (uint32_t x = 0; x < width; x++, in += 3)
            row[x] = (uint8_t)((in[0] & 0xE0) | (in[1] >> 5) << 2 | in[2] >> 6);
        is_written = EGifPutLine(gif, row, (int)width) == GIF_OK;
    }
    if (gif != NULL) is_written &= EGifCloseFile(gif, &error) == GIF_OK;
    GifFreeMapObject(map);
    free(row);
    return is_written ? target.size : 0;
}
#else
int mv_gif_limit(const uint8_t *data, size_t size) { return (void)data, (void)size, -1; }
size_t mv_gif_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    return (void)rgb, (void)width, (void)height, (void)data, (void)capacity, 0;
}
#endif
