#include "tiff.h"

#ifdef MV_WITH_TIFF

#include <tiffio.h>

static int refuse_photometric(int photometric, char *message) {
    static const struct {
        int value;
        const char *name;
    } names[] = {{PHOTOMETRIC_MASK, "a transparency mask"},     {PHOTOMETRIC_CIELAB, "CIE L*a*b* colours"},
                 {PHOTOMETRIC_ICCLAB, "ICC L*a*b* colours"},    {PHOTOMETRIC_ITULAB, "ITU L*a*b* colours"},
                 {PHOTOMETRIC_CFA, "raw samples of a camera"},  {34892, "raw samples of a camera"},
                 {PHOTOMETRIC_LOGL, "logarithmic luminance"},   {PHOTOMETRIC_LOGLUV, "logarithmic colours (LogLuv)"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].value == photometric) return mv_fail(MV_UNSUPPORTED, message, "%s", names[i].name);
    return mv_fail(MV_UNSUPPORTED, message, "photometric interpretation %d", photometric);
}

// The samples after the colours: at most three, and only the first may be an opacity.
static int find_opacity(TIFF *file, const mv_tiff_directory *directory, mv_tiff_layout *layout, char *message) {
    uint16_t count = 0, *types = NULL;
    int extra = layout->samples - layout->colours;
    layout->opacity = -1;
    if (extra < 0 || extra > 3)
        return mv_fail(MV_UNSUPPORTED, message, "%d bands instead of %d", layout->samples, layout->colours);
    if (extra == 0) return MV_OK;
    if (!directory->has_extra_samples) {
        // As Pillow reads them: the fourth sample of RGB is an opacity.
        if (layout->kind != MV_TIFF_RGB || extra != 1)
            return mv_fail(MV_UNSUPPORTED, message, "%d bands instead of %d", layout->samples, layout->colours);
        layout->opacity = layout->colours;
        return MV_OK;
    }
    TIFFGetFieldDefaulted(file, TIFFTAG_EXTRASAMPLES, &count, &types);
    for (int i = 0; i < extra; i++) {
        unsigned type = i < count ? types[i] : EXTRASAMPLE_UNSPECIFIED;
        if (type == EXTRASAMPLE_UNSPECIFIED) continue;
        if (i > 0) return mv_fail(MV_UNSUPPORTED, message, "an opacity after another extra band");
        layout->opacity = layout->colours;
        layout->is_premultiplied = type == EXTRASAMPLE_ASSOCALPHA;
    }
    if (layout->kind == MV_TIFF_CMYK && layout->opacity >= 0)
        return mv_fail(MV_UNSUPPORTED, message, "CMYK with an opacity");
    return MV_OK;
}

static int read_palette(TIFF *file, mv_tiff_layout *layout, char *message) {
    uint16_t *map[3];
    if (!TIFFGetField(file, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]))
        return mv_fail(MV_DAMAGED, message, "no palette");
    int count = 1 << layout->depth, is_wide = 0;
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) is_wide |= map[c][i] > 255;
    // Some writers put 8 bits where 16 belong, which libtiff recognizes in this way.
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) layout->table[i][c] = (uint8_t)(is_wide ? map[c][i] >> 8 : map[c][i]);
    return MV_OK;
}

static const char *name_of_format(unsigned format) {
    switch (format) {
    case SAMPLEFORMAT_INT: return "signed samples";
    case SAMPLEFORMAT_IEEEFP: return "floating-point samples";
    case SAMPLEFORMAT_COMPLEXINT:
    case SAMPLEFORMAT_COMPLEXIEEEFP: return "complex samples";
    default: return "samples of an unknown format";
    }
}

int mv_tiff_find_layout(TIFF *file, const mv_tiff_directory *directory, mv_tiff_layout *layout, char *message) {
    *layout = (mv_tiff_layout){.opacity = -1};
    uint16_t compression, depth, samples, format, planar;
    int photometric = directory->photometric < 0 ? PHOTOMETRIC_MINISWHITE : directory->photometric;
    TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &depth);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &planar);
    const TIFFCodec *codec = TIFFFindCODEC(compression);
    if (!TIFFIsCODECConfigured(compression))
        return mv_fail(MV_UNSUPPORTED, message, "compression %u (%s) is not built into libtiff", compression,
                       codec == NULL ? "unknown" : codec->name);
    layout->depth = depth;
    layout->samples = samples;
    layout->is_separate = planar == PLANARCONFIG_SEPARATE && samples > 1;
    if (compression == COMPRESSION_OJPEG) photometric = PHOTOMETRIC_YCBCR;
    int is_index = depth == 1 || depth == 2 || depth == 4 || depth == 8, is_known = is_index;
    switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
        layout->kind = is_index ? MV_TIFF_TABLE : MV_TIFF_GRAY;
        layout->is_inverted = photometric == PHOTOMETRIC_MINISWHITE;
        layout->colours = 1;
        if (is_index) mv_tiff_fill_grays(layout);
        is_known |= depth == 12 || depth == 16;
        break;
    case PHOTOMETRIC_PALETTE:
        layout->kind = MV_TIFF_TABLE;
        layout->colours = 1;
        break;
    case PHOTOMETRIC_YCBCR:
        layout->is_converted = 1;
        if (depth != 8 || samples != 3)
            return mv_fail(MV_UNSUPPORTED, message, "YCbCr with %u samples of %u bits", samples, depth);
        if (compression == COMPRESSION_JPEG && !layout->is_separate) {
            layout->is_converted = 0;
            TIFFSetField(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        }
        // fall through
    case PHOTOMETRIC_RGB:
        layout->kind = MV_TIFF_RGB;
        layout->colours = 3;
        is_known = depth == 8 || depth == 16;
        break;
    case PHOTOMETRIC_SEPARATED: {
        uint16_t inks = INKSET_CMYK;
        TIFFGetFieldDefaulted(file, TIFFTAG_INKSET, &inks);
        if (inks != INKSET_CMYK) return mv_fail(MV_UNSUPPORTED, message, "inks other than CMYK");
        layout->kind = MV_TIFF_CMYK;
        layout->colours = 4;
        is_known = depth == 8 || depth == 16;
        break;
    }
    default: return refuse_photometric(photometric, message);
    }
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return mv_fail(MV_UNSUPPORTED, message, "%s", name_of_format(format));
    if (!is_known || (depth != 8 && depth != 16 && samples > 1))
        return mv_fail(MV_UNSUPPORTED, message, "%u %s of %u bits", samples, samples == 1 ? "sample" : "samples",
                       depth);
    if (photometric == PHOTOMETRIC_PALETTE) {
        int status = read_palette(file, layout, message);
        if (status != MV_OK) return status;
    }
    return find_opacity(file, directory, layout, message);
}

#endif
