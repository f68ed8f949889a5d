#include "attention.h"

#include "tiles.h"

#if defined(__x86_64__)

#include <string.h>

enum { FEW = 8 };  // rows at a time without tiles

int mv_attention_is_supported(void) {
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// One thread's memory: rows and columns are filled up with zeros to whole pairs of tiles.
typedef struct {
    uint32_t *keys, *values;
    uint16_t *queries;
    float *scores;  // of PAIR rows; softmax writes each row's result at its start
    float *mixed;
} memory;

// Divides memory that begins at `base`; gives how many bytes that takes.
static size_t divide(const mv_heads *h, uintptr_t base, memory *m) {
    size_t tokens = up_to(h->tokens, PAIR), size = up_to(h->size, PAIR), used = 0;
#define TAKE(member, bytes) (m->member = (void *)(base + used), used += (bytes))
    TAKE(keys, tokens * size * 2);
    TAKE(values, tokens * size * 2);
    TAKE(queries, PAIR * size * 2);
    TAKE(scores, PAIR * tokens * 4);
    TAKE(mixed, PAIR * size * 4);
#undef TAKE
    return used;
}

size_t mv_attention_scratch(const mv_heads *heads) {
    memory m;
    return divide(heads, 0, &m) + ALIGNMENT;
}

// Tiles of the same columns follow each other.

// kᵀ: the index is the head's dimension, columns are tokens.
static WITH_TILES void pack_keys(const mv_heads *h, const uint16_t *keys, uint32_t *tile) {
    for (size_t token = 0; token < up_to(h->tokens, PAIR); token += SIDE)
        for (size_t from = 0; from < h->size; from += PAIR, tile += TILE) {
            __m512i rows[SIDE];
            for (size_t i = 0; i < SIDE; i++)
                rows[i] = token + i < h->tokens ? _mm512_maskz_loadu_epi16(first(h->size - from),
                                                                           keys + (token + i) * h->row_stride + from)
                                                : _mm512_setzero_si512();
            transpose(rows);
            for (size_t i = 0; i < SIDE; i++) _mm512_store_si512(tile + i * SIDE, rows[i]);
        }
}

// v: the index is the token, columns are the head's dimension.
static WITH_TILES void pack_values(const mv_heads *h, const uint16_t *values, uint32_t *tiles) {
    uint16_t low[PAIR], high[PAIR];
    for (uint16_t i = 0; i < SIDE; i++) {
        low[2 * i] = i;
        low[2 * i + 1] = PAIR + i;
        high[2 * i] = SIDE + i;
        high[2 * i + 1] = PAIR + SIDE + i;
    }
    const __m512i even = _mm512_loadu_si512(low), odd = _mm512_loadu_si512(high);
    size_t column = up_to(h->tokens, PAIR) / PAIR * TILE;
    for (size_t token = 0; token < up_to(h->tokens, PAIR); token += 2) {
        uint32_t *row = tiles + token / PAIR * TILE + token % PAIR / 2 * SIDE;
        const uint16_t *source = values + token * h->row_stride;
        for (size_t from = 0; from < h->size; from += PAIR, row += 2 * column) {
            __mmask32 some = first(h->size - from);
            __m512i a = _mm512_maskz_loadu_epi16(token < h->tokens ? some : 0, source + from);
            __m512i b = _mm512_maskz_loadu_epi16(token + 1 < h->tokens ? some : 0, source + h->row_stride + from);
            _mm512_store_si512(row, _mm512_permutex2var_epi16(a, even, b));
            _mm512_store_si512(row + column, _mm512_permutex2var_epi16(a, odd, b));
        }
    }
}

// c = a b for up to 32 rows of `depth` numbers, `columns` wide; both are multiples of 32. By matrix instructions:
INLINE_WITH_TILES void multiply_tiles(const uint16_t *a, size_t a_stride, const uint32_t *b, size_t depth, float *c,
                                      size_t columns, int two) {
    size_t stride = columns * 4, steps = depth / PAIR;
    for (size_t column = 0; column < columns; column += PAIR, b += 2 * steps * TILE) {
        _tile_zero(0);
        _tile_zero(1);
        if (two) _tile_zero(2);
        if (two) _tile_zero(3);
        for (size_t k = 0; k < steps; k++) {
            _tile_loadd(4, a + k * PAIR, a_stride * 2);
            _tile_loadd(6, b + k * TILE, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + (steps + k) * TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
            if (!two) continue;
            _tile_loadd(5, a + SIDE * a_stride + k * PAIR, a_stride * 2);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, c + column, stride);
        _tile_stored(1, c + column + SIDE, stride);
        if (!two) continue;
        _tile_stored(2, c + SIDE * columns + column, stride);
        _tile_stored(3, c + SIDE * columns + column + SIDE, stride);
    }
}

// The same by products of pairs, for FEW rows.
INLINE_WITH_TILES void multiply_pairs(const uint16_t *a, size_t a_stride, const uint32_t *b, size_t depth, float *c,
                                      size_t columns) {
    for (size_t column = 0; column < columns; column += PAIR, b += depth * SIDE) {
        const uint32_t *other = b + depth / 2 * SIDE;
        __m512 left[FEW], right[FEW];
        for (size_t row = 0; row < FEW; row++) left[row] = right[row] = _mm512_setzero_ps();
        for (size_t k = 0; k < depth / 2; k++) {
            __m512bh l = (__m512bh)_mm512_load_si512(b + k * SIDE), r = (__m512bh)_mm512_load_si512(other + k * SIDE);
            for (size_t row = 0; row < FEW; row++) {
                uint32_t pair;
                memcpy(&pair, a + row * a_stride + 2 * k, sizeof pair);
                __m512bh both = (__m512bh)_mm512_set1_epi32((int)pair);
                left[row] = _mm512_dpbf16_ps(left[row], both, l);
                right[row] = _mm512_dpbf16_ps(right[row], both, r);
            }
        }
        for (size_t row = 0; row < FEW; row++) {
            _mm512_store_ps(c + row * columns + column, left[row]);
            _mm512_store_ps(c + row * columns + column + SIDE, right[row]);
        }
    }
}

static WITH_TILES void product(int tiles, const uint16_t *a, size_t a_stride, const uint32_t *b, size_t depth, float *c,
                           size_t columns, size_t rows) {
    if (!tiles)
        for (size_t row = 0; row < rows; row += FEW)
            multiply_pairs(a + row * a_stride, a_stride, b, depth, c + row * columns, columns);
    else if (rows > SIDE)
        multiply_tiles(a, a_stride, b, depth, c, columns, 1);
    else
        multiply_tiles(a, a_stride, b, depth, c, columns, 0);
}

// What is added to a row of scores.
INLINE_WITH_TILES void add(const float *restrict addend, float *restrict row, size_t count) {
    for (size_t i = 0; i < count; i++) row[i] += addend[i];
}

// Replaces a row of scores by the exponentials of their distances from the largest, in bf16, `count` with zeros after
// the tokens; gives one over their sum. A row of numbers is written no further than the scores before it were read.
INLINE_WITH_TILES float exponentials(float *row, size_t tokens, size_t count) {
    const __m512 lowest = _mm512_set1_ps(-3e38f), log2_e = _mm512_set1_ps(1.44269504f);
    size_t whole = tokens / SIDE * SIDE;
    if (whole < tokens) {
        __mmask16 some = (__mmask16)first(tokens - whole);
        _mm512_store_ps(row + whole, _mm512_mask_mov_ps(lowest, some, _mm512_load_ps(row + whole)));
    }
    if (up_to(tokens, SIDE) < count) _mm512_store_ps(row + count - SIDE, lowest);
    __m512 largest = lowest, other = lowest;
    for (size_t i = 0; i < count; i += PAIR) {
        largest = _mm512_max_ps(largest, _mm512_load_ps(row + i));
        other = _mm512_max_ps(other, _mm512_load_ps(row + i + SIDE));
    }
    __m512 shift = _mm512_mul_ps(_mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(largest, other))), log2_e);
    __m512 sum = _mm512_setzero_ps(), other_sum = sum;
    for (size_t i = 0; i < count; i += PAIR) {
        __m512 a = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(row + i), log2_e, shift));
        __m512 b = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(row + i + SIDE), log2_e, shift));
        sum = _mm512_add_ps(sum, a);
        other_sum = _mm512_add_ps(other_sum, b);
        _mm512_store_si512((uint16_t *)row + i, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    }
    return 1 / _mm512_reduce_add_ps(_mm512_add_ps(sum, other_sum));
}

// The rows of queries, filled up with zeros where tiles would read beyond them.
INLINE_WITH_TILES const uint16_t *padded(const mv_heads *h, const uint16_t *queries, size_t rows, uint16_t *memory,
                                         size_t *stride) {
    size_t size = up_to(h->size, PAIR);
    *stride = h->row_stride;
    if (rows % SIDE == 0 && size == h->size) return queries;
    *stride = size;
    memset(memory, 0, PAIR * size * sizeof *memory);
    for (size_t i = 0; i < rows; i++)
        memcpy(memory + i * size, queries + i * h->row_stride, h->size * sizeof *memory);
    return memory;
}

WITH_TILES void mv_attention(const mv_heads *h, int uses_tiles, void *scratch) {
    const uint16_t *all_queries = h->queries, *keys = h->keys, *values = h->values;
    size_t tokens = up_to(h->tokens, PAIR), size = up_to(h->size, PAIR);
    memory m;
    divide(h, up_to((uintptr_t)scratch, ALIGNMENT), &m);
    if (uses_tiles) configure_tiles(PAIR);
    for (size_t head = 0; head < h->count; head++) {
        pack_keys(h, keys + head * h->size, m.keys);
        pack_values(h, values + head * h->size, m.values);
        for (size_t row = 0; row < h->rows; row += PAIR) {
            size_t rows = h->rows - row < PAIR ? h->rows - row : PAIR, stride;
            const uint16_t *queries =
                padded(h, all_queries + row * h->row_stride + head * h->size, rows, m.queries, &stride);
            product(uses_tiles, queries, stride, m.keys, size, m.scores, tokens, rows);
            float factors[PAIR];
            for (size_t i = 0; i < rows; i++) {
                float *scores = m.scores + i * tokens;
                if (h->bias) add(h->bias + (head * h->rows + row + i) * h->bias_stride, scores, h->tokens);
                if (h->weights) add(h->weights, scores, h->tokens);
                factors[i] = exponentials(scores, h->tokens, tokens);
            }
            product(uses_tiles, (uint16_t *)m.scores, 2 * tokens, m.values, tokens, m.mixed, size, rows);
            for (size_t i = 0; i < rows; i++) {
                uint16_t *result = (uint16_t *)h->result + (row + i) * h->result_stride + head * h->size;
                const float *mixed = m.mixed + i * size;
                __m512 factor = _mm512_set1_ps(factors[i]);
                for (size_t from = 0; from < h->size; from += PAIR) {
                    __m512 a = _mm512_mul_ps(factor, _mm512_load_ps(mixed + from));
                    __m512 b = _mm512_mul_ps(factor, _mm512_load_ps(mixed + from + SIDE));
                    _mm512_mask_storeu_epi16(result + from, first(h->size - from), (__m512i)_mm512_cvtne2ps_pbh(b, a));
                }
            }
        }
    }
    if (uses_tiles) _tile_release();
}

#else

int mv_attention_is_supported(void) { return 0; }
size_t mv_attention_scratch(const mv_heads *heads) { return 0; }
void mv_attention(const mv_heads *heads, int uses_tiles, void *scratch) {}

#endif
