// Compares every operation of COneDNN with plain loops in double precision, for the version of oneDNN that it is built
// against (scripts/test-onednn).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "COneDNN.h"

static int failures;

static void check_status(int status, const char *what) {
    if (!status) return;
    fprintf(stderr, "%s: %s\n", what, mv_status_text(status));
    exit(1);
}

static void *memory(size_t bytes) {
    void *result = aligned_alloc(64, (bytes / 64 + 1) * 64);
    if (!result) exit(1);
    return memset(result, 0, (bytes / 64 + 1) * 64);
}

// Numbers from -1 to 1 that bf16 represents exactly, or whole numbers for int8.
static float drawn(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)((int)(*state >> 24) - 128) / 128;
}

static float widened(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

static uint16_t narrowed(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float element(const void *values, mv_type type, size_t index) {
    return type == MV_BF16 ? widened(((const uint16_t *)values)[index]) : ((const float *)values)[index];
}

static void set(void *values, mv_type type, size_t index, float value) {
    if (type == MV_BF16)
        ((uint16_t *)values)[index] = narrowed(value);
    else
        ((float *)values)[index] = value;
}

static double activated(mv_activation activation, double alpha, double x) {
    switch (activation) {
        case MV_ACTIVATION_NONE: return x;
        case MV_ACTIVATION_GELU_ERF: return x / 2 * (1 + erf(x / sqrt(2)));
        case MV_ACTIVATION_GELU_TANH: return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        case MV_ACTIVATION_SWISH: return x / (1 + exp(-alpha * x));
        case MV_ACTIVATION_RELU: return x > 0 ? x : 0;
    }
    return x;
}

static size_t size_of(mv_type type) { return type == MV_BF16 ? 2 : type == MV_INT8 ? 1 : 4; }

static void report(const char *name, const mv_op *op, double error, double tolerance) {
    int is_wrong = !(error <= tolerance);
    failures += is_wrong;
    printf("%-34s %-24s largest error %.1e%s\n", name, mv_op_kernel(op), error, is_wrong ? "  TOO LARGE" : "");
}

// A linear layer with packed weights, or a product of plain matrices.
static void matmul(mv_engine *engine, const char *name, mv_matmul spec, double tolerance) {
    mv_op *op;
    check_status(mv_matmul_create(&op, engine, &spec), name);
    unsigned state = 7;
    size_t m = (size_t)spec.m, k = (size_t)spec.k, n = (size_t)spec.n;
    int is_int8 = spec.operands == MV_INT8;
    void *src = memory(m * k * size_of(spec.operands)), *dst = memory(m * n * size_of(spec.result));
    void *multiplier = memory(m * n * size_of(spec.result));
    float *weights = memory(n * k * 4), *bias = memory(n * 4), *before = memory(m * n * 4);
    for (size_t i = 0; i < m * k; i++)
        if (is_int8)
            ((uint8_t *)src)[i] = (uint8_t)(128 * (1 + drawn(&state)));
        else
            set(src, spec.operands, i, drawn(&state));
    for (size_t i = 0; i < n * k; i++) weights[i] = is_int8 ? 64 * drawn(&state) : drawn(&state);
    if (is_int8)
        for (size_t i = 0; i < n * k; i++) weights[i] = nearbyintf(weights[i]);
    for (size_t i = 0; i < n; i++) bias[i] = drawn(&state);
    for (size_t i = 0; i < m * n; i++) {
        set(dst, spec.result, i, drawn(&state));
        before[i] = element(dst, spec.result, i);
        set(multiplier, spec.result, i, drawn(&state));
    }
    void *plain = memory(n * k * size_of(spec.operands)), *packed = plain;
    if (spec.packed) {
        packed = memory(mv_op_packed_size(op));
        check_status(mv_op_pack(op, weights, 0, packed), "pack");
    } else {
        for (size_t i = 0; i < n * k; i++) set(plain, spec.operands, i, weights[i]);
    }
    mv_buffers buffers = {src, packed, bias, multiplier, dst, memory(mv_op_scratch_size(op))};
    mv_call *call;
    check_status(mv_call_create(&call, op, &buffers), name);
    check_status(mv_call_run(call), name);
    double largest = 0, error = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = spec.has_bias ? bias[j] : 0;
            for (size_t l = 0; l < k; l++)
                sum += (is_int8 ? (double)((uint8_t *)src)[i * k + l] : element(src, spec.operands, i * k + l)) *
                       (double)weights[j * k + l];
            sum = activated(spec.activation, (double)spec.activation_alpha, sum);
            if (spec.multiply) sum *= (double)element(multiplier, spec.result, i * n + j);
            if (spec.accumulate) sum += (double)before[i * n + j];
            double found = (double)element(dst, spec.result, i * n + j);
            if (fabs(found - sum) > error) error = fabs(found - sum);
            if (fabs(sum) > largest) largest = fabs(sum);
        }
    report(name, op, error / largest, tolerance);
    mv_call_destroy(call);
    mv_op_destroy(op);
}

static mv_matmul linear(int64_t m, int64_t k, int64_t n, mv_type operands, mv_type result) {
    return (mv_matmul){.m = m, .k = k, .n = n, .operands = operands, .result = result, .src_stride = k,
                       .src_k_stride = 1, .dst_stride = n, .packed = 1};
}

static void layer_norm(mv_engine *engine) {
    enum { rows = 5, columns = 192 };
    mv_op *op;
    check_status(mv_layer_norm_create(&op, engine, rows, columns, 1e-6f), "layer normalization");
    float *src = memory(rows * columns * 4), *dst = memory(rows * columns * 4), *scale = memory(columns * 4),
          *shift = memory(columns * 4);
    unsigned state = 3;
    for (int i = 0; i < rows * columns; i++) src[i] = drawn(&state);
    for (int i = 0; i < columns; i++) {
        scale[i] = drawn(&state);
        shift[i] = drawn(&state);
    }
    mv_buffers buffers = {src, scale, shift, NULL, dst, memory(mv_op_scratch_size(op))};
    mv_call *call;
    check_status(mv_call_create(&call, op, &buffers), "layer normalization");
    check_status(mv_call_run(call), "layer normalization");
    double error = 0;
    for (int row = 0; row < rows; row++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < columns; i++) mean += (double)src[row * columns + i] / columns;
        for (int i = 0; i < columns; i++) variance += pow((double)src[row * columns + i] - mean, 2) / columns;
        for (int i = 0; i < columns; i++) {
            double expected = ((double)src[row * columns + i] - mean) / sqrt(variance + 1e-6) * (double)scale[i] +
                              (double)shift[i];
            error = fmax(error, fabs(expected - (double)dst[row * columns + i]));
        }
    }
    report("layer normalization", op, error, 2e-6);
    mv_call_destroy(call);
    mv_op_destroy(op);
}

// GELU of rows, or its derivative times a multiplier, which the result replaces.
static void activation(mv_engine *engine, const char *name, int backward) {
    enum { rows = 3, columns = 50, count = rows * columns };
    mv_op *op;
    check_status(mv_activation_create(&op, engine, rows, columns, MV_F32, MV_ACTIVATION_GELU_ERF, 0, backward), name);
    float *src = memory(count * 4), *dst = memory(count * 4), before[count];
    unsigned state = 5;
    for (int i = 0; i < count; i++) {
        src[i] = 3 * drawn(&state);
        before[i] = dst[i] = drawn(&state);
    }
    mv_buffers buffers = {src, NULL, NULL, dst, dst, memory(mv_op_scratch_size(op))};
    mv_call *call;
    check_status(mv_call_create(&call, op, &buffers), name);
    check_status(mv_call_run(call), name);
    double error = 0;
    for (int i = 0; i < count; i++) {
        double x = (double)src[i], normal = exp(-x * x / 2) / sqrt(2 * acos(-1));
        double expected = backward ? (double)before[i] * ((1 + erf(x / sqrt(2))) / 2 + x * normal)
                                   : activated(MV_ACTIVATION_GELU_ERF, 0, x);
        error = fmax(error, fabs(expected - (double)dst[i]));
    }
    report(name, op, error, 2e-6);
    mv_call_destroy(call);
    mv_op_destroy(op);
}

int main(void) {
    int major, minor, patch;
    mv_version(&major, &minor, &patch);
    printf("oneDNN %d.%d.%d\n", major, minor, patch);
    mv_single_thread();
    mv_engine *engine;
    check_status(mv_engine_create(&engine), "engine");
    const double exact = 1e-6, narrow = 1.0 / 256;
    mv_matmul spec = linear(13, 96, 40, MV_F32, MV_F32);
    matmul(engine, "f32", spec, exact);
    spec.has_bias = 1;
    mv_activation activations[] = {MV_ACTIVATION_GELU_ERF, MV_ACTIVATION_GELU_TANH, MV_ACTIVATION_SWISH,
                                   MV_ACTIVATION_RELU};
    const char *names[] = {"f32, bias, GELU", "f32, bias, tanh GELU", "f32, bias, swish", "f32, bias, ReLU"};
    for (int i = 0; i < 4; i++) {
        spec.activation = activations[i];
        spec.activation_alpha = 1.702f;
        matmul(engine, names[i], spec, exact);
    }
    spec.multiply = 1;
    matmul(engine, "f32, bias, ReLU, multiplied", spec, exact);
    spec.multiply = 0;
    spec.activation = MV_ACTIVATION_NONE;
    spec.accumulate = 1;
    matmul(engine, "f32, bias, added", spec, exact);
    spec = linear(13, 96, 40, MV_F32, MV_F32);
    spec.packed = 0;
    spec.weights_k_stride = 1;
    spec.weights_n_stride = 96;
    matmul(engine, "f32, plain weights", spec, exact);
    layer_norm(engine);
    activation(engine, "GELU", 0);
    activation(engine, "GELU, backward", 1);
    if (mv_has_bf16()) {
        spec = linear(13, 96, 40, MV_BF16, MV_F32);
        spec.has_bias = spec.accumulate = 1;
        matmul(engine, "bf16, bias, added to f32", spec, exact);
        spec = linear(13, 96, 40, MV_BF16, MV_BF16);
        matmul(engine, "bf16 to bf16", spec, narrow);
        spec.has_bias = 1;
        spec.activation = MV_ACTIVATION_GELU_ERF;
        matmul(engine, "bf16 to bf16, bias, GELU", spec, narrow);
    }
    // Rows and columns that fill tiles, and inputs that are read in parts, which AMX computes without the library.
    for (int64_t m = 32; mv_has_amx() && m <= 77; m += 15)
        for (int64_t k = 64; k <= 1216; k += 576) {
            spec = linear(m, k, 72, MV_BF16, MV_F32);
            spec.has_bias = spec.accumulate = 1;
            matmul(engine, "bf16 in tiles, bias, added", spec, exact);
            spec = linear(m, k, 72, MV_BF16, MV_BF16);
            spec.has_bias = 1;
            spec.activation = MV_ACTIVATION_GELU_ERF;
            matmul(engine, "bf16 in tiles, bias, GELU", spec, narrow);
        }
    if (mv_has_int8()) {
        matmul(engine, "int8 to f32", linear(13, 96, 40, MV_INT8, MV_F32), exact);
        if (mv_has_bf16()) matmul(engine, "int8 to bf16", linear(13, 96, 40, MV_INT8, MV_BF16), narrow);
    }
    if (failures) fprintf(stderr, "%d operations are wrong with oneDNN %d.%d.%d\n", failures, major, minor, patch);
    mv_engine_destroy(engine);
    return failures > 0;
}
