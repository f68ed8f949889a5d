#ifndef MV_TIFF_H
#define MV_TIFF_H

// The parts of the TIFF codec.

#include "codecs.h"

// What a directory says that libtiff does not pass on, or only after it has allocated memory for it.
typedef struct {
    uint32_t width, height;
    int is_reduced;         // NewSubfileType 1: a smaller copy of another picture of the file
    int photometric;        // -1 if there is none; libtiff turns a palette that it cannot read into gray
    int has_extra_samples;  // libtiff adds the tag where it is missing
    int orientation;        // as stored, or MV_NO_ORIENTATION
    const uint8_t *xmp;
    size_t xmp_size;
    uint64_t sub_directories[8];
    uint32_t sub_directory_count;
    uint64_t next;  // the offset of the next directory; 0 for the last
} mv_tiff_directory;

// Reads the directory at an offset; at offset 0 the first. Refuses one whose tags have more data than the file.
int mv_tiff_read_directory(const uint8_t *data, size_t size, uint64_t offset, mv_tiff_directory *directory,
                           char *message);

#define MV_TIFF_PLANES 5

// How a pixel is stored, and what it is in RGB.
typedef struct {
    enum {
        MV_TIFF_TABLE,  // an index of at most 8 bits: gray or a palette
        MV_TIFF_GRAY,   // 12 or 16 bits
        MV_TIFF_RGB,    // 8 or 16 bits, like the next
        MV_TIFF_CMYK,
    } kind;
    int depth;             // bits of a sample
    int samples;           // of a pixel, in all
    int colours;           // of these, the first
    int opacity;           // which sample it is; -1 for none
    int is_premultiplied;  // colours have been multiplied by the opacity
    int is_inverted;       // 0 is white
    int is_separate;       // a plane for each sample
    int is_converted;      // by libtiff: YCbCr that its JPEG decoder does not convert
    uint8_t table[256][3];
} mv_tiff_layout;

struct tiff;

// How the current directory of an open file stores pixels. Refuses by name what is not supported.
int mv_tiff_find_layout(struct tiff *file, const mv_tiff_directory *directory, mv_tiff_layout *layout, char *message);

// How many planes are read, one unless they are separate.
int mv_tiff_planes(const mv_tiff_layout *layout);

// The bytes of a row of `width` pixels in a plane.
uint64_t mv_tiff_row_size(const mv_tiff_layout *layout, uint64_t width);

// Gives the table every gray from 0 to the largest index.
void mv_tiff_fill_grays(mv_tiff_layout *layout);

// Converts `count` pixels to RGB by the alpha policy.
void mv_tiff_convert(const mv_tiff_layout *layout, const uint8_t *const *planes, uint32_t count, int alpha,
                     uint8_t *rgb);

#endif
