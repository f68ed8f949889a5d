#include "int8_attention.h"

#include "vectors.h"

#if defined(__x86_64__)

#include <string.h>

#define WITH_QUADS __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define INLINE_WITH_QUADS static inline WITH_QUADS __attribute__((always_inline))

enum {
    FEW = 8,            // rows of sums at a time
    GROUP = 4 * SIDE,   // bytes of a vector
};

int mv_int8_attention_is_supported(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// One thread's memory: rows and columns are filled up to whole vectors of bytes.
typedef struct {
    uint32_t *keys, *values;         // packed
    int8_t *rows;                    // SIDE tokens' keys
    float *means, *key_scales;
    int32_t *corrections;            // -128 times the sums of keys
    float *value_scales, *value_offsets;
    float *thresholds;               // for a row and its tokens, from the row's number
    uint8_t *queries, *probabilities;  // of PAIR rows
    int32_t *scores, *mixed;
} memory;

// Divides memory that begins at `base`; gives how many bytes that takes.
static size_t divide(const mv_heads *h, uintptr_t base, memory *m) {
    size_t tokens = up_to(h->tokens, GROUP), size = up_to(h->size, GROUP), used = 0;
#define TAKE(member, bytes) (m->member = (void *)(base + used), used += (bytes))
    TAKE(keys, tokens * size);
    TAKE(values, tokens * size);
    TAKE(rows, SIDE * size);
    TAKE(means, size * 4);
    TAKE(key_scales, tokens * 4);
    TAKE(corrections, tokens * 4);
    TAKE(value_scales, size * 4);
    TAKE(value_offsets, size * 4);
    TAKE(thresholds, (tokens + PAIR) * 4);
    TAKE(queries, PAIR * size);
    TAKE(probabilities, PAIR * tokens);
    TAKE(scores, PAIR * tokens * 4);
    TAKE(mixed, PAIR * size * 4);
#undef TAKE
    return used;
}

size_t mv_int8_attention_scratch(const mv_heads *heads) {
    memory m;
    return divide(heads, 0, &m) + ALIGNMENT;
}

// Those of 16 numbers that begin at `from` that are among the first `count`.
INLINE_WITH_QUADS __mmask16 among(size_t count, size_t from) {
    return count <= from ? 0 : (__mmask16)first(count - from);
}

// Numbers as f32, zeros in place of others than `some`.
INLINE_WITH_QUADS __m512 load(int is_bf16, const void *numbers, size_t at, __mmask16 some) {
    if (!is_bf16) return _mm512_maskz_loadu_ps(some, (const float *)numbers + at);
    __m256i halves = _mm256_maskz_loadu_epi16(some, (const uint16_t *)numbers + at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

// The larger magnitudes. NaN is larger than all others.
INLINE_WITH_QUADS __m512i larger(__m512i magnitudes, __m512 x) {
    return _mm512_max_epu32(magnitudes, _mm512_castps_si512(_mm512_abs_ps(x)));
}

// The largest of magnitudes.
INLINE_WITH_QUADS float largest(__m512i magnitudes) {
    uint32_t bits = _mm512_reduce_max_epu32(magnitudes);
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

INLINE_WITH_QUADS __m512i rounded(__m512 x, __m512 factor) { return _mm512_cvtps_epi32(_mm512_mul_ps(x, factor)); }

// Packed numbers are groups of vectors for the same 16 columns. In each vector, a column has four of the index that is
// summed over.

// kᵀ: the index is the head's dimension, columns are tokens.
INLINE_WITH_QUADS void pack_keys(const mv_heads *h, int is_bf16, size_t head, const memory *m) {
    size_t size = up_to(h->size, GROUP), start = head * h->size;
    for (size_t from = 0; from < size; from += SIDE) {
        __m512 sum = _mm512_setzero_ps();
        for (size_t token = 0; token < h->tokens; token++)
            sum = _mm512_add_ps(
                sum, load(is_bf16, h->keys, token * h->row_stride + start + from, among(h->size, from)));
        _mm512_store_ps(m->means + from, _mm512_div_ps(sum, _mm512_set1_ps((float)h->tokens)));
    }
    uint32_t *vectors = m->keys;
    for (size_t token = 0; token < up_to(h->tokens, PAIR); token += SIDE, vectors += size / 4 * SIDE) {
        for (size_t i = 0; i < SIDE; i++) {
            int8_t *row = m->rows + i * size;
            m->key_scales[token + i] = 0;
            memset(row, 0, size);
            if (token + i >= h->tokens) continue;
            size_t at = (token + i) * h->row_stride + start;
            __m512i magnitudes = _mm512_setzero_si512();
            for (size_t from = 0; from < h->size; from += SIDE)
                magnitudes = larger(magnitudes, _mm512_sub_ps(load(is_bf16, h->keys, at + from, among(h->size, from)),
                                                              _mm512_load_ps(m->means + from)));
            float range = largest(magnitudes);
            m->key_scales[token + i] = range / 127;
            __m512 factor = _mm512_set1_ps(range > 0 ? 127 / range : 0);
            for (size_t from = 0; from < h->size; from += SIDE) {
                __m512 x = _mm512_sub_ps(load(is_bf16, h->keys, at + from, among(h->size, from)),
                                         _mm512_load_ps(m->means + from));
                _mm_store_si128((__m128i *)(row + from), _mm512_cvtepi32_epi8(rounded(x, factor)));
            }
        }
        __m512i sums = _mm512_setzero_si512();
        for (size_t from = 0; from < size; from += GROUP) {
            __m512i rows[SIDE];
            for (size_t i = 0; i < SIDE; i++) rows[i] = _mm512_load_si512(m->rows + i * size + from);
            transpose(rows);
            for (size_t i = 0; i < SIDE; i++) {
                _mm512_store_si512(vectors + (from / 4 + i) * SIDE, rows[i]);
                sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(-128), rows[i]);
            }
        }
        _mm512_store_si512(m->corrections + token, _mm512_sub_epi32(_mm512_setzero_si512(), sums));
    }
}

// v: the index is the token, columns are the head's dimension.
INLINE_WITH_QUADS void pack_values(const mv_heads *h, int is_bf16, size_t head, const memory *m) {
    uint32_t *vectors = m->values;
    size_t depth = up_to(h->tokens, 4);
    for (size_t from = 0; from < up_to(h->size, PAIR); from += SIDE, vectors += depth / 4 * SIDE) {
        __mmask16 some = among(h->size, from);
        size_t at = head * h->size + from;
        __m512 low = load(is_bf16, h->values, at, some), high = low;
        __m512i magnitudes = _mm512_setzero_si512();
        for (size_t token = 0; token < h->tokens; token++) {
            __m512 x = load(is_bf16, h->values, token * h->row_stride + at, some);
            low = _mm512_min_ps(low, x);
            high = _mm512_max_ps(high, x);
            magnitudes = larger(magnitudes, x);
        }
        __m512 offset = _mm512_mul_ps(_mm512_set1_ps(0.5f), _mm512_add_ps(low, high));
        __m512 range = _mm512_sub_ps(high, low), zero = _mm512_setzero_ps();
        __m512 factor = _mm512_maskz_div_ps(_mm512_cmp_ps_mask(range, zero, _CMP_GT_OQ), _mm512_set1_ps(254), range);
        // NaN where a value is not finite.
        __m512 nothing = _mm512_mul_ps(zero, _mm512_castsi512_ps(magnitudes));
        _mm512_store_ps(m->value_scales + from, _mm512_mul_ps(range, _mm512_set1_ps(1 / 254.0f)));
        _mm512_store_ps(m->value_offsets + from, _mm512_add_ps(offset, nothing));
        for (size_t token = 0; token < depth; token += 4) {
            __m512i quad = _mm512_setzero_si512();
            for (size_t i = 0; i < 4 && token + i < h->tokens; i++) {
                __m512 x = load(is_bf16, h->values, (token + i) * h->row_stride + at, some);
                __m512i value = rounded(_mm512_sub_ps(x, offset), factor);
                value = _mm512_and_si512(value, _mm512_set1_epi32(255));
                quad = _mm512_or_si512(quad, _mm512_sllv_epi32(value, _mm512_set1_epi32(8 * (int)i)));
            }
            _mm512_store_si512(vectors + token / 4 * SIDE, quad);
        }
    }
}

// Rounds a query, to which 128 is added; gives its scale.
INLINE_WITH_QUADS float pack_query(const mv_heads *h, int is_bf16, size_t at, uint8_t *row) {
    __m512i magnitudes = _mm512_setzero_si512();
    for (size_t from = 0; from < h->size; from += SIDE)
        magnitudes = larger(magnitudes, load(is_bf16, h->queries, at + from, among(h->size, from)));
    float range = largest(magnitudes);
    __m512 factor = _mm512_set1_ps(range > 0 ? 127 / range : 0);
    for (size_t from = 0; from < h->size; from += SIDE) {
        __m512i x = rounded(load(is_bf16, h->queries, at + from, among(h->size, from)), factor);
        _mm_store_si128((__m128i *)(row + from), _mm512_cvtepi32_epi8(_mm512_add_epi32(x, _mm512_set1_epi32(128))));
    }
    return range / 127;
}

// c = start + a b for FEW rows of `depth` bytes, a multiple of 4; `columns` are a multiple of 32. Rows of a are
// unsigned.
INLINE_WITH_QUADS void multiply(const uint8_t *a, size_t a_stride, const uint32_t *b, size_t b_stride, size_t depth,
                                const int32_t *start, int32_t *c, size_t columns) {
    for (size_t column = 0; column < columns; column += PAIR, b += 2 * b_stride) {
        const uint32_t *other = b + b_stride;
        __m512i left[FEW], right[FEW];
        for (size_t row = 0; row < FEW; row++) {
            left[row] = start ? _mm512_load_si512(start + column) : _mm512_setzero_si512();
            right[row] = start ? _mm512_load_si512(start + column + SIDE) : _mm512_setzero_si512();
        }
        for (size_t k = 0; k < depth / 4; k++) {
            __m512i l = _mm512_load_si512(b + k * SIDE), r = _mm512_load_si512(other + k * SIDE);
            for (size_t row = 0; row < FEW; row++) {
                int quad;
                memcpy(&quad, a + row * a_stride + 4 * k, sizeof quad);
                __m512i all = _mm512_set1_epi32(quad);
                left[row] = _mm512_dpbusd_epi32(left[row], all, l);
                right[row] = _mm512_dpbusd_epi32(right[row], all, r);
            }
        }
        for (size_t row = 0; row < FEW; row++) {
            _mm512_store_si512(c + row * columns + column, left[row]);
            _mm512_store_si512(c + row * columns + column + SIDE, right[row]);
        }
    }
}

// Rounds the exponentials of a row of scores, `count` bytes with zeros after the tokens; gives one over their sum. The
// scores are overwritten. Each is a whole number times its key's scale and the query's.
INLINE_WITH_QUADS float exponentials(const mv_heads *h, int32_t *products, const float *key_scales,
                                     float query_scale, const float *bias, const float *thresholds, uint8_t *result,
                                     size_t count) {
    // With the largest threshold, and the error of powers, the largest of them is still rounded to 255.
    const float log2_e = 1.44269504f, log2_largest = 7.99378757f;  // 254.9
    const int has_addends = bias || h->weights;
    const __m512 lowest = _mm512_set1_ps(-3e38f), scale = _mm512_set1_ps(query_scale);
    float *scores = (float *)products;
    __m512 highest = lowest;
    for (size_t i = 0; i < up_to(h->tokens, SIDE); i += SIDE) {
        __mmask16 some = among(h->tokens, i);
        __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(products + i)), _mm512_load_ps(key_scales + i));
        if (has_addends) x = _mm512_mul_ps(x, scale);
        if (bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(some, bias + i));
        if (h->weights) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(some, h->weights + i));
        x = _mm512_mask_mov_ps(lowest, some, x);
        highest = _mm512_max_ps(highest, x);
        _mm512_store_ps(scores + i, x);
    }
    const float factor = has_addends ? log2_e : log2_e * query_scale, shift = factor * _mm512_reduce_max_ps(highest);
    const __m512 factors = _mm512_set1_ps(factor), shifts = _mm512_set1_ps(shift - log2_largest);
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += SIDE) {
        __m512i x = _mm512_setzero_si512();
        if (i < h->tokens) {
            __m512 power = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(scores + i), factors, shifts));
            x = _mm512_cvttps_epi32(_mm512_add_ps(power, _mm512_loadu_ps(thresholds + i)));
        }
        sum = _mm512_add_epi32(sum, x);
        _mm_store_si128((__m128i *)(result + i), _mm512_cvtepi32_epi8(x));
    }
    // NaN where a score is not finite.
    return (1 + 0 * shift) / (float)_mm512_reduce_add_epi32(sum);
}

INLINE_WITH_QUADS void store(int is_bf16, void *result, size_t at, __mmask16 some, __m512 x) {
    if (!is_bf16) {
        _mm512_mask_storeu_ps((float *)result + at, some, x);
        return;
    }
    // To the nearest, the even one of two that are as near; NaN stays NaN.
    __m512i bits = _mm512_castps_si512(x), even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    sum = _mm512_mask_mov_epi32(sum, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc00000));
    _mm256_mask_storeu_epi16((uint16_t *)result + at, some, _mm512_cvtepi32_epi16(_mm512_srli_epi32(sum, 16)));
}

INLINE_WITH_QUADS void attend(const mv_heads *h, int is_bf16, void *scratch) {
    size_t size = up_to(h->size, GROUP), columns = up_to(h->size, PAIR);
    size_t tokens = up_to(h->tokens, PAIR), depth = up_to(h->tokens, GROUP);
    memory m;
    divide(h, up_to((uintptr_t)scratch, ALIGNMENT), &m);
    memset(m.queries, 0, PAIR * size);
    memset(m.probabilities, 0, PAIR * depth);
    for (size_t i = 0; i < depth + PAIR; i++)
        m.thresholds[i] = (float)((uint32_t)(i + 1) * 0x9e3779b9u >> 8) * 0x1p-24f;
    for (size_t head = 0; head < h->count; head++) {
        pack_keys(h, is_bf16, head, &m);
        pack_values(h, is_bf16, head, &m);
        for (size_t row = 0; row < h->rows; row += PAIR) {
            size_t rows = h->rows - row < PAIR ? h->rows - row : PAIR;
            float scales[PAIR], factors[PAIR];
            for (size_t i = 0; i < rows; i++)
                scales[i] = pack_query(h, is_bf16, (row + i) * h->row_stride + head * h->size, m.queries + i * size);
            for (size_t i = 0; i < rows; i += FEW)
                multiply(m.queries + i * size, size, m.keys, size / 4 * SIDE, up_to(h->size, 4), m.corrections,
                         m.scores + i * tokens, tokens);
            for (size_t i = 0; i < rows; i++)
                factors[i] = exponentials(h, m.scores + i * tokens, m.key_scales, scales[i],
                                          h->bias ? h->bias + (head * h->rows + row + i) * h->bias_stride : NULL,
                                          m.thresholds + i, m.probabilities + i * depth, depth);
            for (size_t i = 0; i < rows; i += FEW)
                multiply(m.probabilities + i * depth, depth, m.values, up_to(h->tokens, 4) / 4 * SIDE,
                         up_to(h->tokens, 4), NULL, m.mixed + i * columns, columns);
            for (size_t i = 0; i < rows; i++) {
                size_t at = (row + i) * h->result_stride + head * h->size;
                __m512 factor = _mm512_set1_ps(factors[i]);
                for (size_t from = 0; from < h->size; from += SIDE) {
                    __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(m.mixed + i * columns + from));
                    __m512 x = _mm512_fmadd_ps(_mm512_mul_ps(factor, sum), _mm512_load_ps(m.value_scales + from),
                                               _mm512_load_ps(m.value_offsets + from));
                    store(is_bf16, h->result, at + from, among(h->size, from), x);
                }
            }
        }
    }
}

static WITH_QUADS void attend_bf16(const mv_heads *heads, void *scratch) { attend(heads, 1, scratch); }

static WITH_QUADS void attend_f32(const mv_heads *heads, void *scratch) { attend(heads, 0, scratch); }

void mv_int8_attention(const mv_heads *heads, void *scratch) {
    if (heads->is_bf16)
        attend_bf16(heads, scratch);
    else
        attend_f32(heads, scratch);
}

#else

int mv_int8_attention_is_supported(void) { return 0; }
size_t mv_int8_attention_scratch(const mv_heads *heads) { return 0; }
void mv_int8_attention(const mv_heads *heads, void *scratch) {}

#endif
