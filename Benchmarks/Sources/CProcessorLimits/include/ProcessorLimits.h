// What this processor can do at best, measured by loops that touch nothing but registers.
#ifndef MERGEVIT_PROCESSOR_LIMITS_H
#define MERGEVIT_PROCESSOR_LIMITS_H

/// Runs f32 multiply-adds in registers on the calling thread for about `seconds` of its processor time; gives
/// operations in such a second, counting a multiply-add as two.
double mv_f32_limit(double seconds);

/// The name of the instruction set that mv_f32_limit uses: "avx512f", "avx2+fma", or "baseline".
const char *mv_f32_instructions(void);

/// The same for products of bf16 pairs that are added to f32 sums, each product and each addition counting as one; 0
/// where the processor has no instruction for it (vdpbf16ps of AVX512_BF16).
double mv_bf16_limit(double seconds);

/// The same for products of four bytes that are added to 32-bit whole numbers (vpdpbusd of AVX512_VNNI), or 0.
double mv_int8_limit(double seconds);

/// The same with matrix instructions (tdpbf16ps and tdpbusd of AMX), which the process must have permission to use.
double mv_bf16_matrix_limit(double seconds);
double mv_int8_matrix_limit(double seconds);

#endif
