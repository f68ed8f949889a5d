#include "CCodecLimits.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct {
    struct jpeg_error_mgr errors;  // first, so that the library's pointer to it is a pointer to this
    jmp_buf jump;
} jpeg_errors;

static void on_jpeg_error(j_common_ptr jpeg) { longjmp(((jpeg_errors *)jpeg->err)->jump, 1); }

int mv_jpeg_limit(const uint8_t *data, size_t size) {
    struct jpeg_decompress_struct jpeg;
    jpeg_errors errors;
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&errors.errors);
    errors.errors.error_exit = on_jpeg_error;
    volatile int result = -1;
    if (setjmp(errors.jump) == 0) {
        jpeg_create_decompress(&jpeg);
        jpeg_mem_src(&jpeg, data, size);
        jpeg_read_header(&jpeg, TRUE);
        jpeg_start_decompress(&jpeg);
        JSAMPARRAY row = jpeg.mem->alloc_sarray((j_common_ptr)&jpeg, JPOOL_IMAGE,
                                                jpeg.output_width * (JDIMENSION)jpeg.output_components, 1);
        while (jpeg.output_scanline < jpeg.output_height) jpeg_read_scanlines(&jpeg, row, 1);
        jpeg_finish_decompress(&jpeg);
        result = 0;
    }
    jpeg_destroy_decompress(&jpeg);
    return result;
}

typedef struct {
    const uint8_t *data;
    size_t left;
} source;

static void on_read(png_structp png, png_bytep out, size_t length) {
    source *s = png_get_io_ptr(png);
    if (length > s->left) png_error(png, "premature end of data");
    memcpy(out, s->data, length);
    s->data += length;
    s->left -= length;
}

int mv_png_limit(const uint8_t *data, size_t size) {
    source s = {data, size};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png == NULL ? NULL : png_create_info_struct(png);
    png_byte *volatile row = NULL;
    volatile int result = -1;
    if (info != NULL && setjmp(png_jmpbuf(png)) == 0) {
        png_set_read_fn(png, &s, on_read);
        png_read_info(png, info);
        png_read_update_info(png, info);
        row = malloc(png_get_rowbytes(png, info));
        if (row != NULL) {
            for (uint32_t y = 0; y < png_get_image_height(png, info); y++) png_read_row(png, row, NULL);
            png_read_end(png, info);
            result = 0;
        }
    }
    free(row);
    png_destroy_read_struct(&png, &info, NULL);
    return result;
}

size_t mv_png_write(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *data, size_t capacity) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = capacity;
    return png_image_write_to_memory(&image, data, &size, 0, rgb, 0, NULL) != 0 ? size : 0;
}
