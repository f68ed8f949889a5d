#include <stdlib.h>
#include <zlib.h>

#include "CFuzz.h"
#include "CImageCodecs.h"

static void decode(mv_png_reader *reader, size_t size, uint32_t width, uint32_t height) {
    char message[MV_MESSAGE_SIZE];
    int is_whole = 0;
    if ((uint64_t)width * height > 1 << 16) return;
    if (mv_png_start(reader, (int)(size % 3), &is_whole, message) != MV_OK) return;
    uint32_t most = is_whole ? height : 1 + (uint32_t)(size % 5);
    uint8_t *rgb = malloc((size_t)most * width * 3);
    for (uint32_t y = 0; rgb != NULL && y < height; y += most) {
        uint32_t rows = height - y < most ? height - y : most;
        if (mv_png_read_rows(reader, rgb, rows, message) != MV_OK) break;
        if (y + rows == height) mv_png_finish(reader, message);
    }
    free(rgb);
}

int mv_fuzz_png(const uint8_t *data, size_t size) {
    char message[MV_MESSAGE_SIZE];
    uint32_t width = 0, height = 0;
    mv_png_reader *reader = NULL;
    if (mv_png_open(data, size, &reader, &width, &height, message) == MV_OK) decode(reader, size, width, height);
    mv_png_close(reader);
    return 0;
}

void mv_fuzz_png_checksums(uint8_t *data, size_t size) {
    size_t position = 8;
    while (size >= 12 && position <= size - 12) {
        const uint8_t *bytes = data + position;
        size_t length = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
        if (length > size - position - 12) break;
        uint32_t sum = (uint32_t)crc32(0, bytes + 4, (uInt)(length + 4));
        for (int i = 0; i < 4; i++) data[position + 8 + length + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        position += 12 + length;
    }
}
