// What loops with matrix instructions (AMX) share. A tile of the second operand has in row i the elements 2i and 2i + 1
// of the index that is summed over, for 16 columns.
#ifndef MV_TILES_H
#define MV_TILES_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIDE = 16,           // rows of a tile, and columns of a tile of sums
    PAIR = 2 * SIDE,     // rows and columns of sums at a time; bf16 numbers in a tile's row
    TILE = SIDE * SIDE,  // dwords of a tile
    ALIGNMENT = 64,      // of what tiles are read from; bytes of a tile's row
};

static inline size_t up_to(size_t count, size_t multiple) { return (count + multiple - 1) / multiple * multiple; }

#if defined(__x86_64__)

#include <immintrin.h>

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

// The bits of the first `count` of 32 numbers.
INLINE_WITH_TILES __mmask32 first(size_t count) { return count >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << count) - 1; }

// 16 rows of 16 dwords become columns.
INLINE_WITH_TILES void transpose(__m512i r[SIDE]) {
    __m512i t[SIDE];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif

#endif
