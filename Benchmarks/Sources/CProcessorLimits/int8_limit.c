#include "ProcessorLimits.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include "clock.h"

enum { ROUNDS = 20000, CHAINS = 24, OPERATIONS = 16 * 4 * 2 };

// Leaf 7: bit 11 of ecx is AVX512_VNNI.
static int has_int8(void) {
    unsigned eax, ebx, ecx, edx;
    if (!__builtin_cpu_supports("avx512f") || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    return ecx >> 11 & 1;
}

// As in bf16_limit.c.
__attribute__((target("avx512f,avx512vnni"))) static double limit(double seconds) {
    __m512i chain[CHAINS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(1);
    for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_set1_epi32(i);
    double start = now(), elapsed, count = 0;
    do {
        for (int round = 0; round < ROUNDS; round++) {
#pragma clang loop unroll(full)
            for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_dpbusd_epi32(chain[i], a, b);
        }
        count += ROUNDS;
        elapsed = now() - start;
    } while (elapsed < seconds);
    volatile int kept = 0;
    for (int i = 0; i < CHAINS; i++) kept = kept ^ _mm_cvtsi128_si32(_mm512_castsi512_si128(chain[i]));
    return count * CHAINS * OPERATIONS / elapsed;
}

double mv_int8_limit(double seconds) { return has_int8() ? limit(seconds) : 0; }

#else

double mv_int8_limit(double seconds) { return 0 * seconds; }

#endif
