#include "ProcessorLimits.h"

#include "clock.h"

// One loop body for vectors of any width: more independent chains than a multiply-add takes cycles, times the units
// that do them, and few enough to stay in registers.
#pragma clang fp contract(fast)

enum { ROUNDS = 20000 };

#define STEP(i) chain[i] = chain[i] * factor + addend;
#define STEPS12 STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define STEPS24                                                                                                     \
    STEPS12 STEP(12) STEP(13) STEP(14) STEP(15) STEP(16) STEP(17) STEP(18) STEP(19) STEP(20) STEP(21) STEP(22) STEP(23)

#define DEFINE_LIMIT(name, attributes, bytes, chains, steps)                                                        \
    typedef float name##_vector __attribute__((vector_size(bytes)));                                                \
    attributes static double name(double seconds) {                                                                 \
        name##_vector chain[chains], factor, addend;                                                                \
        for (int lane = 0; lane < (bytes) / 4; lane++) {                                                            \
            factor[lane] = 0.999999f;                                                                               \
            addend[lane] = 1e-6f;                                                                                   \
            for (int i = 0; i < (chains); i++) chain[i][lane] = (float)i;                                           \
        }                                                                                                           \
        double start = now(), elapsed, count = 0;                                                                   \
        do {                                                                                                        \
            for (int round = 0; round < ROUNDS; round++) {                                                          \
                steps                                                                                               \
            }                                                                                                       \
            count += ROUNDS;                                                                                        \
            elapsed = now() - start;                                                                                \
        } while (elapsed < seconds);                                                                                \
        volatile float kept = 0;                                                                                    \
        for (int i = 0; i < (chains); i++) kept = kept + chain[i][0];                                               \
        return count * (chains) * ((bytes) / 4) * 2 / elapsed;                                                      \
    }

#if defined(__x86_64__)
DEFINE_LIMIT(limit_avx512, __attribute__((target("avx512f"))), 64, 24, STEPS24)
DEFINE_LIMIT(limit_avx2, __attribute__((target("avx2,fma"))), 32, 12, STEPS12)
#endif
DEFINE_LIMIT(limit_baseline, , 16, 12, STEPS12)

double mv_f32_limit(double seconds) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return limit_avx512(seconds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return limit_avx2(seconds);
#endif
    return limit_baseline(seconds);
}

const char *mv_f32_instructions(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return "avx512f";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2+fma";
#endif
    return "baseline";
}
