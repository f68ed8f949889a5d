#include "CImageCodecs.h"

#include <limits.h>
#include <zlib.h>

int mv_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t capacity, size_t *count) {
    *count = 0;
    if (size > UINT_MAX || capacity > UINT_MAX) return MV_UNSUPPORTED;
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    if (inflateInit(&stream) != Z_OK) return MV_NO_MEMORY;
    stream.next_out = out;
    stream.avail_out = (uInt)capacity;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    *count = capacity - stream.avail_out;
    int is_full = status == Z_OK && stream.avail_out == 0;
    inflateEnd(&stream);
    if (is_full) return MV_UNSUPPORTED;
    return status == Z_STREAM_END || status == Z_OK || status == Z_BUF_ERROR ? MV_OK : MV_DAMAGED;
}

uint32_t mv_crc32(const uint8_t *data, size_t size) { return (uint32_t)crc32_z(crc32_z(0, Z_NULL, 0), data, size); }
