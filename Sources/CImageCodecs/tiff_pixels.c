#include "tiff.h"

#include <string.h>

int mv_tiff_planes(const mv_tiff_layout *layout) {
    return layout->is_separate ? layout->colours + (layout->opacity >= 0) : 1;
}

uint64_t mv_tiff_row_size(const mv_tiff_layout *layout, uint64_t width) {
    uint64_t samples = layout->is_separate ? 1 : (uint64_t)layout->samples;
    return (width * samples * (uint64_t)layout->depth + 7) / 8;
}

void mv_tiff_fill_grays(mv_tiff_layout *layout) {
    int most = (1 << layout->depth) - 1;
    for (int i = 0; i <= most; i++) {
        int gray = (layout->is_inverted ? most - i : i) * 255 / most;
        for (int c = 0; c < 3; c++) layout->table[i][c] = (uint8_t)gray;
    }
}

// The sample at an index, in 8 bits; 16 bits are in the processor's byte order.
static inline uint8_t sample(const uint8_t *in, size_t index, int depth) {
    if (depth == 8) return in[index];
    uint16_t value;
    memcpy(&value, in + 2 * index, sizeof value);
    return mv_sample16(value);
}

// A sample of at most 8 bits, as stored.
static inline uint8_t bits(const uint8_t *in, size_t index, int depth) {
    size_t bit = index * (size_t)depth;
    return (uint8_t)(in[bit / 8] >> (8 - (size_t)depth - bit % 8) & ((1u << depth) - 1));
}

// A sample of 12 bits, in 8.
static inline uint8_t sample12(const uint8_t *in, size_t index) {
    const uint8_t *p = in + index * 3 / 2;
    uint32_t value = index % 2 == 0 ? (uint32_t)p[0] << 4 | p[1] >> 4 : (uint32_t)(p[0] & 15) << 8 | p[1];
    return (uint8_t)((value * 255 + 2047) / 4095);
}

// As Pillow converts CMYK: (255 - k) - round(c * (255 - k) / 255).
static inline void convert_cmyk(const uint8_t *cmyk, uint8_t *rgb) {
    uint32_t white = 255u - cmyk[3];
    for (int c = 0; c < 3; c++) {
        uint32_t t = cmyk[c] * white + 128;
        rgb[c] = (uint8_t)(white - (((t >> 8) + t) >> 8));
    }
}

// As Pillow undoes the multiplication by the opacity: c * 255 / opacity, rounded down.
static inline void divide(uint8_t *rgb, uint32_t opacity) {
    if (opacity == 255) return;
    for (int c = 0; c < 3; c++) {
        uint32_t value = opacity == 0 ? 0 : rgb[c] * 255u / opacity;
        rgb[c] = value > 255 ? 255 : (uint8_t)value;
    }
}

// The colour of a pixel, before its opacity counts.
static inline void read_colour(const mv_tiff_layout *layout, const uint8_t *const *planes, size_t i, uint8_t *rgb) {
    int depth = layout->depth;
    size_t step = layout->is_separate ? 1 : (size_t)layout->samples;
    uint8_t colours[4] = {0};
    switch (layout->kind) {
    case MV_TIFF_TABLE:
        memcpy(rgb, layout->table[depth == 8 ? planes[0][i * step] : bits(planes[0], i, depth)], 3);
        return;
    case MV_TIFF_GRAY:
        rgb[0] = depth == 12 ? sample12(planes[0], i) : sample(planes[0], i * step, depth);
        if (layout->is_inverted) rgb[0] = 255 - rgb[0];
        rgb[1] = rgb[2] = rgb[0];
        return;
    case MV_TIFF_RGB:
    case MV_TIFF_CMYK:
        for (int c = 0; c < layout->colours; c++) {
            const uint8_t *plane = planes[layout->is_separate ? c : 0];
            colours[c] = sample(plane, layout->is_separate ? i : i * step + (size_t)c, depth);
        }
        if (layout->kind == MV_TIFF_CMYK) convert_cmyk(colours, rgb);
        else memcpy(rgb, colours, 3);
    }
}

void mv_tiff_convert(const mv_tiff_layout *layout, const uint8_t *const *planes, uint32_t count, int alpha,
                     uint8_t *rgb) {
    if (layout->kind == MV_TIFF_RGB && layout->depth == 8 && !layout->is_separate && layout->samples == 3) {
        memcpy(rgb, planes[0], (size_t)count * 3);
        return;
    }
    size_t step = layout->is_separate ? 1 : (size_t)layout->samples;
    for (size_t i = 0; i < count; i++, rgb += 3) {
        read_colour(layout, planes, i, rgb);
        if (layout->opacity < 0) continue;
        uint8_t rgba[4] = {rgb[0], rgb[1], rgb[2]};
        rgba[3] = layout->is_separate ? sample(planes[layout->colours], i, layout->depth)
                                      : sample(planes[0], i * step + (size_t)layout->opacity, layout->depth);
        if (layout->is_premultiplied) divide(rgba, rgba[3]);
        mv_write_rgba(rgba, 1, alpha, rgb);
    }
}
