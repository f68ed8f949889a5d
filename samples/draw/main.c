// Draws the sample pictures of the demo, one for every kind of PNG and JPEG that the decoders read, and one of each
// other format, in a folder of their own.
//
// To draw them again: `make sample-images`, or from the root of the repository
//
//     cc -O2 samples/draw/*.c -lpng -ljpeg -lwebp -ltiff -lgif -lm -o draw-samples
//     ./draw-samples samples/images samples/formats
//
// The only chance involved is a fixed-seed generator, so the same versions of the libraries and of the C library
// give the same bytes (gcc and clang agree on x86-64). To add a picture: write a function in signs.c,
// plants.c, things.c or aerial.c, declare it in draw.h, and add a line to the table below. Names that end in
// `exif<n>` store turned pixels and say so in EXIF.
#include "draw.h"
#include "encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *folder, *name;
    Scene scene;
    int w, h;
    Format format;
    int orientation;
} picture[] = {
    {"signs", "stop.png", sign_stop, 112, 112, PNG_RGB8, 1},
    {"signs", "yield-exif3.jpg", sign_yield, 128, 128, JPEG_420, 3},
    {"signs", "priority-road.jpg", sign_priority_road, 128, 128, JPEG_444, 1},
    {"signs", "no entry, one-way street.png", sign_no_entry, 128, 128, PNG_PALETTE, 1},
    {"signs", "speed-30.jpg", sign_speed_30, 128, 128, JPEG_420, 1},
    {"signs", "speed-50-interlaced.png", sign_speed_50, 96, 96, PNG_INTERLACED, 1},
    {"signs", "speed-80-progressive.jpg", sign_speed_80, 128, 128, JPEG_PROGRESSIVE, 1},
    {"signs", "keep-right-exif6.jpg", sign_keep_right, 120, 128, JPEG_420, 6},
    {"signs", "ahead-only.jpg", sign_ahead_only, 128, 128, JPEG_420, 1},
    {"signs", "turn-right.jpg", sign_turn_right, 128, 128, JPEG_420, 1},
    {"signs", "roundabout.jpg", sign_roundabout, 128, 128, JPEG_420, 1},
    {"signs", "danger-16bit.png", sign_danger, 80, 80, PNG_RGB16, 1},
    {"signs", "priority-next-crossing.jpg", sign_priority_next, 128, 128, JPEG_420, 1},
    {"signs", "no-passing.jpg", sign_no_passing, 128, 128, JPEG_420, 1},
    {"signs", "end-of-all-limits-gray.png", sign_end_all_limits, 112, 112, PNG_GRAY8, 1},
    {"leaves", "healthy.jpg", leaf_healthy, 160, 160, JPEG_420, 1},
    {"leaves", "rust.jpg", leaf_rust, 192, 192, JPEG_444, 1},
    {"leaves", "blight.jpg", leaf_blight, 192, 192, JPEG_420, 1},
    {"flowers", "sunflower-cmyk.jpg", flower_sunflower, 200, 240, JPEG_CMYK, 1},
    {"flowers", "daisy-gray.jpg", flower_daisy, 200, 200, JPEG_GRAY, 1},
    {"flowers", "tulips-exif8.jpg", flower_tulips, 192, 240, JPEG_420, 8},
    {"flowers", "rose-progressive.jpg", flower_rose, 200, 200, JPEG_PROGRESSIVE, 1},
    {"flowers", "dandelion.jpg", flower_dandelion, 200, 200, JPEG_420, 1},
    {"clothing", "t-shirt-gray-alpha.png", cloth_t_shirt, 200, 200, PNG_GRAY_ALPHA, 1},
    {"clothing", "jeans-rgba.png", cloth_jeans, 160, 208, PNG_RGBA8, 1},
    {"clothing", "dress.jpg", cloth_dress, 208, 240, JPEG_420, 1},
    {"clothing", "shoes.jpg", cloth_shoes, 220, 220, JPEG_420, 1},
    {"waste", "bottle-palette-alpha.png", waste_bottle, 200, 200, PNG_PALETTE_ALPHA, 1},
    {"waste", "box.jpg", waste_box, 256, 200, JPEG_420, 1},
    {"waste", "newspaper-1bit.png", waste_newspaper, 256, 256, PNG_BILEVEL, 1},
    {"aerial", "field.jpg", aerial_field, 240, 240, JPEG_420, 1},
    {"aerial", "parking.jpg", aerial_parking, 256, 256, JPEG_420, 1},
    {"aerial", "river.jpg", aerial_river, 240, 240, JPEG_PROGRESSIVE, 1},
    {"aerial", "forest-gray16.png", aerial_forest, 128, 128, PNG_GRAY16, 1},
}, other[] = {
    {"", "jeans.webp", cloth_jeans, 160, 208, WEBP, 1},
    {"", "parking.tif", aerial_parking, 160, 160, TIFF_TILES, 1},
    {"", "stop.bmp", sign_stop, 64, 64, BMP, 1},
    {"", "rose.gif", flower_rose, 128, 128, GIF, 1},
};

static int make_folder(const char *path) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return 1;
    fprintf(stderr, "draw: %s: %s\n", path, strerror(errno));
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s <folder for PNG and JPEG> <folder for other formats>\n", argv[0]);
        return 2;
    }
    if (!make_folder(argv[1]) || !make_folder(argv[2])) return 1;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        char path[1024];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", argv[2], other[i].name) >= sizeof path) return 1;
        Image im = other[i].scene(other[i].w, other[i].h);
        encode_other(&im, path, other[i].format);
        image_free(&im);
    }
    for (size_t i = 0; i < sizeof picture / sizeof *picture; i++) {
        char path[1024];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", argv[1], picture[i].folder) >= sizeof path) return 1;
        if (!make_folder(path)) return 1;
        int length = snprintf(path, sizeof path, "%s/%s/%s", argv[1], picture[i].folder, picture[i].name);
        if ((size_t)length >= sizeof path) return 1;
        Image im = picture[i].scene(picture[i].w, picture[i].h);
        encode(&im, path, picture[i].format, picture[i].orientation);
        image_free(&im);
    }
    return 0;
}
