#include "ProcessorLimits.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdint.h>

#include "clock.h"

enum { ROUNDS = 2000, SIDE = 16, ROW_BYTES = 64, SUMS = 6 };

#define WITH_TILES __attribute__((target("amx-tile,amx-bf16,amx-int8")))

// All eight tiles have 16 rows of 64 bytes: six of sums, and two operands.
static WITH_TILES void configure(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.row_bytes[i] = ROW_BYTES;
        tiles.rows[i] = SIDE;
    }
    _tile_loadconfig(&tiles);
}

// As in f32_limit.c: independent chains of the one instruction, in registers.
#define DEFINE_LIMIT(name, product, operand_bytes)                                             \
    WITH_TILES double name(double seconds) {                                                   \
        configure();                                                                           \
        double start = now(), elapsed, count = 0;                                              \
        do {                                                                                   \
            for (int round = 0; round < ROUNDS; round++) {                                     \
                product(0, 6, 7);                                                              \
                product(1, 6, 7);                                                              \
                product(2, 6, 7);                                                              \
                product(3, 6, 7);                                                              \
                product(4, 6, 7);                                                              \
                product(5, 6, 7);                                                              \
            }                                                                                  \
            count += ROUNDS;                                                                   \
            elapsed = now() - start;                                                           \
        } while (elapsed < seconds);                                                           \
        _tile_release();                                                                       \
        return count * SUMS * SIDE * SIDE * (ROW_BYTES / (operand_bytes)) * 2 / elapsed;       \
    }

DEFINE_LIMIT(mv_bf16_matrix_limit, _tile_dpbf16ps, 2)
DEFINE_LIMIT(mv_int8_matrix_limit, _tile_dpbusd, 1)

#else

double mv_bf16_matrix_limit(double seconds) { return 0 * seconds; }
double mv_int8_matrix_limit(double seconds) { return 0 * seconds; }

#endif
