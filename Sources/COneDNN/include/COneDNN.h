// The little of oneDNN that mergevit uses, behind plain C types, and loops of our own where it is slow (linear.h of
// CKernels).
//
// Rules that Swift lacks or that differ between oneDNN 2.x and 3.x stay behind this header: memory descriptors,
// operation descriptors, scratchpads, format tags. An operation (`mv_op`) is planned once and may run on many threads
// at the same time; a call (`mv_call`) binds it to fixed addresses and belongs to one thread.
#ifndef MERGEVIT_CONEDNN_H
#define MERGEVIT_CONEDNN_H

#include <stddef.h>
#include <stdint.h>

typedef struct mv_engine mv_engine;
typedef struct mv_op mv_op;
typedef struct mv_call mv_call;

/// What follows the matrix product, element by element.
typedef enum {
    MV_ACTIVATION_NONE = 0,
    MV_ACTIVATION_GELU_ERF,
    MV_ACTIVATION_GELU_TANH,
    MV_ACTIVATION_SWISH,  // x * sigmoid(alpha * x)
    MV_ACTIVATION_RELU,
} mv_activation;

/// How numbers are stored. Sums of products are f32 unless the operands are whole numbers.
typedef enum {
    MV_F32 = 0,
    MV_BF16,
    /// Of operands only: src unsigned, weights signed, sums whole numbers of 32 bits.
    MV_INT8,
} mv_type;

/// dst[m,n] = activation(src[m,k] * weights[k,n] + bias[n]) * multiplier[m,n] + (accumulate ? dst[m,n] : 0)
typedef struct {
    int64_t m, k, n;
    /// Of src and weights; of dst and the multiplier. The bias is f32.
    mv_type operands, result;
    /// Distance between rows, in elements.
    int64_t src_stride, dst_stride;
    /// Distance between the columns of src: 1, unless src is the transpose of a matrix that lies by rows.
    int64_t src_k_stride;
    /// Strides of the plain weights in elements; ignored when packed.
    int64_t weights_k_stride, weights_n_stride;
    /// Nonzero: the weights come in oneDNN's own layout, made by mv_op_pack.
    int packed;
    int has_bias;
    mv_activation activation;
    float activation_alpha;
    /// Nonzero: the result is multiplied by a second m x n matrix with dst's stride.
    int multiply;
    /// Nonzero: the result is added to what dst holds.
    int accumulate;
} mv_matmul;

/// The addresses a call works on; those an operation does not use may be null.
typedef struct {
    const void *src, *weights, *bias, *multiplier;
    void *dst, *scratch;
} mv_buffers;

/// All functions that return int give 0 or oneDNN's status code; mv_status_text names it.
const char *mv_status_text(int status);
/// The version of the library in use, for reports: "2.6.3".
void mv_version(int *major, int *minor, int *patch);

/// Nonzero when the processor has instructions for bf16 products (AVX512_BF16, AMX) and the library may use them.
/// Without them it emulates or refuses.
int mv_has_bf16(void);

/// The same for products of unsigned with signed bytes that are added to 32-bit sums (AVX512_VNNI). Instructions from
/// before add pairs in 16 bits, which overflow.
int mv_has_int8(void);

/// Nonzero when the processor has matrix instructions (AMX) and the library may use them.
int mv_has_amx(void);

/// A number for the instructions that oneDNN uses, on this processor and under its settings.
int mv_instructions(void);

/// Makes the calling thread run oneDNN's work on itself alone. To be called once on every thread that plans or runs.
void mv_single_thread(void);

int mv_engine_create(mv_engine **engine);
void mv_engine_destroy(mv_engine *engine);

int mv_matmul_create(mv_op **op, mv_engine *engine, const mv_matmul *spec);
/// Layer normalization of dense rows with scale (as `weights`) and shift (as `bias`).
int mv_layer_norm_create(mv_op **op, mv_engine *engine, int64_t rows, int64_t columns, float epsilon);
/// dst = activation(src), or backward dst = activation'(src) * multiplier, over dense rows of one type; dst may be the
/// multiplier.
int mv_activation_create(mv_op **op, mv_engine *engine, int64_t rows, int64_t columns, mv_type type,
                         mv_activation activation, float alpha, int backward);
void mv_op_destroy(mv_op *op);

/// Bytes of scratch memory that a running call needs.
size_t mv_op_scratch_size(const mv_op *op);
/// Bytes of the packed weights.
size_t mv_op_packed_size(const mv_op *op);
/// Elements of a linear layer's bias.
size_t mv_op_bias_count(const mv_op *op);
/// Describes how the packed weights lie, in at most `size` characters; empty where that cannot be said.
void mv_op_packed_layout(const mv_op *op, char *text, size_t size);
/// The name of the kernel that oneDNN chose, or "tiles:amx" for loops of our own.
const char *mv_op_kernel(const mv_op *op);
/// Writes weights given as n rows of k elements (a linear layer's `weight`), or transposed as k rows of n, into the
/// packed layout.
int mv_op_pack(const mv_op *op, const float *weights, int transposed, void *packed);

int mv_call_create(mv_call **call, const mv_op *op, const mv_buffers *buffers);
int mv_call_run(const mv_call *call);
void mv_call_destroy(mv_call *call);

#endif
