// Linear layers in bf16 by matrix instructions (AMX): the same sums, bit for bit, as by oneDNN, which takes 1.1 to 1.5
// times as long. In int8 such loops were no faster.
#ifndef MERGEVIT_TILES_H
#define MERGEVIT_TILES_H

#include "COneDNN.h"

/// Asks the system to let this process use tiles.
int mv_tiles_are_permitted(void);
/// Whether these loops compute an operation: packed weights, rows that fill tiles, no activation but GELU. The
/// processor is not asked.
int mv_tiles_compute(const mv_matmul *spec);
/// Bytes of packed weights, and of scratch memory.
size_t mv_tiles_packed_size(const mv_matmul *spec);
size_t mv_tiles_scratch_size(const mv_matmul *spec);
/// As `mv_op_pack`.
void mv_tiles_pack(const mv_matmul *spec, const float *weights, int transposed, void *packed);
void mv_tiles_run(const mv_matmul *spec, const mv_buffers *buffers);

#endif
