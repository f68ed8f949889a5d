#include "linear.h"

#include "tiles.h"

enum {
    STEP = 2 * TILE * 4,      // bytes of weights for PAIR columns and as many inputs
    SUMS = PAIR * PAIR * 4,   // bytes of a block of sums
    ROW = ALIGNMENT,          // bytes of a tile's row
};

static size_t steps_of(const mv_linear *layer) { return layer->inputs / PAIR; }

int mv_linear_is_supported(const mv_linear *layer) {
    return layer->inputs % PAIR == 0 && layer->rows >= PAIR && layer->outputs >= PAIR &&
           !(layer->is_added && !layer->is_wide);
}

size_t mv_linear_packed_size(const mv_linear *layer) {
    return up_to(layer->outputs, PAIR) / PAIR * steps_of(layer) * STEP;
}

// Sums of all rows for one block of columns, aligned.
size_t mv_linear_scratch(const mv_linear *layer) { return up_to(layer->rows, PAIR) / PAIR * SUMS + ROW; }

#if defined(__x86_64__)

#include <sys/syscall.h>
#include <unistd.h>

int mv_linear_is_permitted(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

// A tile from up to 16 rows of weights with 32 inputs each.
INLINE_WITH_TILES void pack_rows(const float *weights, size_t stride, size_t count, uint32_t *tile) {
    __m512i rows[SIDE];
    for (size_t i = 0; i < SIDE; i++)
        rows[i] = i < count ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(weights + i * stride + SIDE),
                                                           _mm512_loadu_ps(weights + i * stride))
                            : _mm512_setzero_si512();
    transpose(rows);
    for (size_t i = 0; i < SIDE; i++) _mm512_storeu_si512(tile + i * SIDE, rows[i]);
}

// A tile from 32 inputs of up to 16 columns of weights.
INLINE_WITH_TILES void pack_columns(const float *weights, size_t stride, size_t count, uint32_t *tile) {
    __mmask16 some = (__mmask16)first(count);
    for (size_t i = 0; i < PAIR; i += 2, weights += 2 * stride, tile += SIDE) {
        __m256i even = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, weights));
        __m256i odd = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, weights + stride));
        __m512i pairs = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
        _mm512_storeu_si512(tile, _mm512_or_si512(pairs, _mm512_cvtepu16_epi32(even)));
    }
}

// Blocks of columns, in each all inputs in steps of 32, in each two tiles.
WITH_TILES void mv_linear_pack(const mv_linear *layer, const float *weights, int is_transposed, void *packed) {
    size_t inputs = layer->inputs, outputs = layer->outputs;
    uint32_t *tile = packed;
    for (size_t block = 0; block < outputs; block += PAIR)
        for (size_t from = 0; from < inputs; from += PAIR)
            for (size_t start = block; start < block + PAIR; start += SIDE, tile += TILE) {
                size_t count = start < outputs ? outputs - start : 0;
                if (is_transposed)
                    pack_columns(weights + from * outputs + start, outputs, count, tile);
                else
                    pack_rows(weights + start * inputs + from, inputs, count, tile);
            }
}

// A block of sums, from zero or continued. Meanwhile weights that come next are fetched into the second cache, `lines`
// of them per step.
INLINE_WITH_TILES void multiply(int two, const uint8_t *inputs, size_t stride, const uint8_t *weights, size_t steps,
                                uint8_t *sums, int continues, const uint8_t *next, size_t lines) {
    if (continues) {
        _tile_loadd(0, sums, 2 * ROW);
        _tile_loadd(1, sums + ROW, 2 * ROW);
        if (two) _tile_loadd(2, sums + SUMS / 2, 2 * ROW);
        if (two) _tile_loadd(3, sums + SUMS / 2 + ROW, 2 * ROW);
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
        _tile_loadd(7, weights + STEP / 2, ROW);
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
    if (two) _tile_stored(2, sums + SUMS / 2, 2 * ROW);
    if (two) _tile_stored(3, sums + SUMS / 2 + ROW, 2 * ROW);
}

// x Φ(x), where Φ is that of Abramowitz and Stegun 7.1.26, to 1e-7.
INLINE_WITH_TILES __m512 gelu(__m512 x) {
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
INLINE_WITH_TILES __m512 result_of(const mv_linear *layer, const uint8_t *sums, const float *bias, __mmask16 some) {
    __m512 x = _mm512_load_ps(sums);
    if (bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(some, bias));
    return layer->has_gelu ? gelu(x) : x;
}

// A block's results from its sums.
INLINE_WITH_TILES void finish(const mv_linear *layer, const float *bias, void *result, const uint8_t *sums, size_t row,
                              size_t rows, size_t column) {
    __mmask32 some = first(layer->outputs - column);
    __mmask16 left = (__mmask16)some, right = (__mmask16)(some >> SIDE);
    if (bias) bias += column;
    for (size_t i = 0; i < rows; i++, sums += 2 * ROW) {
        __m512 x = result_of(layer, sums, bias, left);
        __m512 y = result_of(layer, sums + ROW, bias ? bias + SIDE : 0, right);
        size_t place = (row + i) * layer->result_stride + column;
        if (!layer->is_wide) {
            _mm512_mask_storeu_epi16((uint16_t *)result + place, some, (__m512i)_mm512_cvtne2ps_pbh(y, x));
            continue;
        }
        float *wide = (float *)result + place;
        if (layer->is_added) {
            x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(left, wide));
            y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(right, wide + SIDE));
        }
        _mm512_mask_storeu_ps(wide, left, x);
        _mm512_mask_storeu_ps(wide + SIDE, right, y);
    }
}

// Each block of columns is computed for all rows, so that weights are read once; inputs in parts whose weights stay in
// the first cache.
WITH_TILES void mv_linear_compute(const mv_linear *layer, const uint16_t *source, const void *packed,
                                  const float *bias, void *result, void *scratch) {
    enum { MOST_STEPS = 16 };
    size_t m = layer->rows, n = layer->outputs, steps = steps_of(layer), blocks = up_to(m, PAIR) / PAIR;
    size_t parts = up_to(steps, MOST_STEPS) / MOST_STEPS, part = up_to(steps, parts) / parts;
    size_t stride = layer->source_stride * 2;
    size_t lines = (STEP / ROW + blocks - 1) / blocks, configured = PAIR;
    uint8_t *sums = (uint8_t *)up_to((uintptr_t)scratch, ALIGNMENT);
    const uint8_t *weights = packed;
    configure_tiles(PAIR);
    for (size_t column = 0; column < n; column += PAIR, weights += steps * STEP) {
        const uint8_t *next = weights + steps * STEP;
        for (size_t from = 0; from < steps; from += part) {
            size_t count = steps - from < part ? steps - from : part;
            for (size_t row = 0; row < m; row += PAIR, next += count * lines * ROW) {
                size_t rows = m - row < PAIR ? m - row : PAIR;
                if (rows != configured) configure_tiles(configured = rows);
                const uint8_t *inputs = (const uint8_t *)source + row * stride + from * ROW;
                uint8_t *block = sums + row / PAIR * SUMS;
                size_t fetched = column + PAIR < n ? lines : 0;
                if (rows > SIDE)
                    multiply(1, inputs, stride, weights + from * STEP, count, block, from > 0, next, fetched);
                else
                    multiply(0, inputs, stride, weights + from * STEP, count, block, from > 0, next, fetched);
                if (from + count == steps) finish(layer, bias, result, block, row, rows, column);
            }
        }
    }
    _tile_release();
}

#else

int mv_linear_is_permitted(void) { return 0; }

void mv_linear_pack(const mv_linear *layer, const float *weights, int is_transposed, void *packed) {
    (void)layer, (void)weights, (void)is_transposed, (void)packed;
}

void mv_linear_compute(const mv_linear *layer, const uint16_t *source, const void *packed, const float *bias,
                       void *result, void *scratch) {
    (void)layer, (void)source, (void)packed, (void)bias, (void)result, (void)scratch;
}

#endif
