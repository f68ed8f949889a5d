// libFuzzer target: the JPEG decoder, as Images/Decoding.swift calls it.
#include <stdlib.h>

#include "CImageCodecs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char message[MV_MESSAGE_SIZE];
    uint32_t width = 0, height = 0;
    if (mv_jpeg_read_size(data, size, &width, &height, message) != MV_OK) return 0;
    // The command's limit is larger; here it only keeps executions short.
    if ((uint64_t)width * height > 1 << 16) return 0;
    unsigned denominator = 1u << size % 4;
    width = (width + denominator - 1) / denominator, height = (height + denominator - 1) / denominator;
    uint8_t *rgb = malloc((size_t)width * height * 3);
    if (rgb == NULL) return 0;
    mv_jpeg_decode(data, size, width, height, denominator, rgb, message);
    free(rgb);
    return 0;
}
