// What loops with vectors of 16 numbers (AVX-512) share.
#ifndef MV_VECTORS_H
#define MV_VECTORS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIDE = 16,         // numbers of 32 bits in a vector
    PAIR = 2 * SIDE,   // rows and columns of sums at a time; bf16 numbers in a vector
    ALIGNMENT = 64,    // bytes of a vector
};

static inline size_t up_to(size_t count, size_t multiple) { return (count + multiple - 1) / multiple * multiple; }

#if defined(__x86_64__)

#include <immintrin.h>

#define INLINE_WITH_VECTORS \
    static inline __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), always_inline))

// The bits of the first `count` of 32 numbers.
INLINE_WITH_VECTORS __mmask32 first(size_t count) { return count >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << count) - 1; }

// 16 rows of 16 dwords become columns.
INLINE_WITH_VECTORS void transpose(__m512i r[SIDE]) {
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

// 2^t to a relative error of 8e-5, a fiftieth of bf16's: a polynomial of the fraction, of least error, times
// the power of the whole part.
INLINE_WITH_VECTORS __m512 power_of_two(__m512 t) {
    enum { FRACTION_ABOVE_FLOOR = 0x09 };
    __m512 r = _mm512_reduce_ps(t, FRACTION_ABOVE_FLOOR), p = _mm512_set1_ps(0.0780245226f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.226067155f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69583354f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999925219f));
    return _mm512_scalef_ps(p, t);
}

#endif

#endif
