#include "codecs.h"

#include <stdarg.h>
#include <stdio.h>

static const mv_codec *const codecs[] = {
    &mv_png_codec,
    &mv_jpeg_codec,
    &mv_webp_codec,
    &mv_tiff_codec,
    &mv_bmp_codec,
    &mv_gif_codec,
};

const mv_codec *mv_codec_at(size_t index) {
    return index < sizeof codecs / sizeof *codecs ? codecs[index] : NULL;
}

const mv_codec *mv_codec_of(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (codecs[i]->matches(data, size)) return codecs[i];
    return NULL;
}

void mv_write_rgba(const uint8_t *rgba, uint32_t count, int alpha, uint8_t *out) {
    uint32_t background = mv_background(alpha);
    for (uint32_t i = 0; i < count; i++, rgba += 4, out += 3) {
        uint32_t opacity = alpha == MV_ALPHA_IGNORE ? 255 : rgba[3];
        for (int c = 0; c < 3; c++) out[c] = opacity == 255 ? rgba[c] : mv_composite(rgba[c], opacity, background);
    }
}

int mv_finish_nothing(mv_reader *reader, char *message) {
    (void)reader, (void)message;
    return MV_OK;
}

int mv_fail(int status, char *message, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, MV_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    return status;
}

int mv_fail_too_short(uint64_t width, uint64_t height, size_t size, char *message) {
    return mv_fail(MV_DAMAGED, message, "premature end of data: %llu x %llu pixels cannot be in %zu bytes",
                   (unsigned long long)width, (unsigned long long)height, size);
}
