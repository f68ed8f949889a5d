#ifndef MV_IMAGE_CODECS_H
#define MV_IMAGE_CODECS_H

// Libraries report errors by longjmp, callbacks and text on stderr. All of that starts and ends inside these functions:
// they read from memory, return a status, and on failure write the reason as text to `message`.

#include <stddef.h>
#include <stdint.h>

#define MV_MESSAGE_SIZE 240

enum {
    MV_OK = 0,
    MV_DAMAGED = 1,      // cut short, bad checksum, bad code
    MV_UNSUPPORTED = 2,  // well-formed, but not supported
    MV_NO_MEMORY = 3,
};

// How transparency is decoded.
enum {
    MV_ALPHA_WHITE = 0,   // composited on white
    MV_ALPHA_BLACK = 1,   // composited on black
    MV_ALPHA_IGNORE = 2,  // dropped; colours stay as stored
};

// The orientation of a picture whose codec has none.
#define MV_NO_ORIENTATION -1

typedef struct {
    int alpha;
    // The least size to decode at, of the picture as stored: a codec may give the whole picture at any size that is not
    // below it. 0 x 0: at the size of the header.
    uint32_t least_width, least_height;
    // How many bytes the codec may allocate at once. What the picture needs is computed and compared before.
    uint64_t most_memory;
} mv_options;

// What a codec says about a picture.
typedef struct {
    // By open: the size in the header. By start: the size of the rows that are read.
    uint32_t width, height;
    // 1 if all rows must be read by one call, because the pixels are not stored row by row.
    int is_whole;
    // A value of EXIF tag 0x0112 as stored, valid or not, or MV_NO_ORIENTATION.
    int orientation;
    // The first of the file's EXIF data and of its XMP packets, within the data; NULL if there is none. Unused by
    // codecs whose files Swift searches (PNG, JPEG).
    const uint8_t *exif, *xmp;
    size_t exif_size, xmp_size;
} mv_picture;

// The state of a decoder; each codec has its own structure of this name.
typedef struct mv_reader mv_reader;

// A codec: a decoder of one format. The functions of one picture are called in the order below, each once except for
// reading rows; after a failure, only close. `data` must stay valid until then.
typedef struct {
    // The name of the format, as in "PNG".
    const char *name;
    // The library as Debian calls its package, such as "libpng-dev"; NULL if the decoder is ours.
    const char *package;

    // Whether the first bytes are those of the format.
    int (*matches)(const uint8_t *data, size_t size);

    // Reads the header: sets everything but `is_whole`, without allocating memory for the picture, and refuses data too
    // short for that many pixels. Sets `reader` to NULL on failure. The function is NULL if the format is not built in.
    int (*open)(const uint8_t *data, size_t size, const mv_options *options, mv_reader **reader, mv_picture *picture,
                char *message);

    // Reads everything before the pixels. Sets the size of the rows, and `is_whole`.
    int (*start)(mv_reader *reader, const mv_options *options, mv_picture *picture, char *message);

    // Decodes the next `rows` rows to `rgb`, which holds rows * width * 3 bytes.
    int (*read_rows)(mv_reader *reader, uint8_t *rgb, uint32_t rows, char *message);

    // Checks the end of the pixels, after the last row. Only if this succeeds is the picture intact.
    int (*finish)(mv_reader *reader, char *message);

    // Frees the reader, at any time. NULL is ignored.
    void (*close)(mv_reader *reader);
} mv_codec;

// The codec at an index; NULL after the last.
const mv_codec *mv_codec_at(size_t index);

// The codec of a file by its first bytes, built in or not; NULL if there is none.
const mv_codec *mv_codec_of(const uint8_t *data, size_t size);

// Encodes width * height * 3 bytes as a baseline JPEG of a quality from 1 to 100 into `data`, which holds `capacity`
// bytes, and sets `size` to its length. The same pixels give the same bytes with the same library.
int mv_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t *data, size_t capacity,
                   size_t *size, char *message);

// Unpacks a zlib stream into `out`, and sets `count` to the number of bytes. A truncated stream gives the bytes before
// its end. Returns MV_DAMAGED if it is not a zlib stream, MV_UNSUPPORTED if it unpacks to more than `capacity` bytes.
int mv_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t capacity, size_t *count);

// The CRC-32 of a PNG chunk's name and content.
uint32_t mv_crc32(const uint8_t *data, size_t size);

#endif
