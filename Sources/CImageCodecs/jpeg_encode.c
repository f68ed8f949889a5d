#include "CImageCodecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

typedef struct {
    struct jpeg_error_mgr errors;  // first, so that the library's pointer to it is a pointer to this
    struct jpeg_destination_mgr destination;
    struct jpeg_compress_struct jpeg;
    jmp_buf jump;
    char *message;
    int status;
} writer;

static void fail(j_common_ptr jpeg, int status, const char *text) {
    writer *w = (writer *)jpeg->err;
    snprintf(w->message, MV_MESSAGE_SIZE, "%s", text);
    w->status = status;
    longjmp(w->jump, 1);
}

static void fail_with_library_message(j_common_ptr jpeg) {
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    fail(jpeg, jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? MV_NO_MEMORY : MV_DAMAGED, text);
}

static void on_message(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}
static void on_output(j_common_ptr jpeg) { (void)jpeg; }
static void on_destination_event(j_compress_ptr jpeg) { (void)jpeg; }

static boolean on_full(j_compress_ptr jpeg) {
    fail((j_common_ptr)jpeg, MV_NO_MEMORY, "the picture does not fit the memory that it was given");
    return FALSE;
}

int mv_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t *data, size_t capacity,
                   size_t *size, char *message) {
    writer w;
    memset(&w, 0, sizeof w);
    w.message = message;
    *size = 0;
    if (setjmp(w.jump) == 0) {
        w.jpeg.err = jpeg_std_error(&w.errors);
        w.errors.error_exit = fail_with_library_message;
        w.errors.emit_message = on_message;
        w.errors.output_message = on_output;
        jpeg_create_compress(&w.jpeg);
        w.destination = (struct jpeg_destination_mgr){.next_output_byte = data,
                                                      .free_in_buffer = capacity,
                                                      .init_destination = on_destination_event,
                                                      .empty_output_buffer = on_full,
                                                      .term_destination = on_destination_event};
        w.jpeg.dest = &w.destination;
        w.jpeg.image_width = width;
        w.jpeg.image_height = height;
        w.jpeg.input_components = 3;
        w.jpeg.in_color_space = JCS_RGB;
        jpeg_set_defaults(&w.jpeg);
        jpeg_set_quality(&w.jpeg, quality, TRUE);
        w.jpeg.optimize_coding = TRUE;
        w.jpeg.dct_method = JDCT_ISLOW;
        jpeg_start_compress(&w.jpeg, TRUE);
        while (w.jpeg.next_scanline < height) {
            // The library only reads the row.
            JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (size_t)w.jpeg.next_scanline * width * 3);
            jpeg_write_scanlines(&w.jpeg, &row, 1);
        }
        jpeg_finish_compress(&w.jpeg);
        *size = capacity - w.destination.free_in_buffer;
    }
    jpeg_destroy_compress(&w.jpeg);
    return w.status;
}
