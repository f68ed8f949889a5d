#include "COneDNN.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "descriptors.h"
#include "linear.h"

enum { MAXIMUM_ARGUMENTS = 6 };

struct mv_engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct mv_op {
    mv_engine *engine;
    // Null where loops of our own compute `linear`.
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t plan;
    mv_linear linear;
    mv_desc src, weights, bias, multiplier, dst, scratch;
    int uses_weights, uses_bias, bias_argument, uses_multiplier, multiplier_argument, weights_argument, dst_argument;
    int64_t k, n;
};

struct mv_call {
    const mv_op *op;
    int count;
    dnnl_exec_arg_t arguments[MAXIMUM_ARGUMENTS];
    mv_buffers buffers;  // of loops of our own
};

const char *mv_status_text(int status) {
    return status == -1 ? "out of memory" : dnnl_status2str((dnnl_status_t)status);
}

void mv_version(int *major, int *minor, int *patch) {
    const dnnl_version_t *version = dnnl_version();
    *major = version->major;
    *minor = version->minor;
    *patch = version->patch;
}

static int has_instructions(dnnl_cpu_isa_t isa) { return (dnnl_get_effective_cpu_isa() & isa) == isa; }

int mv_has_bf16(void) { return has_instructions(dnnl_cpu_isa_avx512_core_bf16); }

int mv_has_int8(void) { return has_instructions(dnnl_cpu_isa_avx512_core_vnni); }

int mv_has_amx(void) { return has_instructions(dnnl_cpu_isa_avx512_core_amx) && mv_linear_is_permitted(); }

int mv_instructions(void) { return (int)dnnl_get_effective_cpu_isa(); }

void mv_single_thread(void) {
    // The OpenMP runtime that oneDNN was built with is already in the process; a build without OpenMP has none.
    void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (set_threads) set_threads(1);
}

int mv_engine_create(mv_engine **result) {
    mv_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return -1;
    int status = dnnl_engine_create(&engine->engine, dnnl_cpu, 0);
    if (!status) status = dnnl_stream_create(&engine->stream, engine->engine, dnnl_stream_default_flags);
    if (status) {
        mv_engine_destroy(engine);
        return status;
    }
    *result = engine;
    return 0;
}

void mv_engine_destroy(mv_engine *engine) {
    if (!engine) return;
    if (engine->stream) dnnl_stream_destroy(engine->stream);
    if (engine->engine) dnnl_engine_destroy(engine->engine);
    free(engine);
}

void mv_op_destroy(mv_op *op) {
    if (!op) return;
    if (op->primitive) dnnl_primitive_destroy(op->primitive);
    if (op->plan) dnnl_primitive_desc_destroy(op->plan);
    mv_desc *descriptors[] = {&op->src, &op->weights, &op->bias, &op->multiplier, &op->dst, &op->scratch};
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) mv_desc_free(descriptors[i]);
    free(op);
}

// Attributes of every operation: the caller owns the scratch memory, so that calls on several threads never share it.
static int attributes_create(dnnl_primitive_attr_t *attributes) {
    int status = dnnl_primitive_attr_create(attributes);
    return status ? status : dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
}

// Makes the primitive of a planned operation and notes its scratch memory.
static int op_finish(mv_op *op) {
    int status = dnnl_primitive_create(&op->primitive, op->plan);
    if (status) return status;
    return mv_desc_copy(&op->scratch, dnnl_primitive_desc_query_md(op->plan, dnnl_query_scratchpad_md, 0));
}

static dnnl_alg_kind_t activation_kind(mv_activation activation) {
    switch (activation) {
        case MV_ACTIVATION_NONE: break;
        case MV_ACTIVATION_GELU_ERF: return dnnl_eltwise_gelu_erf;
        case MV_ACTIVATION_GELU_TANH: return dnnl_eltwise_gelu_tanh;
        case MV_ACTIVATION_SWISH: return dnnl_eltwise_swish;
        case MV_ACTIVATION_RELU: return dnnl_eltwise_relu;
    }
    return dnnl_alg_kind_undef;
}

static dnnl_data_type_t data_type(mv_type type) { return type == MV_BF16 ? dnnl_bf16 : dnnl_f32; }
static dnnl_data_type_t source_type(mv_type type) { return type == MV_INT8 ? dnnl_u8 : data_type(type); }
static dnnl_data_type_t weights_type(mv_type type) { return type == MV_INT8 ? dnnl_s8 : data_type(type); }

static int post_ops(dnnl_primitive_attr_t attributes, const mv_matmul *spec, mv_op *op) {
    dnnl_post_ops_t ops;
    int status = dnnl_post_ops_create(&ops), position = 0;
    dnnl_alg_kind_t kind = activation_kind(spec->activation);
    float alpha = spec->activation == MV_ACTIVATION_SWISH ? spec->activation_alpha : 0;
    if (!status && kind != dnnl_alg_kind_undef) {
        status = mv_append_eltwise(ops, kind, alpha);
        position++;
    }
    if (!status && spec->multiply) {
        status = mv_append_multiply(ops, &op->multiplier);
        op->multiplier_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(position++) | DNNL_ARG_SRC_1;
    }
    if (!status && spec->accumulate) status = mv_append_sum(ops);
    if (!status) status = dnnl_primitive_attr_set_post_ops(attributes, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

// Whether an operation is a linear layer in bf16 that loops of our own compute.
static int linear_of(const mv_matmul *spec, mv_linear *linear) {
    *linear = (mv_linear){
        .rows = (size_t)spec->m, .inputs = (size_t)spec->k, .outputs = (size_t)spec->n,
        .source_stride = (size_t)spec->src_stride, .result_stride = (size_t)spec->dst_stride,
        .has_gelu = spec->activation == MV_ACTIVATION_GELU_ERF, .is_wide = spec->result == MV_F32,
        .is_added = spec->accumulate};
    return spec->operands == MV_BF16 && spec->packed && spec->src_k_stride == 1 && !spec->multiply &&
           (linear->has_gelu || spec->activation == MV_ACTIVATION_NONE) && mv_linear_is_supported(linear);
}

int mv_matmul_create(mv_op **result, mv_engine *engine, const mv_matmul *spec) {
    mv_op *op = calloc(1, sizeof *op);
    if (!op) return -1;
    op->engine = engine;
    op->k = spec->k;
    op->n = spec->n;
    op->uses_weights = 1;
    op->uses_bias = spec->has_bias;
    if (linear_of(spec, &op->linear) && mv_has_amx()) {
        *result = op;
        return 0;
    }
    op->weights_argument = DNNL_ARG_WEIGHTS;
    op->bias_argument = DNNL_ARG_BIAS;
    op->uses_multiplier = spec->multiply;
    op->dst_argument = DNNL_ARG_DST;
    dnnl_dims_t src = {spec->m, spec->k}, src_strides = {spec->src_stride, spec->src_k_stride};
    dnnl_dims_t weights = {spec->k, spec->n}, weights_strides = {spec->weights_k_stride, spec->weights_n_stride};
    dnnl_dims_t bias = {1, spec->n}, bias_strides = {spec->n, 1};
    dnnl_dims_t dst = {spec->m, spec->n}, dst_strides = {spec->dst_stride, 1};
    dnnl_primitive_attr_t attributes = NULL;
    mv_desc plain;
    memset(&plain, 0, sizeof plain);
    dnnl_data_type_t weight_type = weights_type(spec->operands), result_type = data_type(spec->result);
    int status = mv_desc_strided(&op->src, 2, src, src_strides, source_type(spec->operands));
    if (!status)
        status = spec->packed ? mv_desc_any(&plain, 2, weights, weight_type)
                              : mv_desc_strided(&plain, 2, weights, weights_strides, weight_type);
    if (!status && spec->has_bias) status = mv_desc_strided(&op->bias, 2, bias, bias_strides, dnnl_f32);
    if (!status && spec->multiply) status = mv_desc_strided(&op->multiplier, 2, dst, dst_strides, result_type);
    if (!status) status = mv_desc_strided(&op->dst, 2, dst, dst_strides, result_type);
    if (!status) status = attributes_create(&attributes);
    if (!status) status = post_ops(attributes, spec, op);
    if (!status)
        status = mv_plan_matmul(&op->plan, engine->engine, &op->src, &plain, spec->has_bias ? &op->bias : NULL,
                                &op->dst, attributes);
    if (!status)
        status = mv_desc_copy(&op->weights, dnnl_primitive_desc_query_md(op->plan, dnnl_query_weights_md, 0));
    if (!status) status = op_finish(op);
    mv_desc_free(&plain);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    if (status) {
        mv_op_destroy(op);
        return status;
    }
    *result = op;
    return 0;
}

int mv_layer_norm_create(mv_op **result, mv_engine *engine, int64_t rows, int64_t columns, float epsilon) {
    mv_op *op = calloc(1, sizeof *op);
    if (!op) return -1;
    op->engine = engine;
    op->dst_argument = DNNL_ARG_DST;
    op->uses_weights = op->uses_bias = 1;
    op->weights_argument = DNNL_ARG_SCALE;
    op->bias_argument = DNNL_ARG_SHIFT;
    dnnl_dims_t data = {rows, columns}, strides = {columns, 1}, vector = {columns}, unit = {1};
    dnnl_primitive_attr_t attributes = NULL;
    int status = mv_desc_strided(&op->src, 2, data, strides, dnnl_f32);
    if (!status) status = mv_desc_strided(&op->dst, 2, data, strides, dnnl_f32);
    if (!status) status = mv_desc_strided(&op->weights, 1, vector, unit, dnnl_f32);
    if (!status) status = mv_desc_strided(&op->bias, 1, vector, unit, dnnl_f32);
    if (!status) status = attributes_create(&attributes);
    if (!status) status = mv_plan_layer_norm(&op->plan, engine->engine, &op->src, epsilon, attributes);
    if (!status) status = op_finish(op);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    if (status) {
        mv_op_destroy(op);
        return status;
    }
    *result = op;
    return 0;
}

int mv_activation_create(mv_op **result, mv_engine *engine, int64_t rows, int64_t columns, mv_type type,
                         mv_activation activation, float alpha, int backward) {
    mv_op *op = calloc(1, sizeof *op);
    if (!op) return -1;
    op->engine = engine;
    op->dst_argument = backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST;
    op->uses_multiplier = backward;
    op->multiplier_argument = DNNL_ARG_DIFF_DST;
    dnnl_dims_t data = {rows, columns}, strides = {columns, 1};
    dnnl_alg_kind_t kind = activation_kind(activation);
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t forward = NULL;
    int status = mv_desc_strided(&op->src, 2, data, strides, data_type(type));
    if (!status) status = mv_desc_strided(&op->dst, 2, data, strides, data_type(type));
    if (!status && backward) status = mv_desc_strided(&op->multiplier, 2, data, strides, data_type(type));
    if (!status) status = attributes_create(&attributes);
    if (!status)
        status = mv_plan_eltwise(backward ? &forward : &op->plan, engine->engine, kind, alpha, &op->src, attributes);
    if (!status && backward)
        status = mv_plan_eltwise_backward(&op->plan, engine->engine, kind, alpha, &op->src, forward, attributes);
    if (!status) status = op_finish(op);
    if (forward) dnnl_primitive_desc_destroy(forward);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    if (status) {
        mv_op_destroy(op);
        return status;
    }
    *result = op;
    return 0;
}

static int is_ours(const mv_op *op) { return !op->primitive; }

size_t mv_op_scratch_size(const mv_op *op) {
    return is_ours(op) ? mv_linear_scratch(&op->linear) : dnnl_memory_desc_get_size(mv_ref(&op->scratch));
}

size_t mv_op_packed_size(const mv_op *op) {
    if (is_ours(op)) return mv_linear_packed_size(&op->linear);
    return op->uses_weights ? dnnl_memory_desc_get_size(mv_ref(&op->weights)) : 0;
}

size_t mv_op_bias_count(const mv_op *op) { return op->uses_bias ? (size_t)op->n : 0; }

void mv_op_packed_layout(const mv_op *op, char *text, size_t size) {
    if (size) text[0] = 0;
    if (is_ours(op)) {
        snprintf(text, size, "%lldx%lld in pairs of tiles", (long long)op->k, (long long)op->n);
        return;
    }
    mv_blocks blocks = mv_desc_blocks(&op->weights);
    if (!blocks.strides) return;
    int length = snprintf(text, size, "%lldx%lld/%lld,%lld", (long long)blocks.padded[0], (long long)blocks.padded[1],
                          (long long)blocks.strides[0], (long long)blocks.strides[1]);
    for (int i = 0; i < blocks.count && length > 0 && (size_t)length < size; i++)
        length += snprintf(text + length, size - (size_t)length, ":%lld.%lld", (long long)blocks.sizes[i],
                           (long long)blocks.dimensions[i]);
}

const char *mv_op_kernel(const mv_op *op) {
    if (is_ours(op)) return "tiles:amx";
    const char *name = NULL;
    dnnl_primitive_desc_query(op->plan, dnnl_query_impl_info_str, 0, (void *)&name);
    return name ? name : "unknown";
}

int mv_op_pack(const mv_op *op, const float *weights, int transposed, void *packed) {
    if (is_ours(op)) {
        mv_linear_pack(&op->linear, weights, transposed, packed);
        return 0;
    }
    mv_desc plain;
    memset(&plain, 0, sizeof plain);
    dnnl_dims_t dims = {op->k, op->n}, strides = {transposed ? op->n : 1, transposed ? 1 : op->k};
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_primitive_desc_t plan = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_engine_t engine = op->engine->engine;
    int status = mv_desc_strided(&plain, 2, dims, strides, dnnl_f32);
    if (!status) status = dnnl_memory_create(&from, mv_ref(&plain), engine, (void *)weights);
    if (!status) status = dnnl_memory_create(&to, mv_ref(&op->weights), engine, packed);
    if (!status) status = mv_reorder_plan(&plan, &plain, &op->weights, engine);
    if (!status) status = dnnl_primitive_create(&reorder, plan);
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    if (!status) status = dnnl_primitive_execute(reorder, op->engine->stream, 2, arguments);
    if (!status) status = dnnl_stream_wait(op->engine->stream);
    if (reorder) dnnl_primitive_destroy(reorder);
    if (plan) dnnl_primitive_desc_destroy(plan);
    if (from) dnnl_memory_destroy(from);
    if (to) dnnl_memory_destroy(to);
    mv_desc_free(&plain);
    return status;
}

static int bind(mv_call *call, const mv_desc *desc, int argument, const void *address) {
    dnnl_memory_t memory;
    int status = dnnl_memory_create(&memory, mv_ref(desc), call->op->engine->engine, (void *)address);
    if (!status) call->arguments[call->count++] = (dnnl_exec_arg_t){argument, memory};
    return status;
}

int mv_call_create(mv_call **result, const mv_op *op, const mv_buffers *buffers) {
    mv_call *call = calloc(1, sizeof *call);
    if (!call) return -1;
    call->op = op;
    if (is_ours(op)) {
        call->buffers = *buffers;
        *result = call;
        return 0;
    }
    int status = bind(call, &op->src, DNNL_ARG_SRC, buffers->src);
    if (!status && op->uses_weights) status = bind(call, &op->weights, op->weights_argument, buffers->weights);
    if (!status && op->uses_bias) status = bind(call, &op->bias, op->bias_argument, buffers->bias);
    if (!status && op->uses_multiplier)
        status = bind(call, &op->multiplier, op->multiplier_argument, buffers->multiplier);
    if (!status) status = bind(call, &op->dst, op->dst_argument, buffers->dst);
    if (!status && mv_op_scratch_size(op) > 0) status = bind(call, &op->scratch, DNNL_ARG_SCRATCHPAD, buffers->scratch);
    if (status) {
        mv_call_destroy(call);
        return status;
    }
    *result = call;
    return 0;
}

int mv_call_run(const mv_call *call) {
    if (is_ours(call->op)) {
        const mv_buffers *b = &call->buffers;
        const mv_op *op = call->op;
        mv_linear_compute(&op->linear, b->src, b->weights, op->uses_bias ? b->bias : NULL, b->dst, b->scratch);
        return 0;
    }
    return dnnl_primitive_execute(call->op->primitive, call->op->engine->stream, call->count, call->arguments);
}

void mv_call_destroy(mv_call *call) {
    if (!call) return;
    for (int i = 0; i < call->count; i++) dnnl_memory_destroy(call->arguments[i].memory);
    free(call);
}
