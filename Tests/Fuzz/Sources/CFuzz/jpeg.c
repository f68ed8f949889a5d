#include <stdlib.h>

#include "CFuzz.h"
#include "CImageCodecs.h"

static void decode(mv_jpeg_reader *reader, size_t size, uint32_t width, uint32_t height) {
    char message[MV_MESSAGE_SIZE];
    // The command's limit is larger; here it only keeps executions short.
    if ((uint64_t)width * height > 1 << 16) return;
    unsigned denominator = 1u << size % 4;
    width = (width + denominator - 1) / denominator, height = (height + denominator - 1) / denominator;
    if (mv_jpeg_start(reader, denominator, width, height, message) != MV_OK) return;
    uint32_t most = 1 + (uint32_t)(size % 5);
    uint8_t *rgb = malloc((size_t)most * width * 3);
    for (uint32_t y = 0; rgb != NULL && y < height; y += most) {
        uint32_t rows = height - y < most ? height - y : most;
        if (mv_jpeg_read_rows(reader, rgb, rows, message) != MV_OK) break;
        if (y + rows == height) mv_jpeg_finish(reader, message);
    }
    free(rgb);
}

int mv_fuzz_jpeg(const uint8_t *data, size_t size) {
    char message[MV_MESSAGE_SIZE];
    uint32_t width = 0, height = 0;
    mv_jpeg_reader *reader = NULL;
    if (mv_jpeg_open(data, size, &reader, &width, &height, message) == MV_OK) decode(reader, size, width, height);
    mv_jpeg_close(reader);
    return 0;
}
