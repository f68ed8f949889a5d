// libFuzzer target: the PNG decoder, as Images/Decoding.swift calls it. Mutated files get right checksums most of the time, so
// that what is behind them is reached.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "CImageCodecs.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char message[MV_MESSAGE_SIZE];
    uint32_t width = 0, height = 0;
    if (mv_png_read_size(data, size, &width, &height, message) != MV_OK) return 0;
    if ((uint64_t)width * height > 1 << 16) return 0;
    uint8_t *rgb = malloc((size_t)width * height * 3), exif[4096];
    if (rgb == NULL) return 0;
    size_t exif_size = 0;
    mv_png_decode(data, size, width, height, (int)(size % 3), rgb, exif, sizeof exif, &exif_size, message);
    if (exif_size > sizeof exif) abort();
    free(rgb);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, capacity);
    if (seed % 8 == 0) return size;
    size_t position = 8;
    while (size >= 12 && position <= size - 12) {
        size_t length = (size_t)data[position] << 24 | (size_t)data[position + 1] << 16 | (size_t)data[position + 2] << 8 |
                        data[position + 3];
        if (length > size - position - 12) break;
        uint32_t sum = (uint32_t)crc32(0, data + position + 4, (uInt)(length + 4));
        for (int i = 0; i < 4; i++) data[position + 8 + length + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        position += 12 + length;
    }
    return size;
}
