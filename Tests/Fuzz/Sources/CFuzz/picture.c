#include <ctype.h>
#include <stdlib.h>

#include "CFuzz.h"
#include "CImageCodecs.h"

static const mv_codec *codec;

static int has_name(const mv_codec *entry, const char *name) {
    const char *p = entry->name;
    while (*p != 0 && tolower((unsigned char)*p) == *name) p++, name++;
    return *p == 0 && *name == 0;
}

int mv_fuzz_choose_codec(const char *name) {
    codec = NULL;
    for (size_t i = 0; codec == NULL && mv_codec_at(i) != NULL; i++)
        if (has_name(mv_codec_at(i), name) && mv_codec_at(i)->open != NULL) codec = mv_codec_at(i);
    return codec != NULL;
}

static void decode(mv_reader *reader, size_t size, mv_options *options, mv_picture *picture) {
    char message[MV_MESSAGE_SIZE];
    // The command's limit is larger; here it only keeps executions short.
    if ((uint64_t)picture->width * picture->height > 1 << 16) return;
    unsigned denominator = 1u << size % 4;
    options->least_width = denominator == 1 ? 0 : picture->width / denominator;
    options->least_height = denominator == 1 ? 0 : picture->height / denominator;
    if (codec->start(reader, options, picture, message) != MV_OK) return;
    uint32_t width = picture->width, height = picture->height;
    uint32_t most = picture->is_whole ? height : 1 + (uint32_t)(size % 5);
    uint8_t *rgb = malloc((size_t)most * width * 3);
    for (uint32_t y = 0; rgb != NULL && y < height; y += most) {
        uint32_t rows = height - y < most ? height - y : most;
        if (codec->read_rows(reader, rgb, rows, message) != MV_OK) break;
        if (y + rows == height) codec->finish(reader, message);
    }
    free(rgb);
}

int mv_fuzz_picture(const uint8_t *data, size_t size) {
    char message[MV_MESSAGE_SIZE];
    mv_options options = {.alpha = (int)(size % 3), .most_memory = 1 << 24};
    mv_picture picture = {0};
    mv_reader *reader = NULL;
    // Whatever has no signature is refused at once, and teaches nothing.
    if (!codec->matches(data, size)) return -1;
    if (codec->open(data, size, &options, &reader, &picture, message) == MV_OK)
        decode(reader, size, &options, &picture);
    codec->close(reader);
    return 0;
}
