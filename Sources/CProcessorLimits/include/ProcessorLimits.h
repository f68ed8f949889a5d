// What this processor can do at best, measured by loops that touch nothing but registers.
#ifndef MERGEVIT_PROCESSOR_LIMITS_H
#define MERGEVIT_PROCESSOR_LIMITS_H

/// Runs f32 multiply-adds in registers on the calling thread for about `seconds`; gives operations per second, counting a
/// multiply-add as two.
double mv_f32_limit(double seconds);

/// The name of the instruction set that mv_f32_limit uses: "avx512f", "avx2+fma", or "baseline".
const char *mv_f32_instructions(void);

#endif
