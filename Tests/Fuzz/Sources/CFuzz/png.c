#include <zlib.h>

#include "CFuzz.h"

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
