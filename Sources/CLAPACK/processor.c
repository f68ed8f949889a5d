#define _GNU_SOURCE

#include "CLAPACK.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *mv_blas_core(void) {
    return openblas_get_corename();
}

#if defined(__x86_64__)

// Of OpenBLAS, where it was built for many processors: they choose its kernels, as its own start does.
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

/// OpenBLAS before 0.3.25 takes an Intel processor that is newer than itself for a Pentium 4, and multiplies with SSE3
/// alone (OpenMathLib/OpenBLAS, pull request 4268). Before anything is multiplied, this has it choose again by the
/// instructions that the processor has. OPENBLAS_CORETYPE still has the last word.
__attribute__((constructor)) static void choose_kernels(void) {
    static const char variable[] = "OPENBLAS_CORETYPE";
    if (getenv(variable) || !gotoblas_dynamic_init || !gotoblas_dynamic_quit) return;
    if (strcmp(openblas_get_corename(), "Prescott") != 0) return;
    __builtin_cpu_init();
    const int has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!has_avx512 && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return;
    // Swift finds the command's arguments in front of the environment that the process began with.
    char **environment = environ;
    setenv(variable, has_avx512 ? "SkylakeX" : "Haswell", 1);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    environ = environment;
}

#endif
