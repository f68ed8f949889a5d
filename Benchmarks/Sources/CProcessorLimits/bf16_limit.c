#include "ProcessorLimits.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include "clock.h"

enum { ROUNDS = 20000, CHAINS = 24, OPERATIONS = 16 * 2 * 2 };

// Leaf 7, subleaf 1: bit 5 of eax is AVX512_BF16. That the system keeps 512-bit registers is what avx512f is asked for.
static int has_bf16(void) {
    unsigned eax, ebx, ecx, edx;
    if (!__builtin_cpu_supports("avx512f") || !__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) return 0;
    return eax >> 5 & 1;
}

// As in f32_limit.c: independent chains of the one instruction, in registers.
__attribute__((target("avx512f,avx512bf16"))) static double limit(double seconds) {
    __m512 chain[CHAINS];
    __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80), b = (__m512bh)_mm512_set1_epi16(0x3580);
    for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_set1_ps((float)i);
    double start = now(), elapsed, count = 0;
    do {
        for (int round = 0; round < ROUNDS; round++) {
#pragma clang loop unroll(full)
            for (int i = 0; i < CHAINS; i++) chain[i] = _mm512_dpbf16_ps(chain[i], a, b);
        }
        count += ROUNDS;
        elapsed = now() - start;
    } while (elapsed < seconds);
    volatile float kept = 0;
    for (int i = 0; i < CHAINS; i++) kept = kept + _mm512_cvtss_f32(chain[i]);
    return count * CHAINS * OPERATIONS / elapsed;
}

double mv_bf16_limit(double seconds) { return has_bf16() ? limit(seconds) : 0; }

#else

double mv_bf16_limit(double seconds) { return 0 * seconds; }

#endif
