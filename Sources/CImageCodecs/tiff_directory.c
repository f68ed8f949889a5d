#include "tiff.h"

#include <string.h>

// A file in either byte order, with offsets of 4 bytes or, in BigTIFF, of 8.
typedef struct {
    const uint8_t *data;
    size_t size;
    int is_little, is_big_tiff;
} file;

static uint64_t number(const file *f, uint64_t offset, unsigned bytes) {
    uint64_t value = 0;
    if (offset > f->size || f->size - offset < bytes) return 0;
    for (unsigned i = 0; i < bytes; i++) value = value << 8 | f->data[offset + (f->is_little ? bytes - 1 - i : i)];
    return value;
}

// The bytes of a value of each type; 0 for unknown ones.
static unsigned type_size(uint64_t type) {
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

// A whole number of one value, which the file has at an offset; 0 if it is another kind of value.
static uint64_t whole_number(const file *f, uint64_t type, uint64_t offset) {
    int is_whole = type == 3 || type == 4 || type == 8 || type == 9 || type == 13 || (type >= 16 && type <= 18);
    return is_whole ? number(f, offset, type_size(type)) : 0;
}

// Whether other values of a tag would give other pixels, or another orientation.
static int concerns_pixels(uint64_t tag) {
    static const uint16_t tags[] = {258, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532, 700};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i] == tag) return 1;
    return 0;
}

static void note(mv_tiff_directory *d, const file *f, uint64_t tag, uint64_t type, uint64_t count, uint64_t offset) {
    uint64_t value = whole_number(f, type, offset);
    switch (tag) {
    case 254: d->is_reduced = value == 1; break;
    case 256: d->width = value > UINT32_MAX ? 0 : (uint32_t)value; break;
    case 257: d->height = value > UINT32_MAX ? 0 : (uint32_t)value; break;
    case 262: d->photometric = value > INT32_MAX ? INT32_MAX : (int)value; break;
    case 274: d->orientation = value > 8 ? 0 : (int)value; break;
    case 330:
        for (uint64_t i = 0; i < count && i < 8; i++)
            d->sub_directories[d->sub_directory_count++ % 8] = whole_number(f, type, offset + i * type_size(type));
        if (d->sub_directory_count > 8) d->sub_directory_count = 8;
        break;
    case 338: d->has_extra_samples = 1; break;
    case 700:
        d->xmp = f->data + offset;
        d->xmp_size = (size_t)(count * type_size(type));
        break;
    }
}

int mv_tiff_read_directory(const uint8_t *data, size_t size, uint64_t offset, mv_tiff_directory *directory,
                           char *message) {
    file f = {data, size, data[0] == 'I', data[data[0] == 'I' ? 2 : 3] == 43};
    unsigned word = f.is_big_tiff ? 8 : 4, entry_size = f.is_big_tiff ? 20 : 12;
    *directory = (mv_tiff_directory){.photometric = -1, .orientation = MV_NO_ORIENTATION};
    if (offset == 0) offset = number(&f, f.is_big_tiff ? 8 : 4, word);
    unsigned start = f.is_big_tiff ? 8 : 2;
    uint64_t count = number(&f, offset, start);
    if (offset < 8 || offset > size || size - offset < start || count > (size - offset - start) / entry_size)
        return mv_fail(MV_DAMAGED, message, "premature end of data: no directory at offset %llu",
                       (unsigned long long)offset);
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t entry = offset + start + i * entry_size;
        uint64_t tag = number(&f, entry, 2), type = number(&f, entry + 2, 2), values = number(&f, entry + 4, word);
        uint64_t place = entry + 4 + word, bytes;
        if (values == 0 || type_size(type) == 0) continue;
        if (__builtin_mul_overflow(values, (uint64_t)type_size(type), &bytes)) continue;
        if (bytes > word) place = number(&f, place, word);
        if (place > size || size - place < bytes) {
            // libtiff warns and continues, with a gray picture instead of a palette for example.
            if (!concerns_pixels(tag)) continue;
            return mv_fail(MV_DAMAGED, message, "premature end of data: no values of tag %u", (unsigned)tag);
        }
        if (bytes > word) total += bytes;
        note(directory, &f, tag, type, values, place);
    }
    // libtiff reads all tags, even those that it does not know: many may share the same bytes.
    if (total > size) return mv_fail(MV_DAMAGED, message, "tags have more data than the file");
    directory->next = number(&f, offset + start + count * entry_size, word);
    return MV_OK;
}
