// What loops with matrix instructions (AMX) share. A tile of the second operand has in row i the elements 2i and 2i + 1
// of the index that is summed over, for 16 columns.
#ifndef MV_TILES_H
#define MV_TILES_H

#include "vectors.h"

enum { TILE = SIDE * SIDE };  // dwords of a tile, which has SIDE rows of ALIGNMENT bytes

#if defined(__x86_64__)

#define WITH_TILES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))
#define INLINE_WITH_TILES static inline WITH_TILES __attribute__((always_inline))

// Tiles 0 to 3 are sums of up to 32 rows and 32 columns, 4 and 5 the first operand's upper and lower rows, 6 and 7 the
// second's left and right columns.
static inline WITH_TILES void configure_tiles(size_t rows) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    size_t upper = rows < SIDE ? rows : SIDE, lower = rows > SIDE ? rows - SIDE : SIDE;
    for (int i = 0; i < 8; i++) {
        tiles.row_bytes[i] = ALIGNMENT;
        tiles.rows[i] = SIDE;
    }
    tiles.rows[0] = tiles.rows[1] = tiles.rows[4] = (uint8_t)upper;
    tiles.rows[2] = tiles.rows[3] = tiles.rows[5] = (uint8_t)lower;
    _tile_loadconfig(&tiles);
}

#endif

#endif
