#include "tiles.h"

#include <string.h>

enum {
    SIDE = 16,                // rows of a tile, and columns of a tile of sums
    BLOCK = 2 * SIDE,         // rows and columns of sums at a time; numbers in a tile's row
    ROW = 64,                 // bytes of a tile's row
    TILE = SIDE * ROW,
    STEP = 2 * TILE,          // bytes of weights for BLOCK columns and ROW bytes of the inputs
    SUMS = BLOCK * BLOCK * 4  // bytes of a block of sums
};

static size_t up_to(size_t count, size_t multiple) { return (count + multiple - 1) / multiple * multiple; }
static size_t steps_of(const mv_matmul *spec) { return (size_t)spec->k / BLOCK; }

int mv_tiles_compute(const mv_matmul *spec) {
    return spec->packed && spec->operands == MV_BF16 && spec->src_k_stride == 1 && !spec->multiply &&
           !(spec->accumulate && spec->result != MV_F32) && spec->k % BLOCK == 0 && spec->m >= BLOCK &&
           spec->n >= BLOCK && (spec->activation == MV_ACTIVATION_NONE || spec->activation == MV_ACTIVATION_GELU_ERF);
}

size_t mv_tiles_packed_size(const mv_matmul *spec) {
    return up_to((size_t)spec->n, BLOCK) / BLOCK * steps_of(spec) * STEP;
}

// Sums of all rows for one block of columns, aligned.
size_t mv_tiles_scratch_size(const mv_matmul *spec) { return up_to((size_t)spec->m, BLOCK) / BLOCK * SUMS + ROW; }

static uint16_t rounded(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Blocks of columns, in each all inputs in steps of 32, in each two tiles: a row of a tile has two consecutive inputs
// for each of 16 columns.
void mv_tiles_pack(const mv_matmul *spec, const float *weights, int transposed, void *packed) {
    size_t n = (size_t)spec->n, k = (size_t)spec->k;
    size_t column_stride = transposed ? 1 : k, input_stride = transposed ? n : 1;
    uint16_t *tile = packed;
    for (size_t block = 0; block < n; block += BLOCK)
        for (size_t from = 0; from < k; from += BLOCK)
            for (size_t start = block; start < block + BLOCK; start += SIDE, tile += SIDE * BLOCK)
                for (size_t column = 0; column < SIDE; column++)
                    for (size_t i = 0; i < BLOCK; i++) {
                        int exists = start + column < n;
                        size_t place = exists ? (start + column) * column_stride + (from + i) * input_stride : 0;
                        tile[(i / 2 * SIDE + column) * 2 + i % 2] = exists ? rounded(weights[place]) : 0;
                    }
}

#if defined(__x86_64__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))
#define INLINE static inline TARGET __attribute__((always_inline))

int mv_tiles_are_permitted(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

// Tiles 0 to 3 are sums, 4 and 5 inputs of the upper and the lower rows, 6 and 7 weights.
TARGET static void configure(size_t rows) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    size_t upper = rows < SIDE ? rows : SIDE, lower = rows > SIDE ? rows - SIDE : SIDE;
    for (int i = 0; i < 8; i++) {
        tiles.row_bytes[i] = ROW;
        tiles.rows[i] = SIDE;
    }
    tiles.rows[0] = tiles.rows[1] = tiles.rows[4] = (uint8_t)upper;
    tiles.rows[2] = tiles.rows[3] = tiles.rows[5] = (uint8_t)lower;
    _tile_loadconfig(&tiles);
}

// A block of sums, from zero or continued. Meanwhile weights that come next are fetched into the second cache, `lines`
// of them per step.
INLINE void multiply(int two, const uint8_t *inputs, size_t stride, const uint8_t *weights, size_t steps,
                     uint8_t *sums, int continues, const uint8_t *next, size_t lines) {
    if (continues) {
        _tile_loadd(0, sums, 2 * ROW);
        _tile_loadd(1, sums + ROW, 2 * ROW);
        if (two) _tile_loadd(2, sums + STEP, 2 * ROW);
        if (two) _tile_loadd(3, sums + STEP + ROW, 2 * ROW);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        if (two) _tile_zero(2);
        if (two) _tile_zero(3);
    }
    for (size_t k = 0; k < steps; k++, inputs += ROW, weights += STEP) {
        _tile_loadd(4, inputs, stride);
        _tile_loadd(6, weights, ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, weights + TILE, ROW);
        _tile_dpbf16ps(1, 4, 7);
        if (two) {
            _tile_loadd(5, inputs + SIDE * stride, stride);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        for (size_t i = 0; i < lines; i++, next += ROW) _mm_prefetch((const char *)next, _MM_HINT_T1);
    }
    _tile_stored(0, sums, 2 * ROW);
    _tile_stored(1, sums + ROW, 2 * ROW);
    if (two) _tile_stored(2, sums + STEP, 2 * ROW);
    if (two) _tile_stored(3, sums + STEP + ROW, 2 * ROW);
}

// x Φ(x), where Φ is that of Abramowitz and Stegun 7.1.26, to 1e-7.
INLINE __m512 gelu(__m512 x) {
    enum { FRACTION_ABOVE_FLOOR = 0x09 };
    const __m512 one = _mm512_set1_ps(1), two = _mm512_set1_ps(2);
    __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f));
    __m512 d = _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), one), t = _mm512_rcp14_ps(d);
    t = _mm512_mul_ps(t, _mm512_fnmadd_ps(d, t, two));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    // 2^e for e = -z² log2(e): a polynomial of the fraction times the power of the whole part.
    __m512 e = _mm512_mul_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-1.44269504f));
    __m512 r = _mm512_reduce_ps(e, FRACTION_ABOVE_FLOOR), q = _mm512_set1_ps(0.00187778413f);
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0.00898912736f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0.0558261729f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0.240153818f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0.693153024f));
    q = _mm512_scalef_ps(_mm512_fmadd_ps(q, r, _mm512_set1_ps(0.999999927f)), e);
    // Half of what is missing of the error function: Φ(-|x|).
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), _mm512_mul_ps(q, _mm512_set1_ps(0.5f)));
    __mmask16 positive = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_mul_ps(x, _mm512_mask_sub_ps(tail, positive, one, tail));
}

// 16 results of a row.
INLINE __m512 result(const mv_matmul *spec, const uint8_t *sums, const float *bias, __mmask16 some) {
    __m512 x = _mm512_load_ps(sums);
    if (bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(some, bias));
    return spec->activation == MV_ACTIVATION_GELU_ERF ? gelu(x) : x;
}

// A block's results from its sums.
INLINE void finish(const mv_matmul *spec, const mv_buffers *buffers, const uint8_t *sums, size_t row,
                   size_t rows, size_t column) {
    size_t left = (size_t)spec->n - column;
    __mmask32 some = left >= BLOCK ? ~(__mmask32)0 : ((__mmask32)1 << left) - 1;
    const float *bias = spec->has_bias ? (const float *)buffers->bias + column : 0;
    for (size_t i = 0; i < rows; i++, sums += 2 * ROW) {
        __m512 x = result(spec, sums, bias, (__mmask16)some);
        __m512 y = result(spec, sums + ROW, bias ? bias + SIDE : 0, (__mmask16)(some >> SIDE));
        size_t place = (row + i) * (size_t)spec->dst_stride + column;
        if (spec->result == MV_F32) {
            float *dst = (float *)buffers->dst + place;
            if (spec->accumulate) {
                x = _mm512_add_ps(x, _mm512_maskz_loadu_ps((__mmask16)some, dst));
                y = _mm512_add_ps(y, _mm512_maskz_loadu_ps((__mmask16)(some >> SIDE), dst + SIDE));
            }
            _mm512_mask_storeu_ps(dst, (__mmask16)some, x);
            _mm512_mask_storeu_ps(dst + SIDE, (__mmask16)(some >> SIDE), y);
        } else {
            _mm512_mask_storeu_epi16((uint16_t *)buffers->dst + place, some, (__m512i)_mm512_cvtne2ps_pbh(y, x));
        }
    }
}

// Each block of columns is computed for all rows, so that weights are read once; inputs in parts whose weights stay in
// the first cache.
TARGET void mv_tiles_run(const mv_matmul *spec, const mv_buffers *buffers) {
    enum { MOST_STEPS = 16 };
    size_t m = (size_t)spec->m, n = (size_t)spec->n, steps = steps_of(spec), blocks = up_to(m, BLOCK) / BLOCK;
    size_t parts = up_to(steps, MOST_STEPS) / MOST_STEPS, part = up_to(steps, parts) / parts;
    size_t stride = (size_t)spec->src_stride * 2;
    size_t lines = (STEP / ROW + blocks - 1) / blocks, configured = BLOCK;
    uint8_t *sums = (uint8_t *)up_to((uintptr_t)buffers->scratch, ROW);
    const uint8_t *weights = buffers->weights;
    configure(BLOCK);
    for (size_t column = 0; column < n; column += BLOCK, weights += steps * STEP) {
        const uint8_t *next = weights + steps * STEP;
        for (size_t from = 0; from < steps; from += part) {
            size_t count = steps - from < part ? steps - from : part;
            for (size_t row = 0; row < m; row += BLOCK, next += count * lines * ROW) {
                size_t rows = m - row < BLOCK ? m - row : BLOCK;
                if (rows != configured) configure(configured = rows);
                const uint8_t *inputs = (const uint8_t *)buffers->src + row * stride + from * ROW;
                uint8_t *block = sums + row / BLOCK * SUMS;
                size_t fetched = column + BLOCK < n ? lines : 0;
                if (rows > SIDE)
                    multiply(1, inputs, stride, weights + from * STEP, count, block, from > 0, next, fetched);
                else
                    multiply(0, inputs, stride, weights + from * STEP, count, block, from > 0, next, fetched);
                if (from + count == steps) finish(spec, buffers, block, row, rows, column);
            }
        }
    }
    _tile_release();
}

#else

int mv_tiles_are_permitted(void) { return 0; }

void mv_tiles_run(const mv_matmul *spec, const mv_buffers *buffers) {
    (void)spec;
    (void)buffers;
}

#endif
